//! The local terminal: raw mode, size, escapes, the signals that concern it, and the standard
//! streams unbuffered. What differs between systems is in `unix.rs` and `windows.rs`, under the same names.

mod escape;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

pub use escape::{Escape, HELP, Key};
pub use system::{Raw, Resizes, Signals, read_stdin, size, write_stderr, write_stdout};
