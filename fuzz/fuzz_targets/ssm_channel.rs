//! Any inputs in any order, frames well-formed or not: no panic, no busy loop, bounded memory,
//! and nothing but decodable frames comes out.
#![no_main]

use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use ecsx::ssm::channel::{Channel, Config, Event, Flag, Frame, Input, Key, Output};
use ecsx::ssm::wire::{Digest, Message, MessageId, MessageType};
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct Case {
    payload_size: u16,
    window: u16,
    expect_handshake: bool,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Connected,
    Disconnected,
    Raw(Vec<u8>),
    Message { what: u8, sequence: i64, payload_type: u8, payload: Vec<u8> },
    /// In turn, so that long sessions are reached.
    Next { payload_type: u8, payload: Vec<u8> },
    Acknowledge(i64),
    Handshake(u8),
    Write(u16),
    Resize(u32, u32),
    Flag(bool),
    Key(bool),
    Pass(u16),
    Back(u16),
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (payload_size, window, expect_handshake) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        let mut steps = Vec::new();
        while !u.is_empty() {
            steps.push(Step::arbitrary(u)?);
        }
        Ok(Self { payload_size, window, expect_handshake, steps })
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = |u: &mut Unstructured<'a>| {
            let length = usize::from(u.arbitrary::<u8>()?).min(u.len());
            Ok(u.bytes(length)?.to_vec())
        };
        Ok(match u.arbitrary::<u8>()? % 13 {
            0 => Self::Connected,
            1 => Self::Disconnected,
            2 => Self::Raw(bytes(u)?),
            3 => {
                let (what, sequence, payload_type) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
                Self::Message { what, sequence, payload_type, payload: bytes(u)? }
            }
            4 => Self::Next { payload_type: u.arbitrary()?, payload: bytes(u)? },
            5 => Self::Acknowledge(u.arbitrary()?),
            6 => Self::Handshake(u.arbitrary()?),
            7 => Self::Write(u.arbitrary()?),
            8 => Self::Resize(u.arbitrary()?, u.arbitrary()?),
            9 => Self::Flag(u.arbitrary()?),
            10 => Self::Key(u.arbitrary()?),
            11 => Self::Pass(u.arbitrary()?),
            _ => Self::Back(u.arbitrary()?),
        })
    }
}

const REQUESTS: [&str; 5] = [
    r#"{"AgentVersion":"3.3.987.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"Port","Properties":{"type":"LocalPortForwarding"}}}]}"#,
    r#"{"AgentVersion":"3.3.987.0","RequestedClientActions":[{"ActionType":"SessionType","ActionParameters":{"SessionType":"InteractiveCommands","Properties":null}},{"ActionType":"KMSEncryption","ActionParameters":{"KMSKeyId":"k","Challenge":"c"}}]}"#,
    r#"{"AgentVersion":"1","RequestedClientActions":null}"#,
    r#"{"HandshakeTimeToComplete":1,"CustomerMessage":"hello"}"#,
    r#"{"Challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
];

fn frame(message_type: MessageType, sequence: i64, payload_type: u32, payload: Bytes) -> Option<Bytes> {
    let (created_ms, flags, id) = (1, 0, MessageId([0; 16]));
    let payload_type = payload_type.into();
    let message = Message { message_type, created_ms, sequence, flags, id, payload_type, payload };
    message.encode().ok()
}

fuzz_target!(|case: Case| {
    let start = Instant::now();
    let mut config = Config::new([1; 32], (start, UNIX_EPOCH), case.expect_handshake);
    config.payload_size = usize::from(case.payload_size);
    config.window = usize::from(case.window);
    let mut channel = Channel::new(config);
    let (mut now, mut latest, mut next, mut over) = (start, start, 0, false);
    // What the application wrote past the capacity it was told of is its own fault.
    let mut own = 0;
    for step in case.steps {
        let input = match step {
            Step::Connected => Some(Input::Connected { token: "t".into() }),
            Step::Disconnected => Some(Input::Disconnected),
            Step::Raw(bytes) => Some(Input::Received(bytes.into())),
            Step::Message { what, sequence, payload_type, payload } => {
                let message_type = match what % 6 {
                    0 => MessageType::OutputStreamData,
                    1 => MessageType::Acknowledge,
                    2 => MessageType::StartPublication,
                    3 => MessageType::PausePublication,
                    4 => MessageType::InputStreamData,
                    _ => MessageType::ChannelClosed,
                };
                frame(message_type, sequence, payload_type.into(), payload.into()).map(Input::Received)
            }
            Step::Next { payload_type, payload } => {
                next += 1;
                let payload_type = u32::from(payload_type % 16);
                frame(MessageType::OutputStreamData, next - 1, payload_type, payload.into()).map(Input::Received)
            }
            Step::Acknowledge(sequence) => {
                let body = format!(r#"{{"AcknowledgedMessageSequenceNumber":{}}}"#, sequence % 64);
                frame(MessageType::Acknowledge, 0, 0, body.into()).map(Input::Received)
            }
            Step::Handshake(which) => {
                let which = usize::from(which) % REQUESTS.len();
                let payload_type = [5, 5, 5, 7, 8][which];
                next += 1;
                let body = Bytes::from_static(REQUESTS[which].as_bytes());
                frame(MessageType::OutputStreamData, next - 1, payload_type, body).map(Input::Received)
            }
            Step::Write(length) => {
                own += usize::from(length);
                Some(Input::Write(vec![0; usize::from(length).min(channel.capacity())].into()))
            }
            Step::Resize(cols, rows) => {
                own += 200;
                Some(Input::Resize { cols, rows })
            }
            Step::Flag(terminate) => {
                own += 200;
                Some(Input::Flag(if terminate { Flag::TerminateSession } else { Flag::DisconnectToPort }))
            }
            Step::Key(good) => Some(Input::Key(match good {
                true => Ok(Key { plaintext: [1; 64], ciphertext: vec![1], challenge_acknowledged: true }),
                false => Err("no".into()),
            })),
            Step::Pass(time) => {
                now += Duration::from_millis(time.into());
                Some(Input::Timeout)
            }
            Step::Back(time) => {
                now = now.checked_sub(Duration::from_millis(time.into())).unwrap_or(now);
                Some(Input::Timeout)
            }
        };
        let Some(input) = input else { continue };
        latest = latest.max(now);
        channel.handle_input(now, input);
        let mut outputs = 0;
        loop {
            match channel.poll_output() {
                Output::Transmit(Frame::Text(text)) => assert!(text.starts_with('{')),
                Output::Transmit(Frame::Binary(bytes)) => {
                    Message::decode(bytes, Digest::Verify).expect("what is sent can be read");
                }
                Output::Event(event) => {
                    assert!(!over, "an event after the end");
                    over = matches!(event, Event::Closed(_) | Event::Failed(_));
                }
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > latest), "a deadline in the past");
                    break;
                }
            }
            outputs += 1;
            assert!(outputs < 100_000, "outputs without end");
        }
        assert!(!over || channel.capacity() == 0);
        let statistics = channel.statistics();
        // One window of whole payloads, header and encryption each, and what was not asked about.
        assert!(statistics.unacknowledged <= 2 * (1 << 20) + 2 * own, "{statistics:?}");
        assert!(statistics.early <= 10 << 20, "{statistics:?}");
    }
});
