//! The console of Windows.

// The console has no safe interface in the standard library; each call here is given a handle of
// our own and memory that outlives it.
#![allow(unsafe_code)]

use std::io::{self, Read as _, Write as _};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT,
    ENABLE_PROCESSED_OUTPUT, ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING,
    GetConsoleMode, GetConsoleScreenBufferInfo, GetStdHandle, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    SetConsoleMode,
};

/// How often the size is looked at: the console tells of changes only among the keys.
const LOOK: Duration = Duration::from_millis(500);

/// The modes of input and output before [`Raw`].
static BEFORE: Mutex<Option<[Option<u32>; 2]>> = Mutex::new(None);

/// Raw mode of the console; dropped, or at a panic, it is as it was.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Every key is a byte or an xterm sequence from now on, and nothing is echoed.
    pub fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        let input = mode(STD_INPUT_HANDLE).ok_or_else(io::Error::last_os_error)?;
        let output = mode(STD_OUTPUT_HANDLE);
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert([Some(input), output]);
        let raw = Self(());
        let cooked = ENABLE_ECHO_INPUT | ENABLE_LINE_INPUT | ENABLE_PROCESSED_INPUT;
        set_mode(STD_INPUT_HANDLE, (input & !cooked) | ENABLE_VIRTUAL_TERMINAL_INPUT)?;
        if let Some(output) = output {
            set_mode(
                STD_OUTPUT_HANDLE,
                output | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING,
            )?;
        }
        Ok(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    for (which, mode) in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE].into_iter().zip(before.into_iter().flatten()) {
        if let Some(mode) = mode {
            let _ = set_mode(which, mode);
        }
    }
}

fn handle(which: u32) -> HANDLE {
    // SAFETY: takes a number; a handle that is none makes the calls below fail.
    unsafe { GetStdHandle(which) }
}

fn mode(which: u32) -> Option<u32> {
    let mut mode = 0;
    // SAFETY: `mode` outlives the call.
    (unsafe { GetConsoleMode(handle(which), &mut mode) } != 0).then_some(mode)
}

fn set_mode(which: u32, mode: u32) -> io::Result<()> {
    // SAFETY: takes numbers.
    match unsafe { SetConsoleMode(handle(which), mode) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Columns and rows of the console's window, if there is one.
pub fn size() -> Option<(u32, u32)> {
    let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: `info` outlives the call.
    if unsafe { GetConsoleScreenBufferInfo(handle(STD_OUTPUT_HANDLE), &mut info) } == 0 {
        return None;
    }
    let window = info.srWindow;
    let length = |from: i16, to: i16| u32::try_from(i32::from(to) - i32::from(from) + 1).ok();
    Some((length(window.Left, window.Right)?, length(window.Top, window.Bottom)?))
}

/// Tells when the console's size may have changed.
#[derive(Debug)]
pub struct Resizes(());

impl Resizes {
    /// Looks from now on.
    pub fn new() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// The next time to look. Cancel-safe.
    pub async fn next(&mut self) {
        tokio::time::sleep(LOOK).await;
    }
}

/// What ends a session: Ctrl-C (outside raw mode), Ctrl-Break, the window's closing.
#[derive(Debug)]
pub struct Signals {
    interrupt: CtrlC,
    terminate: CtrlBreak,
    close: CtrlClose,
}

impl Signals {
    /// Listens from now on.
    pub fn new() -> io::Result<Self> {
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_break()?, close: ctrl_close()? })
    }

    /// The next one, as the number that Unix has for it. Cancel-safe.
    pub async fn next(&mut self) -> u8 {
        tokio::select! {
            Some(()) = self.interrupt.recv() => 2,
            Some(()) = self.terminate.recv() => 15,
            Some(()) = self.close.recv() => 1,
            else => std::future::pending().await,
        }
    }
}

/// Reads from stdin; 0 at its end.
pub fn read_stdin(buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match io::stdin().lock().read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes to stdout, all of it and at once.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    // A prompt has no end of line.
    stdout.flush()
}

/// Writes to stderr, all of it and at once.
pub fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(bytes)
}
