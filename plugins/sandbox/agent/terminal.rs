//! A command on a pty of its own.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::Child;

/// First argument of a process that is to be [`on_terminal`].
const ON_TERMINAL: &str = "__on-terminal";

/// A running command and its terminal.
pub(super) struct Terminal {
    master: OwnedFd,
    _child: Child,
}

/// The end of a terminal that a person would sit at.
pub(super) struct Screen(pipe::Receiver);

/// Its other direction.
pub(super) struct Keyboard(pipe::Sender);

impl Terminal {
    /// Starts `words[0]`, found on PATH, with a new terminal that is its controlling one.
    pub(super) fn start(words: &[String]) -> Result<(Self, Screen, Keyboard), String> {
        let (program, arguments) = words.split_first().ok_or("no command")?;
        let found = which::which(program).map_err(|_| match program.contains('/') {
            true => format!("fork/exec {program}: no such file or directory"),
            false => format!("exec: \"{program}\": executable file not found in $PATH"),
        })?;
        let started = Self::spawn(found.into(), program, arguments);
        started.map_err(|error| format!("fork/exec {program}: {error}"))
    }

    fn spawn(found: OsString, program: &str, arguments: &[String]) -> io::Result<(Self, Screen, Keyboard)> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        // Not every system takes it as a flag of openpt.
        rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        rustix::io::ioctl_fionbio(&master, true)?;

        // A new session and its controlling terminal can only be made in the child, and only by
        // safe code there: this very program again, which then becomes the command.
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ON_TERMINAL).arg(found).arg(program).args(arguments);
        command.stdin(Stdio::from(slave.try_clone()?)).stdout(Stdio::from(slave.try_clone()?)).stderr(slave);
        command.env("TERM", "xterm-256color");
        if std::env::var_os("LANG").is_none_or(|lang| lang.is_empty()) {
            command.env("LANG", "C.UTF-8");
        }
        // Whatever ends a session, the command itself is killed then, and only it: what it has
        // started gets the terminal's hangup.
        let child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        // A pty's master reads and writes as pipes do; tokio has no type of its own for it.
        let screen = pipe::Receiver::from_owned_fd_unchecked(master.try_clone()?)?;
        let keyboard = pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?;
        Ok((Self { master, _child: child }, Screen(screen), Keyboard(keyboard)))
    }

    pub(super) fn resize(&self, cols: u32, rows: u32) {
        let size = Winsize { ws_col: cols as u16, ws_row: rows as u16, ws_xpixel: 0, ws_ypixel: 0 };
        // A terminal that is gone has no size.
        let _ = rustix::termios::tcsetwinsize(&self.master, size);
    }
}

impl Screen {
    /// Bytes that the command has written; 0 at its end.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> usize {
        // The end of a terminal is an error (EIO) where that of a pipe is none.
        self.0.read(buffer).await.unwrap_or(0)
    }
}

impl Keyboard {
    /// Types bytes; answers how many were taken.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }
}

/// What [`on_terminal`] is to become, if this process was started for that.
pub(crate) fn words(mut arguments: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    (arguments.nth(1)? == ON_TERMINAL).then(|| arguments.collect())
}

/// Becomes a command whose controlling terminal is our stdin: `PATH NAME ARGUMENT…`.
pub(crate) fn on_terminal(words: &[OsString]) -> io::Error {
    let [path, name, arguments @ ..] = words else {
        return io::Error::other("no command");
    };
    let prepared =
        rustix::process::setsid().and_then(|_| rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()));
    match prepared {
        Ok(()) => Command::new(path).arg0(name).args(arguments).exec(),
        Err(error) => error.into(),
    }
}
