//! The local terminal: raw mode, size, escapes, and the signals that concern it. What differs
//! between systems is in `unix.rs` and `windows.rs`, under the same names.

mod escape;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub use escape::{Escape, HELP, Key};
pub use system::{Raw, Resizes, Signals, size};
