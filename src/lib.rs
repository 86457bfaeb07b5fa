//! The core crate of ecsx: from what a directory says to bytes inside a running ECS task.
//!
//! Data goes one way: arguments → [`project`] → [`ecs`] (through `aws`) → a ticket →
//! [`session`] around [`ssm`] → port forward or terminal. ARCHITECTURE.md has the map and
//! who may import whom; `tests/layering.rs` keeps it.

#[cfg(feature = "aws")]
pub mod aws;
mod bounded;
pub mod ecs;
pub mod exec;
pub mod footprint;
mod host;
#[cfg(feature = "aws")]
pub mod live;
pub mod plugin;
pub mod project;
pub mod resolve;
pub mod session;
pub mod ssm;
pub mod ui;
