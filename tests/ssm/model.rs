//! A model of Amazon's agent, with its habits, and of the network and gateway in between. All in
//! virtual time, all decided by a seed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ecsx::ssm::body::{Acknowledgement, Base64, EncChallenge, HandshakeResponse, KmsResult, to_bytes};
use ecsx::ssm::crypt::Crypt;
use ecsx::ssm::wire::{Digest, Message, MessageId, MessageType, PayloadType};
use serde_json::json;

use crate::drive::{acknowledge, output};

pub(crate) const DATA_KEY: [u8; 64] = [42; 64];
const RTO: Duration = Duration::from_millis(200);

/// splitmix64: any seed is as good as another.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound * 1000))
    }
}

/// Bytes that say where they belong.
pub(crate) fn pattern(name: u64, length: usize) -> Vec<u8> {
    let mut random = Random(name);
    (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(length).collect()
}

/// What kind of session the agent makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No handshake; output from the first second on.
    Shell,
    /// No handshake; nothing is said before all input has come.
    Silent,
    /// A handshake with encryption.
    Encrypted,
    /// smux.
    Mux,
}

/// What the two applications have to say to each other, by stream; 0 is the only one without smux.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) up: BTreeMap<u32, Vec<u8>>,
    pub(crate) down: BTreeMap<u32, Vec<u8>>,
}

pub(crate) struct Agent {
    mode: Mode,
    plan: Plan,
    pub(crate) received: BTreeMap<u32, Vec<u8>>,
    said: BTreeMap<u32, usize>,
    finished: BTreeSet<u32>,
    opened: Vec<u32>,
    smux: Vec<u8>,
    crypt: Option<Crypt>,
    handshake: bool,
    next: i64,
    unacknowledged: VecDeque<(i64, Bytes, Instant)>,
    expected: i64,
    early: BTreeMap<i64, Message>,
    seen: HashMap<i64, Bytes>,
    outbox: VecDeque<Bytes>,
    paused: bool,
    speaks_at: Instant,
    pace: Duration,
    random: Random,
}

impl Agent {
    pub(crate) fn new(mode: Mode, plan: Plan, now: Instant, seed: u64) -> Self {
        let mut random = Random(seed ^ 0xa6e7);
        let slow = random.percent(50);
        let mut agent = Self {
            mode,
            plan,
            received: BTreeMap::new(),
            said: BTreeMap::new(),
            finished: BTreeSet::new(),
            opened: Vec::new(),
            smux: Vec::new(),
            crypt: None,
            handshake: matches!(mode, Mode::Shell | Mode::Silent),
            next: 0,
            unacknowledged: VecDeque::new(),
            expected: 0,
            early: BTreeMap::new(),
            seen: HashMap::new(),
            outbox: VecDeque::new(),
            paused: false,
            speaks_at: now + Duration::from_secs(1),
            pace: if slow { Duration::from_millis(1) } else { Duration::from_micros(20) },
            random,
        };
        match mode {
            Mode::Shell | Mode::Silent => agent.opened.push(0),
            Mode::Mux => {
                agent.request(now, json!([session_type("Port", json!({ "type": "LocalPortForwarding" }))]))
            }
            Mode::Encrypted => {
                let kms = json!({ "ActionType": "KMSEncryption", "ActionParameters": { "KMSKeyId": "k", "Challenge": "c" } });
                agent.request(now, json!([session_type("InteractiveCommands", json!(null)), kms]));
            }
        }
        agent
    }

    fn request(&mut self, now: Instant, actions: serde_json::Value) {
        let body = json!({ "AgentVersion": "3.3.987.0", "RequestedClientActions": actions });
        self.send(now, PayloadType::HandshakeRequest, body.to_string().as_bytes());
    }

    fn send(&mut self, now: Instant, payload_type: PayloadType, payload: &[u8]) {
        let sealed = match &mut self.crypt {
            Some(crypt) if payload_type == PayloadType::Output => crypt.seal(payload).unwrap(),
            _ => Bytes::copy_from_slice(payload),
        };
        let message =
            Message { flags: u64::from(self.next == 0), ..output(self.next, payload_type, &sealed) };
        let frame = message.encode().unwrap();
        self.unacknowledged.push_back((self.next, frame.clone(), now));
        self.next += 1;
        if !self.paused {
            self.outbox.push_back(frame);
        }
    }

    pub(crate) fn receive(&mut self, now: Instant, frame: Bytes) {
        let message = Message::decode(frame.clone(), Digest::Verify).unwrap();
        match message.message_type {
            MessageType::Acknowledge => {
                self.paused = false;
                let body: Acknowledgement = serde_json::from_slice(&message.payload).unwrap();
                self.unacknowledged.retain(|(number, ..)| *number != body.sequence);
            }
            MessageType::InputStreamData => {
                self.paused = false;
                let first = self.seen.entry(message.sequence).or_insert_with(|| frame.clone());
                assert_eq!(*first, frame, "a repetition is the same bytes");
                self.outbox.push_back(acknowledge(message.sequence).encode().unwrap());
                if message.sequence >= self.expected {
                    self.early.insert(message.sequence, message);
                }
                while let Some(message) = self.early.remove(&self.expected) {
                    self.expected += 1;
                    self.input(now, message);
                }
            }
            MessageType::PausePublication => self.paused = true,
            MessageType::StartPublication => self.paused = false,
            other => panic!("a client sends no {other:?}"),
        }
    }

    fn input(&mut self, now: Instant, message: Message) {
        match message.payload_type {
            PayloadType::HandshakeResponse => self.response(now, &message.payload),
            PayloadType::EncChallengeResponse => {
                let body: EncChallenge = serde_json::from_slice(&message.payload).unwrap();
                let crypt = self.crypt.as_ref().unwrap();
                assert_eq!(crypt.open(&body.challenge.0).unwrap()[..], [7; 64]);
                self.complete(now);
            }
            // As the real one: acknowledged and thrown away.
            PayloadType::Output if !self.handshake => {}
            PayloadType::Output => {
                let payload = match &self.crypt {
                    Some(crypt) => crypt.open(&message.payload).expect("the client encrypts"),
                    None => message.payload,
                };
                match self.mode {
                    Mode::Mux => self.smux(&payload),
                    _ => self.received.entry(0).or_default().extend_from_slice(&payload),
                }
            }
            PayloadType::Size => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn response(&mut self, now: Instant, payload: &[u8]) {
        let response: HandshakeResponse = serde_json::from_slice(payload).unwrap();
        assert!(response.processed_client_actions.iter().all(|action| action.action_status == 1));
        if self.mode == Mode::Mux {
            return self.complete(now);
        }
        let result = response.processed_client_actions[1].action_result.clone();
        let result: KmsResult = serde_json::from_value(result).unwrap();
        assert_eq!(result.ciphertext_key.0, b"blob");
        let mut crypt = Crypt::agent(&DATA_KEY, [1; 4]).unwrap();
        let body = EncChallenge { challenge: Base64(crypt.seal(&[7; 64]).unwrap().to_vec()) };
        self.crypt = Some(crypt);
        self.send(now, PayloadType::EncChallengeRequest, &to_bytes(&body));
        self.opened.push(0);
    }

    fn complete(&mut self, now: Instant) {
        self.send(
            now,
            PayloadType::HandshakeComplete,
            br#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#,
        );
        self.handshake = true;
    }

    fn smux(&mut self, bytes: &[u8]) {
        self.smux.extend_from_slice(bytes);
        while self.smux.len() >= 8 {
            let length = usize::from(u16::from_le_bytes([self.smux[2], self.smux[3]]));
            if self.smux.len() < 8 + length {
                return;
            }
            let frame: Vec<u8> = self.smux.drain(..8 + length).collect();
            let id = u32::from_le_bytes(frame[4..8].try_into().unwrap());
            match frame[..2] {
                [1, 0] => {
                    self.opened.push(id);
                    self.received.insert(id, Vec::new());
                }
                [1, 1] => {}
                [1, 2] => self.received.get_mut(&id).unwrap().extend_from_slice(&frame[8..]),
                _ => panic!("unexpected frame {frame:?}"),
            }
        }
    }

    /// Says the next 1024 bytes at most, as often as the pace allows.
    pub(crate) fn speak(&mut self, now: Instant) {
        if now < self.speaks_at || !self.handshake || self.paused {
            return;
        }
        // With nothing to say it looks again later.
        self.speaks_at = now + Duration::from_millis(5);
        let at = self.random.below(self.opened.len() as u64) as usize;
        let Some(&id) = self.opened.get(at) else { return };
        if self.mode == Mode::Silent && self.received.get(&0) != self.plan.up.get(&0) {
            return;
        }
        let said = self.said.entry(id).or_default();
        let all = &self.plan.down[&id];
        let chunk = all[*said..all.len().min(*said + 1000)].to_vec();
        *said += chunk.len();
        if !chunk.is_empty() {
            self.speaks_at = now + self.pace;
            let framed = match self.mode {
                Mode::Mux => {
                    let length = (chunk.len() as u16).to_le_bytes();
                    [&[1, 2, length[0], length[1]], &id.to_le_bytes()[..], &chunk].concat()
                }
                _ => chunk,
            };
            self.send(now, PayloadType::Output, &framed);
        } else if self.mode == Mode::Mux
            && self.received.get(&id) == self.plan.up.get(&id)
            && self.finished.insert(id)
        {
            self.send(now, PayloadType::Output, &[&[1, 1, 0, 0], &id.to_le_bytes()[..]].concat());
        }
    }

    /// The habit that heals nothing but the front of the list.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some((_, frame, sent)) = self.unacknowledged.front_mut()
            && !self.paused
            && now >= *sent + RTO
        {
            *sent = now;
            self.outbox.push_back(frame.clone());
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Bytes> {
        self.outbox.pop_front()
    }

    pub(crate) fn deadline(&self, now: Instant) -> Instant {
        let resend = self.unacknowledged.front().map(|(_, _, sent)| *sent + RTO);
        let speech = self.handshake && !self.paused && !self.is_done();
        let next = resend.into_iter().chain(speech.then_some(self.speaks_at)).min();
        next.unwrap_or(now + Duration::from_secs(1)).max(now + Duration::from_micros(10))
    }

    /// Whether both applications have everything, as far as the agent knows.
    pub(crate) fn is_done(&self) -> bool {
        let all_said = self.plan.down.iter().all(|(id, all)| self.said.get(id) == Some(&all.len()));
        let all_finished =
            self.mode != Mode::Mux || self.plan.down.keys().all(|id| self.finished.contains(id));
        all_said && all_finished && self.received == self.plan.up
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.unacknowledged.is_empty()
    }
}

fn session_type(session_type: &str, properties: serde_json::Value) -> serde_json::Value {
    json!({ "ActionType": "SessionType", "ActionParameters": { "SessionType": session_type, "Properties": properties } })
}

pub(crate) fn service(message_type: MessageType) -> Bytes {
    Message {
        message_type,
        created_ms: 0,
        sequence: 0,
        flags: 0,
        id: MessageId([0; 16]),
        payload_type: PayloadType::None,
        payload: Bytes::from_static(b"{}"),
    }
    .encode_service()
    .unwrap()
}

/// Whom a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Client,
    Agent,
}

/// Delay, jitter (and so reordering), loss and duplication.
pub(crate) struct Network {
    in_flight: BTreeMap<(Instant, u64), (To, Bytes)>,
    carried: u64,
    delay: Duration,
    jitter: u64,
    loss: u64,
    duplication: u64,
    random: Random,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed ^ 0x7e7);
        let delay = random.millis(80);
        let jitter = if random.percent(50) { random.below(60) } else { 0 };
        let (loss, duplication) = (random.below(26), random.below(15));
        Self { in_flight: BTreeMap::new(), carried: 0, delay, jitter, loss, duplication, random }
    }

    pub(crate) fn carry(&mut self, now: Instant, to: To, frame: Bytes) {
        let copies = 1 + u64::from(self.random.percent(self.duplication));
        for _ in 0..copies {
            if !self.random.percent(self.loss) {
                let at = now + self.delay + self.random.millis(self.jitter);
                self.carried += 1;
                self.in_flight.insert((at, self.carried), (to, frame.clone()));
            }
        }
    }

    pub(crate) fn arrives(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn deliver(&mut self, now: Instant) -> Option<(To, Bytes)> {
        let entry = self.in_flight.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// All that is on its way is gone.
    pub(crate) fn cut(&mut self) {
        self.in_flight.clear();
    }
}
