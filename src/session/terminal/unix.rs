//! The terminal of a Unix.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How the terminal was before [`Raw`]: where a panic finds it too.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Raw mode of the terminal on stdin; dropped, or at a panic, the terminal is as it was.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Every key is a byte from now on, and nothing is echoed.
    pub fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        let stdin = io::stdin();
        let modes = tcgetattr(&stdin)?;
        let mut raw = modes.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(modes);
        let raw_mode = Self(());
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(raw_mode)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(modes) = before {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
    }
}

/// Columns and rows of the terminal, if there is one.
pub fn size() -> Option<(u32, u32)> {
    let size =
        if io::stdout().is_terminal() { tcgetwinsize(io::stdout()) } else { tcgetwinsize(io::stdin()) };
    let size = size.ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Tells when the terminal's size may have changed.
#[derive(Debug)]
pub struct Resizes(Signal);

impl Resizes {
    /// Listens from now on.
    pub fn new() -> io::Result<Self> {
        signal(SignalKind::window_change()).map(Self)
    }

    /// The next change. Cancel-safe.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// The signals that end a session.
#[derive(Debug)]
pub struct Signals([Signal; 4]);

impl Signals {
    /// Listens from now on.
    pub fn new() -> io::Result<Self> {
        let [hangup, interrupt, quit, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()]
                .map(signal);
        Ok(Self([hangup?, interrupt?, quit?, terminate?]))
    }

    /// The next one: its number. Cancel-safe.
    pub async fn next(&mut self) -> u8 {
        let [hangup, interrupt, quit, terminate] = &mut self.0;
        tokio::select! {
            Some(()) = hangup.recv() => 1,
            Some(()) = interrupt.recv() => 2,
            Some(()) = quit.recv() => 3,
            Some(()) = terminate.recv() => 15,
            else => std::future::pending().await,
        }
    }
}
