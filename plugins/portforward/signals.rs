//! The words to stop: Ctrl-C, and what a terminal or a supervisor sends.

use std::io;

use ecsx::plugin::exit;
use ecsx::session::terminal;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Ctrl-C: a child in the foreground gets it too.
    Interrupt,
    /// Terminate, hang up, or the window closed, by its number: for this process alone.
    Terminate(u8),
}

impl Word {
    /// As a shell counts it, for what was not done because of it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => exit::INTERRUPTED,
            Self::Terminate(signal) => 128 + signal,
        }
    }
}

/// Listens for them, from now on; not for those that nohup or a shell's `&` has ignored.
pub(crate) struct Signals(terminal::Signals);

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        terminal::Signals::new().map(Self)
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Word {
        const INTERRUPT: u8 = 2;
        match self.0.next().await {
            INTERRUPT => Word::Interrupt,
            signal => Word::Terminate(signal),
        }
    }
}

/// Tells a child to end.
pub(crate) fn terminate(child: &mut tokio::process::Child) {
    #[cfg(unix)]
    if let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    #[cfg(windows)]
    let _ = child.start_kill();
}
