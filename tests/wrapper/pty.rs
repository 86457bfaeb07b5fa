//! A container as ECS Exec offers it: a line, split, run on a terminal of its own. The other end
//! of the terminal is read as the agent does, or as fast as it goes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ecsx::exec::{Output, Wrapper};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::shlex;

/// A session with a wrapped command.
pub(crate) struct Session {
    wrapper: Wrapper,
    terminal: File,
    output: Receiver<Vec<u8>>,
    child: Child,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// `None`: it did not get so far.
    pub(crate) code: Option<u8>,
    pub(crate) trouble: Option<Output>,
}

impl Session {
    /// Starts `wrapper`'s line with `sh` replaced by `shell` and PATH by `path`.
    pub(crate) fn start(wrapper: Wrapper, shell: &[&str], path: Option<&str>) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = std::ffi::OsString::from_vec(ptsname(&master, vec![]).unwrap().into_bytes());
        let side = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let words = shlex::split(wrapper.command_line()).unwrap();
        assert_eq!(words[0], "sh");
        // As the agent does: a test run under nohup or in CI has signals ignored, and who is born
        // with one ignored cannot trap it.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal", "/usr/bin/setsid", "--ctty"]).args(shell).args(&words[1..]);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let terminal = File::from(master);
        let (sender, output) = channel();
        let mut reader = terminal.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            // A terminal whose other end is closed answers with an error.
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { wrapper, terminal, output, child }
    }

    /// Feeds `stdin`, then its end, and runs to the command's exit.
    pub(crate) fn run(self, stdin: &[u8]) -> Outcome {
        self.run_after("", stdin)
    }

    /// The same, but nothing is fed until stdout has shown `sign`.
    pub(crate) fn run_after(self, sign: &str, mut stdin: &[u8]) -> Outcome {
        self.act_after(sign, |wrapper| {
            let capacity = wrapper.stdin_capacity();
            let (now, later) = stdin.split_at(stdin.len().min(capacity));
            match capacity {
                0 => {}
                _ if now.is_empty() => wrapper.end_stdin(),
                _ => wrapper.stdin(bytes::Bytes::copy_from_slice(now)),
            }
            stdin = later;
            capacity > 0
        })
    }

    /// Interrupts the command once stdout has shown `sign`, and runs to its exit.
    pub(crate) fn interrupt_after(self, sign: &str) -> Outcome {
        let mut done = false;
        self.act_after(sign, |wrapper| !std::mem::replace(&mut done, true) && wrapper.interrupt())
    }

    /// Runs to the command's exit; `act` does what it likes once stdout has shown `sign`, until
    /// it answers that it did nothing, and again after all that arrives.
    fn act_after(mut self, sign: &str, mut act: impl FnMut(&mut Wrapper) -> bool) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            while let Some(output) = self.wrapper.poll_output() {
                match output {
                    Output::Send(bytes) => self.terminal.write_all(&bytes).unwrap(),
                    Output::Stdout(bytes) => outcome.stdout.extend_from_slice(&bytes),
                    Output::Stderr(bytes) => outcome.stderr.extend_from_slice(&bytes),
                    Output::Started => {}
                    Output::Exited(code) => {
                        outcome.code = Some(code);
                        self.finish();
                        return outcome;
                    }
                    trouble => outcome.trouble = Some(trouble),
                }
            }
            let shown = sign.is_empty() || String::from_utf8_lossy(&outcome.stdout).contains(sign);
            if shown && act(&mut self.wrapper) {
                continue;
            }
            match self.output.recv_timeout(Duration::from_secs(20)) {
                Ok(bytes) => self.wrapper.received(&bytes),
                Err(_) => return outcome,
            }
        }
    }

    /// The wrapper has to go by itself.
    fn finish(&mut self) {
        while self.output.recv_timeout(Duration::from_secs(20)).is_ok() {}
        self.child.wait().unwrap();
    }

    /// The other end of the terminal.
    pub(crate) fn terminal(&self) -> OwnedFd {
        self.terminal.try_clone().unwrap().into()
    }
}
