//! What goes into a channel and what comes out of it.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

/// Payload size of Amazon's ends, bytes.
pub const PAYLOAD_SIZE: usize = 1024;
/// Default bound on bytes sent and not acknowledged.
pub const WINDOW: usize = 256 << 10;

/// What a channel needs to know before it starts.
#[derive(Clone)]
pub struct Config {
    /// Seeds message ids and nonces; 32 random bytes, never used twice.
    pub seed: [u8; 32],
    /// The same moment on both clocks: dates in headers are counted from here.
    pub started: (Instant, SystemTime),
    /// Largest payload to build, bytes; [`PAYLOAD_SIZE`] is what Amazon's ends use.
    pub payload_size: usize,
    /// Bound on bytes sent and not acknowledged, headers included; [`WINDOW`] if in doubt.
    pub window: usize,
    /// Whether the agent is sure to begin with a handshake: port sessions and non-interactive
    /// commands. A shell may begin with nothing at all (`cat`), so without this a silent session
    /// becomes [`Event::Ready`] 1.5 s after the gateway lets data flow.
    pub expect_handshake: bool,
}

/// Without the seed, so that it may be logged.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("payload_size", &self.payload_size)
            .field("window", &self.window)
            .field("expect_handshake", &self.expect_handshake)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The defaults.
    pub fn new(seed: [u8; 32], started: (Instant, SystemTime), expect_handshake: bool) -> Self {
        Self { seed, started, payload_size: PAYLOAD_SIZE, window: WINDOW, expect_handshake }
    }
}

/// What happens to a channel.
pub enum Input {
    /// A WebSocket is open, for the first time or after a resume; `token` goes into the open message.
    Connected {
        /// Token of StartSession, ExecuteCommand or ResumeSession.
        token: String,
    },
    /// The WebSocket is gone. Nothing is transmitted until the next `Connected`.
    Disconnected,
    /// One whole WebSocket message, binary or text.
    Received(Bytes),
    /// Session data for the remote end; at most [`super::Channel::capacity`] bytes.
    Write(Bytes),
    /// The local terminal's size. May come before the session is ready; the last one counts.
    Resize {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// A flag for the agent. After `TerminateSession` nothing more can be written.
    Flag(Flag),
    /// Answer to [`Event::KeyWanted`]: the data key, or why there is none.
    Key(Result<Key, String>),
    /// The instant of the last [`Output::Timeout`] has come.
    Timeout,
}

/// Without tokens and session data, so that it may be logged.
impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { .. } => f.write_str("Connected"),
            Self::Disconnected => f.write_str("Disconnected"),
            Self::Received(bytes) => write!(f, "Received({} bytes)", bytes.len()),
            Self::Write(bytes) => write!(f, "Write({} bytes)", bytes.len()),
            Self::Resize { cols, rows } => write!(f, "Resize({cols}x{rows})"),
            Self::Flag(flag) => write!(f, "Flag({flag:?})"),
            Self::Key(Ok(_)) => f.write_str("Key(..)"),
            Self::Key(Err(error)) => write!(f, "Key({error})"),
            Self::Timeout => f.write_str("Timeout"),
        }
    }
}

/// A data key (protocol: the first half decrypts, the second encrypts).
pub struct Key {
    /// The key itself.
    pub plaintext: [u8; 64],
    /// The key as KMS encrypted it.
    pub ciphertext: Vec<u8>,
    /// Whether the agent's random challenge was part of the encryption context.
    pub challenge_acknowledged: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Flags a client sends (payload type 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Flag {
    /// Basic port mode: the local connection is gone.
    DisconnectToPort = 1,
    /// End the session now.
    TerminateSession = 2,
}

/// What a channel wants.
#[derive(Debug)]
pub enum Output {
    /// Send this WebSocket message.
    Transmit(Frame),
    /// Something happened.
    Event(Event),
    /// Nothing more until input, or until this instant if there is one.
    Timeout(Option<Instant>),
}

/// A WebSocket message.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text: the open message only. Holds the session's token.
    Text(String),
    /// Binary: everything else.
    Binary(Bytes),
}

/// Without the token, so that it may be logged.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// What a channel tells the application.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The session can be used. Before it `Write` would be acknowledged and thrown away by the agent.
    ///
    /// Comes a second time in one case: a silent session was taken to be ready, and the agent,
    /// late, began with a handshake after all. What was written in between is sent again.
    Ready(Ready),
    /// Bytes from the remote end, in order, once.
    Data(Stream, Bytes),
    /// The remote command's exit code (payload type 12).
    ExitCode(i32),
    /// A destination could not be reached (flag 3); it names no stream, the FIN that follows does.
    ConnectFailed,
    /// The session is to be encrypted: answer with [`Input::Key`] within 15 s.
    KeyWanted {
        /// KMS key id or ARN.
        key_id: String,
        /// The agent's random challenge, to go into the encryption context if present.
        challenge: Option<String>,
    },
    /// The gateway asks to stop sending; `true` again when it lets go.
    Publication(bool),
    /// A message was dropped, unacknowledged, and why. Only the first of a session is told;
    /// [`Statistics::refused`] counts them all.
    Refused(String),
    /// The session is over; the text is the agent's or the service's, empty for a normal end.
    Closed(String),
    /// The session cannot go on: what broke.
    Failed(String),
}

/// Without session data, so that it may be logged.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(ready) => f.debug_tuple("Ready").field(ready).finish(),
            Self::Data(stream, bytes) => write!(f, "Data({stream:?}, {} bytes)", bytes.len()),
            Self::ExitCode(code) => write!(f, "ExitCode({code})"),
            Self::ConnectFailed => f.write_str("ConnectFailed"),
            Self::KeyWanted { key_id, .. } => write!(f, "KeyWanted({key_id})"),
            Self::Publication(flows) => write!(f, "Publication({flows})"),
            Self::Refused(why) => write!(f, "Refused({why})"),
            Self::Closed(why) => write!(f, "Closed({why})"),
            Self::Failed(why) => write!(f, "Failed({why})"),
        }
    }
}

/// How a session came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What kind of session the agent offers.
    pub kind: Kind,
    /// Agent version; `None` when there was no handshake.
    pub agent_version: Option<String>,
    /// For people (KMS notice and the like); may be empty.
    pub message: String,
}

/// What kind of session the agent offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Terminal or command.
    Shell,
    /// Port forward, multiplexed with smux.
    Mux {
        /// Whether this end must send NOPs (agents up to 3.1.1511.0).
        keep_alive: bool,
    },
    /// Port forward of an old agent: one connection at a time.
    Basic {
        /// Whether the agent takes [`Flag::TerminateSession`] (after 2.3.722.0).
        terminate_flag: bool,
    },
    /// Raw stream (SSH document).
    Raw,
}

/// Which remote stream bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Output (payload type 1).
    Output,
    /// Standard error (payload type 11).
    Error,
}

/// How a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Messages dropped for being malformed, oversized or broken.
    pub refused: u64,
    /// Stream messages received again after they had been taken.
    pub duplicates: u64,
    /// Transmissions of a message after its first.
    pub resent: u64,
    /// Smoothed round-trip time to the agent.
    pub round_trip: Duration,
    /// Bytes that may be sent and not acknowledged now.
    pub window: usize,
    /// Bytes that are sent, or wait to be, and not acknowledged, headers included.
    pub unacknowledged: usize,
    /// Bytes kept because they came before their turn.
    pub early: usize,
}
