//! Unix: exec(2). The plugin takes over this process: terminal, job control, signals and exit
//! status are its own, as if it had been run directly.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{io, mem, ptr};

use crate::dispatch::start::inherited_pipe;

/// Becomes `program`. Comes back only if that failed.
pub(crate) fn run(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
) -> io::Result<u8> {
    let environment = environment.iter().map(|(name, value)| (name, value));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment);
    let signals = Signals::inherited();
    // SAFETY: between fork and exec (here, without a fork) only async-signal-safe calls are made.
    unsafe { command.pre_exec(move || signals.restore()) };
    Err(command.exec())
}

/// What a plugin started directly would inherit, and [`Command`] resets.
struct Signals {
    blocked: libc::sigset_t,
    pipe: libc::sighandler_t,
}

impl Signals {
    fn inherited() -> Self {
        // SAFETY: reads the mask into a structure of ours that may be all zeros.
        let blocked = unsafe {
            let mut blocked = mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut blocked);
            blocked
        };
        Self { blocked, pipe: inherited_pipe() }
    }

    fn restore(&self) -> io::Result<()> {
        // SAFETY: plain, async-signal-safe calls on a set that was read from the kernel.
        unsafe {
            libc::signal(libc::SIGPIPE, self.pipe);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.blocked, ptr::null_mut());
        }
        Ok(())
    }
}
