//! A program on a terminal: keys go in, what would be on the screen comes out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

/// A program on a pseudo-terminal of its own, 80 by 24; dropped, it is gone.
pub(crate) struct Terminal {
    program: Child,
    keys: File,
    shown: Arc<(Mutex<String>, Condvar)>,
    /// How much of `shown` was waited for already.
    read: usize,
}

impl Terminal {
    /// Starts `command` as the leader of a session on a new terminal (by util-linux' setsid).
    pub(crate) fn start(command: &Command) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let size = rustix::termios::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&master, size).unwrap();
        let slave = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();

        let mut leader = Command::new("setsid");
        leader.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args()).env_clear();
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = command.get_current_dir() {
            leader.current_dir(directory);
        }
        leader.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let program = super::suite::spawn(&mut leader);
        drop(leader);

        let mut screen = File::from(master);
        let keys = screen.try_clone().unwrap();
        let shown = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let writer = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                writer.0.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
                writer.1.notify_all();
            }
        });
        Self { program, keys, shown, read: 0 }
    }

    /// Types.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown, after what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap();
        loop {
            if let Some(at) = shown[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {text:?}; shown: {:?}", &shown[self.read..]);
            shown = changed.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// The window changes its size.
    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.keys, size).unwrap();
    }

    /// The terminal's modes, to be compared.
    pub(crate) fn modes(&self) -> String {
        let modes = rustix::termios::tcgetattr(&self.keys).unwrap();
        format!(
            "{:?} {:?} {:?} {:?}",
            modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes
        )
    }

    /// Sends a signal to the program, and to nothing else on its terminal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let group = rustix::termios::tcgetpgrp(&self.keys).unwrap();
        rustix::process::kill_process(group, signal).unwrap();
    }

    /// Waits for the program to end; the terminal stays.
    pub(crate) fn wait_until_ended(&mut self) {
        self.program.wait().unwrap();
    }

    /// Waits for the program to end: its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.program.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
