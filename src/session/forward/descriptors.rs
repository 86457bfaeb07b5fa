//! File descriptors: each local connection takes one, and so does what keeps the sessions alive.

use std::sync::Once;

use super::status::{Report, Status};

/// Descriptors that connections leave free: to dial again, to look a name up, to read credentials.
#[cfg(unix)]
const RESERVE: u64 = 24;

/// Whether another connection may have a descriptor, and somebody to tell if none may.
pub(super) struct Descriptors {
    /// How many there may be; `None` for as many as one likes.
    limit: Option<u64>,
    report: Report,
    told: Once,
}

impl Descriptors {
    /// With as many as the system lets this process have: macOS starts programs with 256.
    pub(super) fn new(report: Report) -> Self {
        Self { limit: raised(), report, told: Once::new() }
    }

    /// Whether so few are left that no connection may be accepted, which is told once. `any` is
    /// something open.
    #[cfg(unix)]
    pub(super) fn are_short(&self, any: &impl std::os::fd::AsFd) -> bool {
        use std::os::fd::AsRawFd as _;
        let Some(limit) = self.limit else { return false };
        // The system gives the lowest number that is free.
        let next = rustix::io::fcntl_dupfd_cloexec(any, 0).ok().map(|fd| fd.as_raw_fd());
        let next = next.and_then(|fd| u64::try_from(fd).ok());
        let short = next.is_none_or(|next| next + RESERVE >= limit);
        if short {
            self.told.call_once(|| (self.report)(Status::Crowded { limit }));
        }
        short
    }

    #[cfg(not(unix))]
    pub(super) fn are_short<T>(&self, _: &T) -> bool {
        debug_assert!(self.limit.is_none(), "sockets are not numbered here");
        false
    }
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
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
            Some(raised.map_or(current, |()| wanted))
        }
        current => current,
    }
}

#[cfg(not(unix))]
fn raised() -> Option<u64> {
    None
}
