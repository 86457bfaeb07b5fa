//! The dispatcher: names, discovery, hand-over, help, completion. Knows no AWS and no tokio.

use std::process::ExitCode;

/// Runs the dispatcher on this process's arguments.
pub(crate) fn main() -> ExitCode {
    ExitCode::from(127)
}
