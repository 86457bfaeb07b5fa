//! The contract between the dispatcher and any plugin, first-party or not.
//!
//! `docs/plugins.md` says it in words for authors in any language; this module is the same for
//! authors in Rust: [`Plugin`] around a clap parser that flattens [`Globals`].

mod complete;
mod description;
pub mod env;
pub mod exit;
mod globals;
mod program;
mod wire;

pub use complete::complete;
pub use description::Description;
pub use globals::{CannotEnter, Globals};
pub use program::{Asked, Plugin, matches};
pub use wire::{Candidate, Completion, directive};

/// Version of the contract that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;
