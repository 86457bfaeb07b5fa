//! The words to stop: Ctrl-C, and what a terminal or a supervisor sends.

use std::io;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Ctrl-C: a child in the foreground gets it too.
    Interrupt,
    /// Terminate, hang up, or the window closed: for this process alone.
    Terminate,
}

/// Listens for them, from now on.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Word {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Word::Interrupt,
            Some(()) = self.terminate.recv() => Word::Terminate,
            Some(()) = self.hangup.recv() => Word::Terminate,
            else => std::future::pending().await,
        }
    }
}

/// Listens for them, from now on.
#[cfg(windows)]
pub(crate) struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    terminate: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Word {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Word::Interrupt,
            Some(()) = self.terminate.recv() => Word::Terminate,
            Some(()) = self.close.recv() => Word::Terminate,
            else => std::future::pending().await,
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
