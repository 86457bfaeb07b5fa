//! Incoming stream messages: each once, in order, whatever way they arrive.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ssm::wire::{Message, PayloadType};

/// Messages kept that came before their turn; as many as Amazon's client keeps.
const EARLY_MESSAGES: usize = 10_000;
/// Bytes kept that came before their turn.
const EARLY_BYTES: usize = 8 << 20;
/// What keeping a message costs beside its payload, about.
const EARLY_COST: usize = 256;

/// What became of a stream message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is kept until its turn: acknowledge.
    Taken,
    /// It was taken before; the acknowledgement was lost: acknowledge again, or the peer never stops.
    Duplicate,
    /// No room; say nothing, and the peer sends it again.
    NoRoom,
}

#[derive(Default)]
pub(super) struct Receiver {
    expected: i64,
    early: BTreeMap<i64, (PayloadType, Bytes)>,
    bytes: usize,
    duplicates: u64,
}

impl Receiver {
    pub(super) fn take(&mut self, message: &Message) -> Verdict {
        let number = message.sequence;
        if number < self.expected || self.early.contains_key(&number) {
            self.duplicates += 1;
            return Verdict::Duplicate;
        }
        let cost = message.payload.len() + EARLY_COST;
        let ahead = number - self.expected;
        if ahead > 0 && (ahead >= EARLY_MESSAGES as i64 || self.bytes + cost > EARLY_BYTES) {
            return Verdict::NoRoom;
        }
        self.bytes += cost;
        self.early.insert(number, (message.payload_type, message.payload.clone()));
        Verdict::Taken
    }

    /// The next message in order.
    pub(super) fn next(&mut self) -> Option<(PayloadType, Bytes)> {
        let (payload_type, payload) = self.early.remove(&self.expected)?;
        self.bytes -= payload.len() + EARLY_COST;
        self.expected += 1;
        Some((payload_type, payload))
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }
}
