//! One session's data channel.
//!
//! After every [`Channel::handle_input`] drain [`Channel::poll_output`] until it answers
//! [`Output::Timeout`]; call again with [`Input::Timeout`] at that instant at the latest.
//!
//! This file puts the parts together: [`send`] and [`receive`] number and order the two
//! directions, [`inbound`] is what incoming frames mean, [`start`] how a session comes up,
//! [`verbs`] what goes in and out.

mod inbound;
mod receive;
mod send;
mod start;
mod verbs;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::verbs::{
    Config, Event, Flag, Frame, Input, Key, Kind, Output, PAYLOAD_SIZE, Ready, Statistics, Stream, WINDOW,
};

use self::receive::Receiver;
use self::send::Sender;
use self::start::Start;
use super::body::{Acknowledgement, OpenDataChannel, Size, to_bytes};
use super::crypt::Crypt;
use super::handshake::CLIENT_VERSION;
use super::random::Random;
use super::wire::{FLAGS_ACKNOWLEDGE, Message, MessageId, MessageType, PayloadType};

/// Acknowledgements repeated on a new connection: the last before a loss are lost with it, and
/// the agent repeats what it takes for unacknowledged one message at a time, ten a second.
const REPEATED: usize = 512;
/// How long a pause is kept to the letter while nothing is unacknowledged.
const PROBE: Duration = Duration::from_secs(1);
/// Largest payload that can be asked for, bytes.
const LARGEST_PAYLOAD: usize = 128 << 10;

/// One session's data channel.
pub struct Channel {
    started: (Instant, u64),
    now: Instant,
    payload_size: usize,
    random: Random,
    client_id: MessageId,
    /// The open message, until it is transmitted.
    open: Option<Frame>,
    connected: bool,
    start: Start,
    over: bool,
    terminating: bool,
    /// Since when the gateway wants no more.
    paused: Option<Instant>,
    crypt: Option<Crypt>,
    /// Asked for before the session was ready.
    held: VecDeque<(PayloadType, Bytes)>,
    size: Option<Size>,
    sender: Sender,
    receiver: Receiver,
    acknowledgements: VecDeque<(i64, MessageId)>,
    /// The last ones transmitted.
    acknowledged: VecDeque<(i64, MessageId)>,
    events: VecDeque<Event>,
    unfetched: usize,
    heard: Option<Instant>,
    refused: u64,
}

/// Without tokens, keys and session data, so that it may be logged.
impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("connected", &self.connected)
            .field("over", &self.over)
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// A channel that waits for [`Input::Connected`].
    pub fn new(config: Config) -> Self {
        let (now, date) = config.started;
        let date = date.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let payload_size = config.payload_size.clamp(1, LARGEST_PAYLOAD);
        let mut random = Random::new(&config.seed);
        Self {
            started: (now, u64::try_from(date.as_millis()).unwrap_or(u64::MAX)),
            now,
            payload_size,
            client_id: MessageId::from_random(random.next()),
            random,
            open: None,
            connected: false,
            start: Start::new(config.expect_handshake),
            over: false,
            terminating: false,
            paused: None,
            crypt: None,
            held: VecDeque::new(),
            size: None,
            sender: Sender::new(payload_size, config.window),
            receiver: Receiver::default(),
            acknowledgements: VecDeque::new(),
            acknowledged: VecDeque::new(),
            events: VecDeque::new(),
            unfetched: 0,
            heard: None,
            refused: 0,
        }
    }

    /// Takes one input. Drain [`Self::poll_output`] afterwards. A clock that goes back stands still.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        if self.over {
            return;
        }
        if self.connected {
            self.sender.advance(self.now);
            self.presume_ready();
        }
        match input {
            Input::Connected { token } => self.connected(token),
            Input::Disconnected => self.disconnected(),
            Input::Received(message) if self.connected => self.received(message),
            Input::Received(_) | Input::Timeout => {}
            Input::Write(bytes) => self.write(bytes),
            Input::Resize { cols, rows } => self.resize(cols, rows),
            Input::Flag(flag) => {
                self.terminating |= flag == Flag::TerminateSession;
                self.put(PayloadType::Flag, Bytes::copy_from_slice(&(flag as u32).to_be_bytes()));
            }
            Input::Key(key) => self.key(key),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        if let Some(event) = self.events.pop_front() {
            self.unfetched -= weight(&event);
            return Output::Event(event);
        }
        match self.poll_frame() {
            Some(frame) => Output::Transmit(frame),
            None => Output::Timeout(self.deadline()),
        }
    }

    fn poll_frame(&mut self) -> Option<Frame> {
        if !self.connected {
            return None;
        }
        if let Some(open) = self.open.take() {
            return Some(open);
        }
        if let Some((number, id)) = self.acknowledgements.pop_front() {
            if self.acknowledged.len() >= REPEATED {
                self.acknowledged.pop_front();
            }
            self.acknowledged.push_back((number, id));
            return self.acknowledgement(number, id).map(Frame::Binary);
        }
        if self.over {
            return None;
        }
        self.sender.poll(self.now, self.is_paused()).map(Frame::Binary)
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.connected || self.over {
            return None;
        }
        let probe = self.probe_at().filter(|at| *at > self.now);
        let sender = self.sender.deadline(self.is_paused());
        let deadline = sender.into_iter().chain(self.start.presumes_at()).chain(probe).min()?;
        // Never an instant that has come already: whoever waits for it would spin.
        Some(deadline.max(self.now + Duration::from_millis(1)))
    }

    /// Bytes of session data that [`Input::Write`] takes now; zero before the session is ready,
    /// while paused, while the window is full, and once the session is being terminated.
    pub fn capacity(&self) -> usize {
        if self.over || self.terminating || !self.start.is_ready() {
            return 0;
        }
        match self.paused {
            None => self.sender.capacity(),
            Some(_) if self.probe_at().is_some_and(|at| at <= self.now) => self.payload_size,
            Some(_) => 0,
        }
    }

    /// While paused with nothing on its way, nothing would ever be acknowledged and end the
    /// pause, should start_publication be lost: so one message may go after a while.
    fn probe_at(&self) -> Option<Instant> {
        self.paused.filter(|_| self.sender.is_empty()).map(|since| since + PROBE)
    }

    /// Whether everything written has been acknowledged.
    pub fn is_drained(&self) -> bool {
        self.sender.is_empty() && self.held.is_empty()
    }

    /// Since when the oldest unacknowledged message has waited.
    pub fn unacknowledged_since(&self) -> Option<Instant> {
        self.sender.oldest()
    }

    /// When the agent last gave a sign of life, an acknowledgement or a stream message. The
    /// gateway's own messages are none: it goes on without the agent.
    pub fn agent_heard(&self) -> Option<Instant> {
        self.heard
    }

    /// How the channel is doing.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            refused: self.refused,
            duplicates: self.receiver.duplicates(),
            resent: self.sender.resent(),
            round_trip: self.sender.round_trip(),
            window: self.sender.window(),
            unacknowledged: self.sender.bytes(),
            early: self.receiver.bytes(),
        }
    }

    /// A pause does not hold back the end.
    fn is_paused(&self) -> bool {
        self.paused.is_some() && !self.terminating
    }

    fn connected(&mut self, token: String) {
        self.disconnected();
        let open = OpenDataChannel {
            message_schema_version: "1.0".into(),
            request_id: MessageId::from_random(self.random.next()).to_string(),
            token_value: token,
            client_id: self.client_id.to_string(),
            client_version: CLIENT_VERSION.into(),
        };
        self.open = Some(Frame::Text(String::from_utf8_lossy(&to_bytes(&open)).into_owned()));
        self.connected = true;
        self.start.connected(self.now);
        self.publication(true);
    }

    fn disconnected(&mut self) {
        self.connected = false;
        self.open = None;
        self.acknowledged.append(&mut self.acknowledgements);
        std::mem::swap(&mut self.acknowledged, &mut self.acknowledgements);
        self.sender.disconnected();
        self.start.disconnected();
    }

    fn agent_lives(&mut self) {
        self.heard = Some(self.now);
        self.publication(true);
    }

    fn publication(&mut self, flows: bool) {
        if self.paused.is_some() == flows {
            self.paused = (!flows).then_some(self.now);
            self.event(Event::Publication(flows));
        }
    }

    fn write(&mut self, bytes: Bytes) {
        for at in (0..bytes.len()).step_by(self.payload_size) {
            let chunk = bytes.slice(at..bytes.len().min(at + self.payload_size));
            self.put(PayloadType::Output, chunk);
        }
    }

    fn resize(&mut self, cols: u32, rows: u32) {
        // The agent keeps 16 bits of each.
        let largest = u32::from(u16::MAX);
        let size = Size { cols: cols.min(largest), rows: rows.min(largest) };
        self.size = Some(size);
        if self.start.is_ready() {
            self.put(PayloadType::Size, to_bytes(&size));
        }
    }

    /// Sends a payload, when the session is ready for it.
    fn put(&mut self, payload_type: PayloadType, payload: Bytes) {
        if self.start.is_ready() {
            self.number(payload_type, payload);
        } else {
            self.held.push_back((payload_type, payload));
        }
    }

    /// Encrypts, numbers, serialises and records a payload; transmission follows.
    fn number(&mut self, payload_type: PayloadType, payload: Bytes) {
        if payload_type == PayloadType::Output {
            self.start.remember(&payload);
        }
        let sealed = match &mut self.crypt {
            Some(crypt) if payload_type == PayloadType::Output => crypt.seal(&payload),
            _ => Some(payload),
        };
        let Some(payload) = sealed else { return self.fail("a message cannot be encrypted") };
        let message = Message {
            message_type: MessageType::InputStreamData,
            created_ms: self.date(),
            sequence: self.sender.next_number(),
            flags: 0,
            id: MessageId::from_random(self.random.next()),
            payload_type,
            payload,
        };
        match message.encode() {
            Ok(frame) => self.sender.record(self.now, frame),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn acknowledgement(&mut self, number: i64, id: MessageId) -> Option<Bytes> {
        let body = Acknowledgement {
            message_type: MessageType::OutputStreamData.as_str().into(),
            message_id: id.to_string(),
            sequence: number,
            is_sequential: true,
        };
        let message = Message {
            message_type: MessageType::Acknowledge,
            created_ms: self.date(),
            sequence: 0,
            flags: FLAGS_ACKNOWLEDGE,
            id: MessageId::from_random(self.random.next()),
            payload_type: PayloadType::None,
            payload: to_bytes(&body),
        };
        message.encode().ok()
    }

    fn date(&self) -> u64 {
        let (started, date) = self.started;
        let since = self.now.saturating_duration_since(started).as_millis();
        date.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Tells the application, unless it has been told that all is over.
    fn event(&mut self, event: Event) {
        if self.over {
            return;
        }
        self.unfetched += weight(&event);
        self.events.push_back(event);
    }

    fn refuse(&mut self, why: String) {
        if self.refused == 0 {
            self.event(Event::Refused(why));
        }
        self.refused += 1;
    }

    fn fail(&mut self, why: &str) {
        self.event(Event::Failed(why.to_owned()));
        self.over = true;
    }
}

/// What an unfetched event weighs against the bound on them.
fn weight(event: &Event) -> usize {
    match event {
        Event::Data(_, bytes) => 256 + bytes.len(),
        _ => 256,
    }
}
