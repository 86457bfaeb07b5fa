//! One session's data channel.
//!
//! After every [`Channel::handle_input`] drain [`Channel::poll_output`] until it answers
//! [`Output::Timeout`]; call again with [`Input::Timeout`] at that instant at the latest.

use std::time::{Instant, SystemTime};

use bytes::Bytes;

/// What a channel needs to know before it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Seeds message ids and nonces; 32 random bytes, never used twice.
    pub seed: [u8; 32],
    /// The same moment on both clocks: dates in headers are counted from here.
    pub started: (Instant, SystemTime),
    /// Largest payload to build, bytes. Amazon's ends use 1024.
    pub payload_size: usize,
    /// Bound on bytes sent and not acknowledged.
    pub window: usize,
}

/// What happens to a channel.
#[derive(Debug)]
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
    /// Session data for the remote end; at most [`Channel::capacity`] bytes.
    Write(Bytes),
    /// The local terminal's size.
    Resize {
        /// Columns.
        cols: u32,
        /// Rows.
        rows: u32,
    },
    /// A flag for the agent.
    Flag(Flag),
    /// Answer to [`Event::KeyWanted`]: the data key, or why there is none.
    Key(Result<Key, String>),
    /// The instant of the last [`Output::Timeout`] has come.
    Timeout,
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

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text: the open message only.
    Text(String),
    /// Binary: everything else.
    Binary(Bytes),
}

/// What a channel tells the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session can be used. Before it `Write` would be acknowledged and thrown away by the agent.
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
    /// The session is over; the text is the agent's or the service's, empty for a normal end.
    Closed(String),
    /// The session cannot go on: what broke.
    Failed(String),
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

/// One session's data channel.
#[derive(Debug)]
pub struct Channel {
    _config: Config,
}

impl Channel {
    /// A channel that waits for [`Input::Connected`].
    pub fn new(config: Config) -> Self {
        Self { _config: config }
    }

    /// Takes one input. Drain [`Self::poll_output`] afterwards.
    pub fn handle_input(&mut self, _now: Instant, _input: Input) {}

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        Output::Timeout(None)
    }

    /// Bytes of session data that [`Input::Write`] takes now; zero before the session is ready,
    /// while paused, and while the window is full.
    pub fn capacity(&self) -> usize {
        0
    }

    /// Whether everything written has been acknowledged.
    pub fn is_drained(&self) -> bool {
        true
    }

    /// Since when the oldest unacknowledged message has waited.
    pub fn unacknowledged_since(&self) -> Option<Instant> {
        None
    }
}
