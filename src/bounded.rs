//! Bounds on the work of a program that somebody else wrote (jsonnet of a project, jq of a user)
//! and whose interpreter knows none: time everywhere, memory where the system tells.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The longest it may take. (Real ones take milliseconds, unoptimised builds ten times as long.)
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 900 });
/// How much the process may grow meanwhile, in bytes.
const LARGEST: u64 = 256 << 20;
/// How often is looked.
const TICK: Duration = Duration::from_millis(2);
/// Its stack: parsers call themselves as deep as the text nests. (Unused, it costs nothing.)
const STACK: usize = 256 << 20;

/// Why it was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Slow,
    Large,
    /// No thread to be had, or it died.
    Broken,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow => "does not come to an end",
            Self::Large => "takes too much memory",
            Self::Broken => "could not be evaluated",
        })
    }
}

/// Runs `work` on a thread of its own. One that is given up is left behind: it ends with the
/// process, which has nothing to go on with.
pub(crate) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
    let (sender, receiver) = channel();
    let before = resident().unwrap_or(0);
    let thread = thread::Builder::new().stack_size(STACK).spawn(move || {
        // Nobody listens any more if it took too long.
        let _ = sender.send(work());
    });
    thread.map_err(|_| Stopped::Broken)?;
    let start = Instant::now();
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped::Broken),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if resident().is_some_and(|now| now.saturating_sub(before) > LARGEST) {
            return Err(Stopped::Large);
        }
        if start.elapsed() > LONGEST {
            return Err(Stopped::Slow);
        }
    }
}

/// Memory of this process in bytes, where a file tells it (Linux).
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
