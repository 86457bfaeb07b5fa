//! How a session comes up: by handshake, by the first output, or by presumption.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Channel, Event, Key, Kind, PayloadType, Ready};
use crate::ssm::body::{Base64, EncChallenge, HandshakeComplete, HandshakeRequest, to_bytes};
use crate::ssm::crypt::Crypt;
use crate::ssm::handshake::Offer;

/// How long a shell may say nothing before it is taken to be ready. A pty's first output
/// comes after 1 s at the earliest, a handshake well before.
const SILENCE: Duration = Duration::from_millis(1500);
/// What was written on presumption is kept up to this many bytes, to be sent again if the
/// agent begins with a handshake after all.
const REMEMBERED: usize = 64 << 10;

pub(super) struct Start {
    state: State,
    expect_handshake: bool,
    challenged: bool,
}

enum State {
    /// Nothing has come from the agent.
    Silent { presume_at: Option<Instant> },
    /// Taken to be ready; the agent has yet to say anything.
    Presumed(Remembered),
    /// The answer waits for the data key.
    KeyWanted(Box<Offer>, Remembered),
    /// The handshake is answered.
    Answered { kind: Kind, agent_version: String, remembered: Remembered },
    /// The session is ready beyond doubt.
    Ready,
}

/// What the agent has thrown away, should a handshake come.
#[derive(Default)]
struct Remembered {
    written: Vec<Bytes>,
    bytes: usize,
}

impl Start {
    pub(super) fn new(expect_handshake: bool) -> Self {
        Self { state: State::Silent { presume_at: None }, expect_handshake, challenged: false }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready | State::Presumed(_))
    }

    pub(super) fn presumes_at(&self) -> Option<Instant> {
        match self.state {
            State::Silent { presume_at } => presume_at,
            _ => None,
        }
    }

    /// Silence counts from the connection, and anew from start_publication.
    pub(super) fn connected(&mut self, now: Instant) {
        self.published(now);
    }

    pub(super) fn published(&mut self, now: Instant) {
        if let (State::Silent { presume_at }, false) = (&mut self.state, self.expect_handshake) {
            *presume_at = Some(now + SILENCE);
        }
    }

    pub(super) fn disconnected(&mut self) {
        if let State::Silent { presume_at } = &mut self.state {
            *presume_at = None;
        }
    }

    /// Notes what is written on presumption.
    pub(super) fn remember(&mut self, chunk: &Bytes) {
        if let State::Presumed(remembered) = &mut self.state {
            remembered.bytes = remembered.bytes.saturating_add(chunk.len());
            if remembered.bytes <= REMEMBERED {
                remembered.written.push(chunk.clone());
            } else {
                remembered.written = Vec::new();
            }
        }
    }
}

impl Channel {
    /// A silent shell becomes ready when its time has come.
    pub(super) fn presume_ready(&mut self) {
        if self.start.presumes_at().is_some_and(|at| at <= self.now) {
            self.start.state = State::Presumed(Remembered::default());
            self.ready(Kind::Shell, None, String::new(), Vec::new());
        }
    }

    /// The agent sends session data: whatever was pending, the session is ready.
    pub(super) fn data_began(&mut self) {
        match std::mem::replace(&mut self.start.state, State::Ready) {
            State::Ready => {}
            State::Silent { .. } => self.ready(Kind::Shell, None, String::new(), Vec::new()),
            // It may have been too early for the size; input that it took it has taken.
            State::Presumed(_) => self.put_size(),
            State::KeyWanted(..) => {
                self.fail("the agent sent data before the session's encryption was agreed")
            }
            State::Answered { kind, agent_version, remembered } => {
                self.complete(kind, agent_version, remembered, String::new());
            }
        }
    }

    pub(super) fn handshake_request(&mut self, payload: &[u8]) {
        let remembered = match &mut self.start.state {
            State::Silent { .. } => Remembered::default(),
            State::Presumed(remembered) => std::mem::take(remembered),
            // Asked again under a new number: a second answer would block the agent for ever.
            _ => return,
        };
        let request: HandshakeRequest = match serde_json::from_slice(payload) {
            Ok(request) => request,
            Err(error) => {
                return self.fail(&format!("the agent's handshake request cannot be read: {error}"));
            }
        };
        let offer = Box::new(Offer::new(request));
        match &offer.encryption {
            Some(parameters) => {
                let (key_id, challenge) = (parameters.key_id.clone(), parameters.challenge.clone());
                self.event(Event::KeyWanted { key_id, challenge });
                self.start.state = State::KeyWanted(offer, remembered);
            }
            None => self.answer(&offer, None, remembered),
        }
    }

    pub(super) fn key(&mut self, key: Result<Key, String>) {
        // Any state that is not waiting for a key is left as it is.
        let State::KeyWanted(offer, remembered) = &mut self.start.state else { return };
        let (offer, remembered) = (offer.clone(), std::mem::take(remembered));
        if let Ok(key) = &key {
            self.crypt = Crypt::client(&key.plaintext, self.random.next());
        }
        self.answer(&offer, Some(&key), remembered);
    }

    fn answer(&mut self, offer: &Offer, key: Option<&Result<Key, String>>, remembered: Remembered) {
        self.start.state =
            State::Answered { kind: offer.kind, agent_version: offer.agent_version.clone(), remembered };
        self.number(PayloadType::HandshakeResponse, to_bytes(&offer.answer(key)));
    }

    pub(super) fn challenge(&mut self, payload: &[u8]) {
        // As with the handshake: one answer, ever.
        if std::mem::replace(&mut self.start.challenged, true) {
            return;
        }
        let answer = serde_json::from_slice::<EncChallenge>(payload).ok().and_then(|request| {
            let crypt = self.crypt.as_mut()?;
            let challenge = crypt.open(&request.challenge.0)?;
            crypt.seal(&challenge)
        });
        match answer {
            Some(sealed) => {
                let body = EncChallenge { challenge: Base64(sealed.to_vec()) };
                self.number(PayloadType::EncChallengeResponse, to_bytes(&body));
            }
            None => {
                self.fail("the agent's encryption challenge cannot be decrypted: the two ends' keys differ")
            }
        }
    }

    pub(super) fn handshake_complete(&mut self, payload: &[u8]) {
        let complete: HandshakeComplete = serde_json::from_slice(payload).unwrap_or_default();
        match std::mem::replace(&mut self.start.state, State::Ready) {
            State::Answered { kind, agent_version, remembered } => {
                self.complete(kind, agent_version, remembered, complete.customer_message);
            }
            other => self.start.state = other,
        }
    }

    fn complete(&mut self, kind: Kind, agent_version: String, remembered: Remembered, message: String) {
        if remembered.bytes > REMEMBERED {
            return self.fail("the agent began with a handshake so late that input is lost");
        }
        self.ready(kind, Some(agent_version), message, remembered.written);
    }

    /// The session is ready: the size, what the agent threw away, what was held back.
    fn ready(&mut self, kind: Kind, agent_version: Option<String>, message: String, again: Vec<Bytes>) {
        self.event(Event::Ready(Ready { kind, agent_version, message }));
        if kind == Kind::Shell {
            self.put_size();
        }
        for chunk in again {
            self.number(PayloadType::Output, chunk);
        }
        for (payload_type, payload) in std::mem::take(&mut self.held) {
            self.number(payload_type, payload);
        }
    }

    fn put_size(&mut self) {
        if let Some(size) = self.size {
            self.number(PayloadType::Size, to_bytes(&size));
        }
    }
}
