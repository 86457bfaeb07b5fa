//! Exit codes that every ecsx program keeps to (`docs/plugins.md`).

use std::process::ExitStatus;

/// Done.
pub const DONE: u8 = 0;
/// Something failed: project, AWS, session.
pub const FAILED: u8 = 1;
/// The command line could not be understood.
pub const USAGE: u8 = 2;
/// A command ended, and there was no way to learn its exit code.
pub const UNKNOWN: u8 = 124;
/// A command was to be run and ecsx or AWS failed before it could report a code of its own.
pub const ECSX_FAILED: u8 = 125;
/// The command was found and could not be run.
pub const CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;
/// Ctrl-C ended it, as a shell counts it (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM before a command was started.
pub const TERMINATED: u8 = 143;

/// The code for a program that ended so, as shells have it: its own, or 128 and the signal.
pub fn of(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(FAILED);
    }
    status.code().map_or(FAILED, |code| code as u8)
}

/// Every code and what it means: the table of `docs/plugins.md`. A command that was run (a
/// plugin, a remote command) keeps its own.
pub const TABLE: [(u8, &str); 9] = [
    (DONE, "done"),
    (FAILED, "something failed: project, AWS, session"),
    (USAGE, "the command line could not be understood"),
    (UNKNOWN, "a command ended, and there was no way to learn its exit code"),
    (ECSX_FAILED, "a command was to be run, and ecsx or AWS failed before it had a code of its own"),
    (CANNOT_RUN, "the command was found and could not be run"),
    (NOT_FOUND, "the command was not found"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
    (TERMINATED, "ended by SIGTERM before a command was started"),
];
