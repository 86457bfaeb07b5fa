//! The terminal of a Unix.

use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, Once, PoisonError};
use std::task::Poll;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
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
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(modes);
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

/// The signals that end a session, those that were not ignored when the program was started:
/// nohup and a shell's `&` ignore some, and mean it.
#[derive(Debug)]
pub struct Signals(Vec<(u8, Signal)>);

impl Signals {
    /// Listens from now on; to be called before anything else listens.
    pub fn new() -> io::Result<Self> {
        let kinds = [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
            SignalKind::alarm(),
        ];
        let ignored = ignored();
        let mut signals = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
            if ignored & (1 << number.saturating_sub(1)) == 0 {
                signals.push((number, signal(kind)?));
            }
        }
        Ok(Self(signals))
    }

    /// The next one: its number. Cancel-safe.
    pub async fn next(&mut self) -> u8 {
        poll_fn(|cx| {
            for (number, signal) in &mut self.0 {
                if signal.poll_recv(cx) == Poll::Ready(Some(())) {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The ignored signals, a bit each from signal 1 on. There is no safe way to ask but Linux'; on
/// other systems it is none.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Reads from stdin; 0 at its end, which that of a terminal that is gone is too. A stdin that
/// somebody else has made non-blocking is waited for.
pub fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = io::stdin();
    loop {
        match rustix::io::read(&stdin, &mut *buffer) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&stdin, PollFlags::IN)?,
            Err(Errno::IO) if stdin.is_terminal() => return Ok(0),
            read => return Ok(read?),
        }
    }
}

/// Writes to stdout, all of it and at once.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    write(&io::stdout(), bytes)
}

/// Writes to stderr, all of it and at once.
pub fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    write(&io::stderr(), bytes)
}

fn write(stream: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(stream, PollFlags::OUT)?,
            written => bytes = &bytes[written?..],
        }
    }
    Ok(())
}

fn wait(stream: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(stream, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
