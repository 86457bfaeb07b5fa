//! `ecsx portforward` against the sandbox, as its users see it.
#![cfg(feature = "aws")]

#[path = "../support/mod.rs"]
mod support;

mod commandline;
mod credentials;
mod harness;
#[cfg(unix)]
mod limits;
mod loss;
mod old_agents;
mod postgres;
mod presets;
mod refusals;
mod tasks;
mod traffic;
