//! Unix: exec(2). The plugin takes over this process: terminal, job control, signals and exit
//! status are its own, as if it had been run directly.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Becomes `program`. Comes back only if that failed.
pub(crate) fn run(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
) -> io::Result<ExitCode> {
    let environment = environment.iter().map(|(name, value)| (name, value));
    Err(Command::new(program).args(arguments).envs(environment).exec())
}
