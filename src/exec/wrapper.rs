//! The client's half of a wrapped command.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::frames::{Frames, Piece};
use super::marks::{Marks, Nonce};
use super::script::Script;
use super::{Command, Mode};

/// Largest frame of stdin, bytes; where the container's dd cannot read one whole, what a pipe
/// holds beside it. The next one is not sent before it is taken: what lies unread fits into dd
/// and the terminal, so that the agent is never stuck in a write to it, and takes the session's
/// end.
const FRAME: usize = 1 << 20;
const SHORT_FRAME: usize = 16 << 10;
/// Most keys at once, bytes.
const KEYS: usize = 16 << 10;
/// What is kept of the words a shell says instead of the hello or the start, bytes.
const PREAMBLE: usize = 4 << 10;

/// What a wrapper wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this into the session, in order.
    Send(Bytes),
    /// The command's stdout, or in a terminal all its output.
    Stdout(Bytes),
    /// The command's stderr.
    Stderr(Bytes),
    /// The command runs from now on.
    Started,
    /// It ended with this code; 128 and a signal's number if one killed it. All its output
    /// came before. Once what is still to be sent is out, the session can end.
    Exited(u8),
    /// It cannot be run: with this exit code, 127 if there is no such program. Nothing was run.
    Unrunnable(u8),
    /// The container has no such tool: it cannot be done with pipes.
    Missing(String),
    /// The streams cannot be told apart any more.
    Broken(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waits for the hello.
    Booting,
    /// The script is sent.
    Starting,
    Running,
    Over,
}

/// One command in its wrapper. Drain [`Self::poll_output`] after each call.
#[derive(Debug)]
pub struct Wrapper {
    mode: Mode,
    script: Script,
    phase: Phase,
    outputs: VecDeque<Output>,
    preamble: Vec<u8>,
    /// In the session's output, until the command runs: first the hello.
    marks: Marks,
    secret: Nonce,
    frames: Frames,
    /// Its mark is the exit code.
    stdout: Stream,
    stderr: Stream,
    /// Sent and not yet taken.
    under_way: VecDeque<Frame>,
    /// Largest frame, bytes.
    longest: usize,
    /// The keys sent so far end within a line.
    within_line: bool,
    stdin_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Stdin,
    Interrupt,
}

/// A stream that ends with a mark: what follows is not the command's.
#[derive(Debug)]
struct Stream {
    marks: Marks,
    end: Option<String>,
}

impl Stream {
    fn new(nonce: &Nonce) -> Self {
        Self { marks: Marks::new(nonce), end: None }
    }

    /// The stream goes on with `bytes`: what of them is the command's. What may be the beginning
    /// of the mark waits.
    fn feed(&mut self, bytes: &[u8]) -> Bytes {
        if self.end.is_some() {
            return Bytes::new();
        }
        let found = self.marks.feed(bytes);
        self.end = found.mark.map(|(text, _)| text);
        found.before
    }
}

impl Wrapper {
    /// Wraps `command`. `random` tells this session's marks from everybody's bytes.
    pub fn new(command: &Command, mode: Mode, random: [[u8; 8]; 2]) -> Self {
        let [hello, secret] = random.map(Nonce::new);
        Self {
            mode,
            script: Script::new(command, mode, &hello, &secret),
            phase: Phase::Booting,
            outputs: VecDeque::new(),
            preamble: Vec::new(),
            marks: Marks::new(&hello),
            frames: Frames::new(&secret, false),
            stdout: Stream::new(&secret),
            stderr: Stream::new(&secret),
            secret,
            under_way: VecDeque::new(),
            longest: SHORT_FRAME,
            within_line: false,
            stdin_ended: false,
        }
    }

    /// What ECS is to run.
    pub fn command_line(&self) -> &str {
        &self.script.line
    }

    /// Whether the wrapper's shell has said hello.
    pub fn has_begun(&self) -> bool {
        self.phase != Phase::Booting
    }

    /// What came instead of the hello or the start: a shell's complaint.
    pub fn preamble(&self) -> String {
        String::from_utf8_lossy(&self.preamble).trim().to_owned()
    }

    /// Bytes of stdin that [`Self::stdin`] takes now: none before the start, while others are
    /// under way, and after the end.
    pub fn stdin_capacity(&self) -> usize {
        match self.mode {
            _ if self.phase != Phase::Running || self.stdin_ended => 0,
            Mode::Terminal => KEYS,
            Mode::Piped if self.under_way.contains(&Frame::Stdin) => 0,
            Mode::Piped => self.longest,
        }
    }

    /// The command's stdin, or the keys; at most [`Self::stdin_capacity`] bytes.
    pub fn stdin(&mut self, bytes: Bytes) {
        if bytes.is_empty() || self.phase != Phase::Running || self.stdin_ended {
            return;
        }
        if self.mode == Mode::Terminal {
            self.within_line = !matches!(bytes.last(), Some(b'\r' | b'\n'));
            return self.outputs.push_back(Output::Send(bytes));
        }
        self.under_way.push_back(Frame::Stdin);
        let mut frame = BytesMut::from(format!("{:<8}", bytes.len()).as_bytes());
        frame.extend_from_slice(&bytes);
        self.outputs.push_back(Output::Send(frame.freeze()));
    }

    /// stdin has ended. A terminal's command is told by Ctrl-D, as there is no other way; within a
    /// line the first one only hands the line over.
    pub fn end_stdin(&mut self) {
        if self.phase != Phase::Running || std::mem::replace(&mut self.stdin_ended, true) {
            return;
        }
        let end = match self.mode {
            Mode::Terminal if self.within_line => &b"\x04\x04"[..],
            Mode::Terminal => b"\x04",
            Mode::Piped => b"end     ",
        };
        self.outputs.push_back(Output::Send(Bytes::from_static(end)));
    }

    /// Interrupts the command, as Ctrl-C at its terminal would; `false`: it does not run.
    pub fn interrupt(&mut self) -> bool {
        if self.phase != Phase::Running {
            return false;
        }
        self.outputs.push_back(Output::Send(Bytes::from_static(match self.mode {
            Mode::Terminal => b"\x03",
            Mode::Piped => {
                self.under_way.push_back(Frame::Interrupt);
                b"int     "
            }
        })));
        true
    }

    /// Whether an interrupt is still on its way: behind stdin that the command does not read, it
    /// stays there.
    pub fn is_interrupting(&self) -> bool {
        self.under_way.contains(&Frame::Interrupt)
    }

    /// The session's output goes on with `bytes`.
    pub fn received(&mut self, bytes: &[u8]) {
        let mut rest = Bytes::copy_from_slice(bytes);
        while matches!(self.phase, Phase::Booting | Phase::Starting) {
            let found = self.marks.feed(&rest);
            let room = PREAMBLE.saturating_sub(self.preamble.len());
            self.preamble.extend_from_slice(&found.before[..found.before.len().min(room)]);
            let Some((text, after)) = found.mark else { return };
            self.progress(&text);
            rest = after;
        }
        match self.mode {
            _ if self.phase == Phase::Over => {}
            Mode::Terminal => {
                self.stdout(&rest);
                self.check_exit();
            }
            Mode::Piped => self.framed(&rest),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn progress(&mut self, text: &str) {
        match (self.phase, text) {
            (Phase::Booting, "hello") => {
                self.phase = Phase::Starting;
                // What follows is the terminal's echo of the script.
                self.preamble.clear();
                self.marks = Marks::new(&self.secret);
                self.outputs.push_back(Output::Send(std::mem::take(&mut self.script.input).into()));
            }
            (Phase::Starting, text) => {
                if let Some(found) = text.strip_prefix("start") {
                    self.phase = Phase::Running;
                    self.preamble.clear();
                    self.frames = Frames::new(&self.secret, found.contains('z'));
                    self.longest = if found.contains('f') { FRAME } else { SHORT_FRAME };
                    self.outputs.push_back(Output::Started);
                } else if let Some(code) = text.strip_prefix("not").and_then(|code| code.parse().ok()) {
                    self.phase = Phase::Over;
                    self.outputs.push_back(Output::Unrunnable(code));
                } else if let Some(tool) = text.strip_prefix("no") {
                    self.phase = Phase::Over;
                    self.outputs.push_back(Output::Missing(tool.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn framed(&mut self, bytes: &[u8]) {
        let pieces = match self.frames.feed(bytes) {
            Ok(pieces) => pieces,
            Err(reason) => {
                self.phase = Phase::Over;
                return self.outputs.push_back(Output::Broken(reason));
            }
        };
        for piece in pieces {
            match piece {
                Piece::Taken => drop(self.under_way.pop_front()),
                Piece::Stdout(bytes) => self.stdout(&bytes),
                Piece::Stderr(bytes) => {
                    let bytes = self.stderr.feed(&bytes);
                    self.put(bytes, Output::Stderr);
                }
                Piece::Stray(bytes) => self.outputs.push_back(Output::Stderr(bytes)),
            }
        }
        self.check_exit();
    }

    fn stdout(&mut self, bytes: &[u8]) {
        let bytes = self.stdout.feed(bytes);
        self.put(bytes, Output::Stdout);
    }

    fn put(&mut self, bytes: Bytes, output: fn(Bytes) -> Output) {
        if !bytes.is_empty() {
            self.outputs.push_back(output(bytes));
        }
    }

    fn check_exit(&mut self) {
        let Some(code) = &self.stdout.end else { return };
        if self.phase == Phase::Over || (self.mode == Mode::Piped && self.stderr.end.is_none()) {
            return;
        }
        self.phase = Phase::Over;
        if self.mode == Mode::Piped {
            self.outputs.push_back(Output::Send(Bytes::from_static(b"bye     ")));
        }
        self.outputs.push_back(match code.parse() {
            Ok(code) => Output::Exited(code),
            Err(_) => Output::Broken(format!("the exit code {code:?} is none")),
        });
    }
}
