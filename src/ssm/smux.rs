//! smux version 1, client side: many streams over one byte stream (protocol.md 7.4, 7.5).
//!
//! There is no per-stream flow control and no half-close: FIN ends both directions.
//!
//! An agent whose WebSocket breaks between taking a message and acknowledging it takes the same
//! message again when it is repeated (measured: agent 3.3.1142, `handleStreamDataMessage`). If
//! the message holds whole frames, the destination gets their bytes twice and nobody notices. In
//! the middle of a frame longer than a message it makes a header of what is payload: the agent
//! gives the session up, and the connections are reset. So bulk is sent in such frames.

mod frame;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use self::frame::{Command, Decoder, HEADER, Piece};
use self::turns::Turns;

/// Stream id: 3, 5, 7, …
pub type StreamId = u32;

const FIRST_STREAM: StreamId = 3;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const NOP_RETRY: Duration = Duration::from_millis(100);

/// What the remote end did.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes of a stream.
    Data(StreamId, Bytes),
    /// The stream is closed in both directions; nothing written to it arrives any more, nor did so
    /// many bytes that waited. [`Client::close`] it too, to be rid of it.
    Finished(StreamId, usize),
    /// A stream that was closed here is closed at the remote end, too.
    Closed(StreamId),
    /// The byte stream is broken: the session is unusable.
    Broken(&'static str),
}

/// Without the bytes, so that it may be logged.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(id, bytes) => write!(f, "Data({id}, {} bytes)", bytes.len()),
            Self::Finished(id, unsent) => write!(f, "Finished({id}, {unsent} bytes unsent)"),
            Self::Closed(id) => write!(f, "Closed({id})"),
            Self::Broken(what) => write!(f, "Broken({what})"),
        }
    }
}

/// The client end of an smux session.
pub struct Client {
    next_id: Option<StreamId>,
    streams: BTreeMap<StreamId, Stream>,
    turns: Turns,
    decoder: Decoder,
    events: VecDeque<Event>,
    next_nop: Option<Instant>,
    broken: bool,
}

#[derive(Default)]
struct Stream {
    queue: VecDeque<Bytes>,
    queued: usize,
    opened: bool,
    closing: bool,
    finished: bool,
}

/// Without the bytes, so that it may be logged.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("streams", &self.streams.keys())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Stream {
    fn has_something_to_say(&self) -> bool {
        !self.finished && (!self.opened || self.queued > 0 || self.closing)
    }
}

impl Client {
    /// `keep_alive`: send NOPs (old agents close a silent session).
    pub fn new(now: Instant, keep_alive: bool) -> Self {
        Self {
            next_id: Some(FIRST_STREAM),
            streams: BTreeMap::new(),
            turns: Turns::default(),
            decoder: Decoder::default(),
            events: VecDeque::new(),
            next_nop: keep_alive.then(|| now + KEEP_ALIVE),
            broken: false,
        }
    }

    /// Opens a stream; its SYN is queued. `None` when all 2³¹ ids of the session are used up.
    pub fn open(&mut self) -> Option<StreamId> {
        let id = self.next_id?;
        self.next_id = id.checked_add(2);
        self.streams.insert(id, Stream::default());
        self.turns.wants(id);
        Some(id)
    }

    /// Queues bytes on a stream. The caller bounds what it queues by [`Self::queued`]. Bytes for
    /// a stream that is closed or finished are dropped: nobody would read them.
    pub fn write(&mut self, id: StreamId, bytes: Bytes) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.closing || stream.finished || bytes.is_empty() {
            return;
        }
        stream.queued += bytes.len();
        stream.queue.push_back(bytes);
        self.turns.wants(id);
    }

    /// Bytes of a stream that wait to be transmitted.
    pub fn queued(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, |stream| stream.queued)
    }

    /// Closes a stream after what is queued (FIN: both directions end). What still arrives for it is dropped.
    pub fn close(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.finished {
            // The remote end has forgotten it already.
            self.streams.remove(&id);
        } else {
            stream.closing = true;
            self.turns.wants(id);
        }
    }

    /// Streams that are open on either side.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Takes bytes of the session's byte stream, cut anywhere.
    pub fn receive(&mut self, bytes: Bytes) {
        if self.broken {
            return;
        }
        let mut bytes = bytes;
        while let Some(piece) = self.decoder.next(&mut bytes) {
            match piece {
                Ok(Piece::Data(id, data)) => {
                    if self.streams.get(&id).is_some_and(|stream| !stream.closing) {
                        self.events.push_back(Event::Data(id, data));
                    }
                }
                Ok(Piece::Fin(id)) => self.finished(id),
                // An agent opens no streams, and to a NOP there is no answer.
                Ok(Piece::Other) => {}
                Err(what) => {
                    self.broken = true;
                    self.events.push_back(Event::Broken(what));
                    return;
                }
            }
        }
    }

    fn finished(&mut self, id: StreamId) {
        if !self.has_opened(id) {
            return;
        }
        let event = match self.streams.get_mut(&id) {
            Some(stream) if stream.closing => {
                // Both ends are done with it; a FIN of ours would find nobody.
                self.streams.remove(&id);
                Event::Closed(id)
            }
            Some(stream) if stream.finished => return,
            Some(stream) => {
                stream.finished = true;
                stream.queue = VecDeque::new();
                Event::Finished(id, std::mem::take(&mut stream.queued))
            }
            None => Event::Closed(id),
        };
        self.events.push_back(event);
    }

    /// Whether a stream of that number was ever opened here.
    fn has_opened(&self, id: StreamId) -> bool {
        id >= FIRST_STREAM && id % 2 == 1 && self.next_id.is_none_or(|next| id < next)
    }

    /// What the remote end did, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next at most `limit` bytes to write to the session, streams taking turns: whole frames,
    /// so that no stream waits for the rest of another's. A `limit` of two messages keeps bulk
    /// out of frames that fit into one.
    pub fn poll_transmit(&mut self, now: Instant, limit: usize) -> Option<Bytes> {
        if self.broken {
            return None;
        }
        if limit <= HEADER {
            // Try again a little later, lest whoever waits for the deadline spin.
            self.next_nop = self.next_nop.map(|at| at.max(now + NOP_RETRY));
            return None;
        }
        let mut out = BytesMut::new();
        if self.next_nop.is_some_and(|at| at <= now) {
            self.next_nop = Some(now + KEEP_ALIVE);
            frame::put_header(&mut out, Command::Nop, 0, 0);
        }
        // Room for a header and a byte, or the next stream is left for the next call.
        while limit - out.len() > HEADER {
            let Some(id) = self.turns.next() else { break };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if stream.transmit(id, &mut out, limit) {
                self.streams.remove(&id);
                continue;
            }
            let more = stream.has_something_to_say();
            self.turns.served(id, more);
            if more {
                break;
            }
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    /// Whether [`Self::poll_transmit`] has something to send, NOPs aside.
    pub fn wants_transmit(&self) -> bool {
        !self.broken && !self.turns.is_empty()
    }

    /// When [`Self::poll_transmit`] next has a NOP to send: call it then, even if the limit is 0.
    pub fn deadline(&self) -> Option<Instant> {
        self.next_nop.filter(|_| !self.broken)
    }
}

impl Stream {
    /// Adds this stream's frames up to `limit` bytes in all; true when its FIN is among them.
    fn transmit(&mut self, id: StreamId, out: &mut BytesMut, limit: usize) -> bool {
        if self.finished {
            return false;
        }
        if !self.opened {
            self.opened = true;
            frame::put_header(out, Command::Syn, 0, id);
        }
        let room = limit.saturating_sub(out.len() + HEADER);
        // What does not fit into this payload but into two goes in two halves: no short frame at its end.
        let halves = self.queued > room && self.queued < 2 * room;
        let length = if halves { self.queued.div_ceil(2) } else { room.min(self.queued) };
        let mut length = length.min(frame::LARGEST);
        if length > 0 {
            frame::put_header(out, Command::Psh, length as u16, id);
            self.queued -= length;
        }
        while length > 0 {
            let Some(chunk) = self.queue.front_mut() else { break };
            let part = length.min(chunk.len());
            out.extend_from_slice(&chunk[..part]);
            chunk.advance(part);
            length -= part;
            if chunk.is_empty() {
                self.queue.pop_front();
            }
        }
        let done = self.closing && self.queued == 0 && limit.saturating_sub(out.len()) >= HEADER;
        if done {
            frame::put_header(out, Command::Fin, 0, id);
        }
        done
    }
}
