//! The agent's end of a data channel: numbers, acknowledgements, resending (protocol.md 3).
//!
//! Bytes in, bytes out; [`super::link`] does the waiting.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ecsx::ssm::wire::{Digest, FLAGS_ACKNOWLEDGE, Message, MessageId, MessageType, PayloadType};
use serde::Deserialize;

use crate::faults::Chance;
use crate::gateway::messages::now_ms;
use crate::sandbox::random;

/// Messages the agent holds for the client's acknowledgement before it reads no more from its
/// sources. The real one has no such bound: past it, it sends without keeping a copy.
const UNACKED: usize = 65_536;
/// Messages that came too early and are kept.
const EARLY: usize = 10_000;
/// Messages resent at a time.
const RESEND: usize = 32;
const RTO_MAX: Duration = Duration::from_secs(1);

/// One session's channel.
pub(super) struct Channel {
    chance: Chance,
    front_only: bool,
    paused: bool,
    /// Frames to send: data, or acknowledgements.
    outbox: VecDeque<(Bytes, bool)>,
    /// Number of the next message to send.
    next: i64,
    /// Messages `next - unacked.len() .. next`; acknowledged ones are `None`, the first never is.
    unacked: VecDeque<Option<Sent>>,
    unacked_bytes: usize,
    /// Number of the next message to take.
    expected: i64,
    /// Messages from `expected` on, and whether they are acknowledged already.
    early: BTreeMap<i64, (Message, bool)>,
    rtt: Duration,
    variation: Duration,
    rto: Duration,
    pub(super) statistics: Statistics,
}

/// What happened since the last look.
#[derive(Default)]
pub(super) struct Statistics {
    pub(super) resent: u64,
    pub(super) duplicates: u64,
    pub(super) unacked_bytes: u64,
}

struct Sent {
    frame: Bytes,
    at: Instant,
    tries: u32,
}

#[derive(Deserialize)]
struct Acknowledgement {
    #[serde(rename = "AcknowledgedMessageSequenceNumber")]
    sequence: i64,
}

impl Channel {
    pub(super) fn new(front_only: bool) -> Self {
        Self {
            chance: Chance::new(u64::from_be_bytes(random())),
            front_only,
            paused: false,
            outbox: VecDeque::new(),
            next: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            expected: 0,
            early: BTreeMap::new(),
            rtt: Duration::from_millis(100),
            variation: Duration::ZERO,
            rto: Duration::from_millis(200),
            statistics: Statistics::default(),
        }
    }

    /// Sends a stream message; the payload is not empty.
    pub(super) fn send(&mut self, now: Instant, payload_type: PayloadType, payload: Bytes) {
        let message = Message {
            message_type: MessageType::OutputStreamData,
            created_ms: now_ms(),
            sequence: self.next,
            flags: u64::from(self.next == 0),
            id: self.id(),
            payload_type,
            payload,
        };
        let Ok(frame) = message.encode() else { return };
        self.next += 1;
        self.unacked_bytes += frame.len();
        self.statistics.unacked_bytes = self.statistics.unacked_bytes.max(self.unacked_bytes as u64);
        self.unacked.push_back(Some(Sent { frame: frame.clone(), at: now, tries: 1 }));
        if !self.paused {
            self.outbox.push_back((frame, true));
        }
    }

    /// Whether there is room for more to send.
    pub(super) fn has_room(&self) -> bool {
        !self.paused && self.outbox.len() < 64 && self.unacked.len() < UNACKED
    }

    /// Whether all that was sent is acknowledged.
    pub(super) fn is_drained(&self) -> bool {
        self.unacked.is_empty()
    }

    /// The next frame to send, and whether it is data.
    pub(super) fn peek(&self) -> Option<&(Bytes, bool)> {
        self.outbox.front()
    }

    /// The frame of [`Self::peek`] is sent.
    pub(super) fn pop(&mut self) {
        self.outbox.pop_front();
    }

    /// Takes a frame; what cannot be read is ignored, and digests are not looked at.
    pub(super) fn receive(&mut self, now: Instant, frame: Bytes) {
        let Ok(message) = Message::decode(frame, Digest::Ignore) else { return };
        match message.message_type {
            MessageType::Acknowledge => {
                self.paused = false;
                if let Ok(body) = serde_json::from_slice::<Acknowledgement>(&message.payload) {
                    self.acknowledged(now, body.sequence);
                }
            }
            MessageType::InputStreamData => {
                self.paused = false;
                let sequence = message.sequence;
                if sequence < self.expected {
                    self.statistics.duplicates += 1;
                    self.acknowledge(&message);
                } else if sequence == self.expected {
                    self.early.entry(sequence).or_insert((message, false));
                } else if self.early.len() < EARLY {
                    self.acknowledge(&message);
                    self.early.entry(sequence).or_insert((message, true));
                }
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, now: Instant, sequence: i64) {
        let first = self.next - self.unacked.len() as i64;
        let Ok(at) = usize::try_from(sequence.wrapping_sub(first)) else { return };
        let Some(sent) = self.unacked.get_mut(at).and_then(Option::take) else { return };
        self.unacked_bytes -= sent.frame.len();
        if sent.tries == 1 {
            self.sample(now - sent.at);
        }
        while self.unacked.front().is_some_and(Option::is_none) {
            self.unacked.pop_front();
        }
    }

    /// protocol.md 3.2.
    fn sample(&mut self, sample: Duration) {
        self.variation = self.variation * 3 / 4 + self.rtt.abs_diff(sample) / 4;
        self.rtt = self.rtt * 7 / 8 + sample / 8;
        self.rto = RTO_MAX.min(self.rtt + (self.variation * 4).max(Duration::from_millis(10)));
    }

    /// The next message in order, if it is there; [`Self::took`] or [`Self::refuse`] it.
    pub(super) fn input(&self) -> Option<Message> {
        self.early.get(&self.expected).map(|(message, _)| message.clone())
    }

    /// The message is handled: acknowledge it.
    pub(super) fn took(&mut self) {
        if let Some((message, acknowledged)) = self.early.remove(&self.expected) {
            self.expected += 1;
            if !acknowledged {
                self.acknowledge(&message);
            }
        }
    }

    /// The message cannot be handled: it counts as not received.
    pub(super) fn refuse(&mut self) {
        self.early.remove(&self.expected);
    }

    fn acknowledge(&mut self, message: &Message) {
        let body = format!(
            "{{\"AcknowledgedMessageType\":\"{}\",\"AcknowledgedMessageId\":\"{}\",\
             \"AcknowledgedMessageSequenceNumber\":{},\"IsSequentialMessage\":true}}",
            message.message_type.as_str(),
            message.id,
            message.sequence
        );
        let acknowledgement = Message {
            message_type: MessageType::Acknowledge,
            created_ms: now_ms(),
            sequence: 0,
            flags: FLAGS_ACKNOWLEDGE,
            id: self.id(),
            payload_type: PayloadType::None,
            payload: body.into(),
        };
        if let Ok(frame) = acknowledgement.encode() {
            self.outbox.push_back((frame, false));
        }
    }

    fn id(&mut self) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.chance.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.chance.next().to_be_bytes());
        MessageId::from_random(bytes)
    }

    /// pause_publication: number and keep, but send nothing.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        // What was about to be sent is kept and will be resent; acknowledgements will be asked for again.
        self.outbox.clear();
    }

    /// A client has come back: it may have missed all that it did not acknowledge.
    pub(super) fn resume(&mut self, now: Instant) {
        self.paused = false;
        if !self.front_only {
            self.resend(now, usize::MAX, usize::MAX, |_| true);
        }
    }

    /// Ten times a second: resend what is overdue.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.paused || !self.outbox.is_empty() {
            return;
        }
        let rto = self.rto;
        let (among, doublings) = if self.front_only { (1, 0) } else { (usize::MAX, 3) };
        self.resend(now, among, RESEND, |sent| now - sent.at >= rto * (1 << (sent.tries - 1).min(doublings)));
    }

    /// Resends, of the oldest `among`, those that are due, `at_most` of them.
    fn resend(&mut self, now: Instant, among: usize, at_most: usize, due: impl Fn(&Sent) -> bool) {
        let overdue = self.unacked.iter_mut().flatten().take(among).filter(|sent| due(sent)).take(at_most);
        for sent in overdue {
            sent.at = now;
            sent.tries = sent.tries.saturating_add(1);
            self.outbox.push_back((sent.frame.clone(), true));
            self.statistics.resent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of the client: input or an acknowledgement.
    fn frame(message_type: MessageType, sequence: i64, payload: &str) -> Bytes {
        let payload_type = PayloadType::Output;
        let id = MessageId([7; 16]);
        let payload = payload.to_owned().into();
        Message { message_type, created_ms: 1, sequence, flags: 0, id, payload_type, payload }
            .encode()
            .unwrap()
    }

    fn input(sequence: i64) -> Bytes {
        frame(MessageType::InputStreamData, sequence, "x")
    }

    fn ack(sequence: i64) -> Bytes {
        let body = format!("{{\"AcknowledgedMessageSequenceNumber\":{sequence}}}");
        frame(MessageType::Acknowledge, 0, &body)
    }

    /// What the channel wants sent: sequence numbers of data, `-1 - n` for an acknowledgement of n.
    fn sent(channel: &mut Channel) -> Vec<i64> {
        let mut sent = Vec::new();
        while let Some((frame, data)) = channel.peek().cloned() {
            channel.pop();
            let message = Message::decode(frame, Digest::Verify).unwrap();
            sent.push(if data {
                message.sequence
            } else {
                -1 - serde_json::from_slice::<Acknowledgement>(&message.payload).unwrap().sequence
            });
        }
        sent
    }

    #[test]
    fn input_is_acknowledged_when_taken_and_again_when_it_comes_again() {
        let (mut channel, now) = (Channel::new(false), Instant::now());
        channel.receive(now, input(0));
        assert!(sent(&mut channel).is_empty());
        channel.took();
        assert_eq!(sent(&mut channel), [-1]);
        channel.receive(now, input(0));
        assert_eq!(sent(&mut channel), [-1]);
        assert!(channel.input().is_none());
    }

    #[test]
    fn early_input_is_acknowledged_at_once_and_taken_in_order() {
        let (mut channel, now) = (Channel::new(false), Instant::now());
        channel.receive(now, input(1));
        assert_eq!(sent(&mut channel), [-2]);
        assert!(channel.input().is_none());
        channel.receive(now, input(0));
        for sequence in 0..2 {
            assert_eq!(channel.input().unwrap().sequence, sequence);
            channel.took();
        }
        assert_eq!(sent(&mut channel), [-1]);
    }

    #[test]
    fn refused_input_may_come_again() {
        let (mut channel, now) = (Channel::new(false), Instant::now());
        channel.receive(now, input(0));
        channel.refuse();
        assert!(channel.input().is_none() && sent(&mut channel).is_empty());
        channel.receive(now, input(0));
        assert!(channel.input().is_some());
    }

    #[test]
    fn what_is_not_acknowledged_is_resent_the_same() {
        let (mut channel, now) = (Channel::new(false), Instant::now());
        for _ in 0..3 {
            channel.send(now, PayloadType::Output, "x".into());
        }
        let (first, _) = channel.peek().cloned().unwrap();
        assert_eq!(sent(&mut channel), [0, 1, 2]);
        channel.receive(now, ack(1));
        channel.tick(now + Duration::from_millis(100));
        assert!(sent(&mut channel).is_empty());
        channel.tick(now + Duration::from_millis(400));
        assert_eq!(channel.peek().unwrap().0, first);
        assert_eq!(sent(&mut channel), [0, 2]);
        channel.receive(now, ack(0));
        channel.receive(now, ack(2));
        channel.receive(now, ack(99));
        assert!(channel.is_drained());
    }

    #[test]
    fn the_real_agent_resends_its_oldest_only() {
        let (mut channel, now) = (Channel::new(true), Instant::now());
        channel.send(now, PayloadType::Output, "x".into());
        channel.send(now, PayloadType::Output, "x".into());
        sent(&mut channel);
        channel.tick(now + Duration::from_secs(1));
        assert_eq!(sent(&mut channel), [0]);
    }

    #[test]
    fn nothing_is_sent_while_paused_and_all_of_it_afterwards() {
        let (mut channel, now) = (Channel::new(false), Instant::now());
        channel.send(now, PayloadType::Output, "x".into());
        channel.pause();
        channel.send(now, PayloadType::Output, "x".into());
        channel.tick(now + Duration::from_secs(9));
        assert!(sent(&mut channel).is_empty() && !channel.has_room());
        channel.resume(now);
        assert_eq!(sent(&mut channel), [0, 1]);
    }
}
