//! smux version 1, client side: many streams over one byte stream.

use std::time::Instant;

use bytes::Bytes;

/// Stream id: 3, 5, 7, …
pub type StreamId = u32;

/// What the remote end did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes of a stream.
    Data(StreamId, Bytes),
    /// The stream is closed in both directions; nothing written to it arrives any more.
    Finished(StreamId),
    /// The byte stream is broken: the session is unusable.
    Broken(&'static str),
}

/// The client end of an smux session.
#[derive(Debug)]
pub struct Client {}

impl Client {
    /// `keep_alive`: send NOPs (old agents close a silent session).
    pub fn new(_now: Instant, _keep_alive: bool) -> Self {
        Self {}
    }

    /// Opens a stream; its SYN is queued.
    pub fn open(&mut self) -> StreamId {
        3
    }

    /// Queues bytes on a stream. The caller bounds what it queues by [`Self::queued`].
    pub fn write(&mut self, _stream: StreamId, _bytes: Bytes) {}

    /// Bytes of a stream that wait to be transmitted.
    pub fn queued(&self, _stream: StreamId) -> usize {
        0
    }

    /// Closes a stream after what is queued (FIN: both directions end).
    pub fn close(&mut self, _stream: StreamId) {}

    /// Takes bytes of the session's byte stream, cut anywhere.
    pub fn receive(&mut self, _bytes: Bytes) {}

    /// What the remote end did, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// The next at most `limit` bytes to write to the session, streams taking turns.
    pub fn poll_transmit(&mut self, _now: Instant, _limit: usize) -> Option<Bytes> {
        None
    }

    /// When [`Self::poll_transmit`] next has a NOP to send.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
}
