//! File descriptors: each local connection takes one, and so does what keeps the sessions alive.
#![allow(unsafe_code)]

use std::process::Command;
use std::sync::{Once, OnceLock};

use tokio::net::TcpListener;

use super::status::{Report, Status};

/// Descriptors that connections leave free: to dial again, to look a name up, to read credentials.
const RESERVE: u64 = 24;

/// The limit that this process was started with, once it is another.
static STARTED_WITH: OnceLock<u64> = OnceLock::new();

/// Whether another connection may have a descriptor, and somebody to tell if none may.
pub(super) struct Descriptors {
    /// How many there may be; `None` for as many as one likes.
    limit: Option<u64>,
    listeners: u64,
    report: Report,
    told: Once,
}

impl Descriptors {
    /// With as many as the system lets this process have: macOS starts programs with 256.
    pub(super) fn new(listeners: usize, report: Report) -> Self {
        Self { limit: raised(), listeners: listeners as u64, report, told: Once::new() }
    }

    /// Whether so few are left that no connection may be accepted, which is told once. `any` is
    /// something open.
    pub(super) fn are_short(&self, any: &TcpListener) -> bool {
        let Some(limit) = self.limit else { return false };
        // Each listener waits for one that it was free to take when it began.
        let reserve = (RESERVE + self.listeners).min(limit / 4);
        let short = next_number(any).is_none_or(|next| next + reserve >= limit);
        if short {
            self.told.call_once(|| (self.report)(Status::Crowded { limit }));
        }
        short
    }
}

/// The number that the next descriptor gets: the system gives the lowest that is free.
#[cfg(unix)]
fn next_number(any: &TcpListener) -> Option<u64> {
    use std::os::fd::AsRawFd as _;
    let next = rustix::io::fcntl_dupfd_cloexec(any, 0).ok()?;
    u64::try_from(next.as_raw_fd()).ok()
}

/// Sockets are not numbered here, nor limited.
#[cfg(not(unix))]
fn next_number(_: &TcpListener) -> Option<u64> {
    Some(0)
}

/// The limit, as high as it goes.
#[cfg(unix)]
fn raised() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// macOS takes no more, though its limit is said to be infinite; nobody needs more.
    const MOST: u64 = 10_240;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(MOST, |maximum| maximum.min(MOST));
    match current {
        Some(current) if current < wanted => {
            match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
                Ok(()) => {
                    STARTED_WITH.get_or_init(|| current);
                    Some(wanted)
                }
                Err(_) => Some(current),
            }
        }
        current => current,
    }
}

#[cfg(not(unix))]
fn raised() -> Option<u64> {
    None
}

/// Lets `command` begin with the limit of file descriptors that this process began with: programs
/// that use select(2) rely on a low one.
pub fn with_the_usual_descriptors(command: &mut Command) {
    #[cfg(unix)]
    if let Some(&started_with) = STARTED_WITH.get() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let restore = move || {
            let limit = Rlimit { current: Some(started_with), ..getrlimit(Resource::Nofile) };
            setrlimit(Resource::Nofile, limit).map_err(std::io::Error::from)
        };
        // SAFETY: both calls are plain system calls, allowed between fork and exec.
        unsafe { std::os::unix::process::CommandExt::pre_exec(command, restore) };
    }
    #[cfg(not(unix))]
    let _ = (command, &STARTED_WITH);
}
