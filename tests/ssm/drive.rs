//! A channel under a test's hand: inputs at chosen instants, outputs sorted.

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use ecsx::ssm::body::Acknowledgement;
use ecsx::ssm::channel::{Channel, Config, Event, Frame, Input, Output};
use ecsx::ssm::wire::{Digest, Message, MessageId, MessageType, PayloadType};
use serde_json::{Value, json};

pub(crate) struct Driven {
    pub(crate) channel: Channel,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) opened: Vec<String>,
    pub(crate) sent: Vec<Message>,
    pub(crate) raw: Vec<Bytes>,
    pub(crate) events: Vec<Event>,
    pub(crate) deadline: Option<Instant>,
}

impl Driven {
    pub(crate) fn new(expect_handshake: bool) -> Self {
        Self::with(|config| config.expect_handshake = expect_handshake)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let start = Instant::now();
        let mut config = Config::new([7; 32], (start, UNIX_EPOCH + Duration::from_secs(1_800_000_000)), true);
        change(&mut config);
        let channel = Channel::new(config);
        let (opened, sent, raw, events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { channel, start, now: start, opened, sent, raw, events, deadline: None }
    }

    /// Connected, with the open message out of the way.
    pub(crate) fn connected(expect_handshake: bool) -> Self {
        let mut driven = Self::new(expect_handshake);
        driven.input(Input::Connected { token: "token".into() });
        driven
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.channel.handle_input(self.now, input);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        loop {
            match self.channel.poll_output() {
                Output::Transmit(Frame::Text(text)) => self.opened.push(text),
                Output::Transmit(Frame::Binary(bytes)) => {
                    self.raw.push(bytes.clone());
                    self.sent.push(Message::decode(bytes, Digest::Verify).unwrap());
                }
                Output::Event(event) => self.events.push(event),
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > self.now), "a deadline in the past is a busy loop");
                    self.deadline = at;
                    return;
                }
            }
        }
    }

    pub(crate) fn receive(&mut self, message: &Message) {
        self.input(Input::Received(message.encode().unwrap()));
    }

    /// Lets virtual time pass, timers included.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.deadline.filter(|at| *at <= until) {
            self.now = at;
            self.input(Input::Timeout);
        }
        self.now = until;
    }

    /// The messages sent since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Message> {
        self.raw.clear();
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Numbers acknowledged since the last call; nothing else may have been sent.
    pub(crate) fn take_acknowledged(&mut self) -> Vec<i64> {
        self.take_sent().iter().map(acknowledged).collect()
    }

    /// The data that was delivered since the last call.
    pub(crate) fn take_data(&mut self) -> Vec<u8> {
        let mut data = Vec::new();
        self.events.retain(|event| match event {
            Event::Data(_, bytes) => {
                data.extend_from_slice(bytes);
                false
            }
            _ => true,
        });
        data
    }
}

/// The number that an acknowledgement is for.
pub(crate) fn acknowledged(message: &Message) -> i64 {
    assert_eq!(message.message_type, MessageType::Acknowledge, "{message:?}");
    assert_eq!((message.sequence, message.flags, message.payload_type), (0, 3, PayloadType::None));
    serde_json::from_slice::<Acknowledgement>(&message.payload).unwrap().sequence
}

pub(crate) fn message(
    message_type: MessageType,
    sequence: i64,
    payload_type: PayloadType,
    payload: &[u8],
) -> Message {
    Message {
        message_type,
        created_ms: 1,
        sequence,
        flags: 0,
        id: MessageId::from_random([sequence as u8; 16]),
        payload_type,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// A stream message of the agent.
pub(crate) fn output(sequence: i64, payload_type: PayloadType, payload: &[u8]) -> Message {
    message(MessageType::OutputStreamData, sequence, payload_type, payload)
}

/// The agent's acknowledgement of an input message.
pub(crate) fn acknowledge(sequence: i64) -> Message {
    let body = format!(
        r#"{{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"dd01e56b-ff48-483e-a508-b5f073f31b16","AcknowledgedMessageSequenceNumber":{sequence},"IsSequentialMessage":true}}"#
    );
    Message { flags: 3, ..message(MessageType::Acknowledge, 0, PayloadType::None, body.as_bytes()) }
}

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

pub(crate) fn port_request(version: &str) -> Message {
    let body = json!({ "AgentVersion": version, "RequestedClientActions": [{ "ActionType": "SessionType",
        "ActionParameters": { "SessionType": "Port", "Properties": { "type": "LocalPortForwarding", "portNumber": "80" } } }] });
    output(0, PayloadType::HandshakeRequest, body.to_string().as_bytes())
}

pub(crate) fn complete(sequence: i64) -> Message {
    output(sequence, PayloadType::HandshakeComplete, br#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#)
}

/// A port session past its handshake, everything acknowledged.
pub(crate) fn ready() -> Driven {
    let mut driven = Driven::connected(true);
    driven.receive(&port_request("3.3.987.0"));
    driven.now += 20 * MS;
    driven.receive(&acknowledge(0));
    driven.receive(&complete(1));
    driven.take_sent();
    driven.take_events();
    driven
}

/// A shell that has shown its prompt.
pub(crate) fn shell() -> Driven {
    let mut driven = Driven::connected(false);
    driven.receive(&output(0, PayloadType::Output, b"$ "));
    driven.take_sent();
    driven.take_events();
    driven
}

pub(crate) fn write(driven: &mut Driven, bytes: &[u8]) {
    driven.input(Input::Write(Bytes::copy_from_slice(bytes)));
}

pub(crate) fn numbers(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter(|message| message.message_type == MessageType::InputStreamData)
        .map(|message| message.sequence)
        .collect()
}
