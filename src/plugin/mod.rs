//! The contract between the dispatcher and any plugin, first-party or not.
//!
//! `docs/plugins.md` says it in words for authors in any language; this module is the same for
//! authors in Rust.

pub mod env;
pub mod exit;
mod globals;

pub use globals::{CannotEnter, Globals};

/// Version of the contract that this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;
