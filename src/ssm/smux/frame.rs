//! smux frames: version, command, length, stream id, little-endian (protocol.md 7.5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::StreamId;

/// Length of a frame header, bytes.
pub(super) const HEADER: usize = 8;
/// Largest payload that is sent in one frame, bytes; more than that is taken.
pub(super) const LARGEST: usize = 32768;

const VERSION: u8 = 1;
const UPD: u8 = 4;
/// A version 2 window update has this much behind its header, whatever its length says.
const UPD_BODY: usize = 8;

#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Command {
    Syn = 0,
    Fin = 1,
    Psh = 2,
    Nop = 3,
}

pub(super) fn put_header(out: &mut BytesMut, command: Command, length: u16, id: StreamId) {
    out.put_u8(VERSION);
    out.put_u8(command as u8);
    out.put_u16_le(length);
    out.put_u32_le(id);
}

/// What a decoder finds.
pub(super) enum Piece {
    /// Bytes of a stream; a frame's payload comes in as many pieces as it was cut into.
    Data(StreamId, Bytes),
    Fin(StreamId),
    /// SYN, NOP, UPD.
    Other,
}

/// Finds frames in a byte stream cut anywhere. Keeps a header's first bytes at most.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    header: [u8; HEADER],
    have: usize,
    /// Whose payload is being read, and how much of it is missing.
    id: StreamId,
    payload: usize,
    skip: usize,
}

impl Decoder {
    /// The next piece; `None` when more bytes are needed. An error is final.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Option<Result<Piece, &'static str>> {
        loop {
            let skipped = self.skip.min(bytes.len());
            bytes.advance(skipped);
            self.skip -= skipped;
            if bytes.is_empty() {
                return None;
            }
            if self.payload > 0 {
                let part = bytes.split_to(self.payload.min(bytes.len()));
                self.payload -= part.len();
                return Some(Ok(Piece::Data(self.id, part)));
            }
            let part = bytes.len().min(HEADER - self.have);
            bytes.copy_to_slice(&mut self.header[self.have..self.have + part]);
            self.have += part;
            if self.have < HEADER {
                return None;
            }
            self.have = 0;
            if let Some(piece) = self.frame() {
                return Some(piece);
            }
        }
    }

    /// Reads the header; `None` for a PSH, whose payload follows.
    fn frame(&mut self) -> Option<Result<Piece, &'static str>> {
        let [version, command, length @ .., i0, i1, i2, i3] = self.header;
        let id = StreamId::from_le_bytes([i0, i1, i2, i3]);
        if version != VERSION {
            return Some(Err("the agent's smux frame has an unknown version"));
        }
        // Only PSH has a payload of its stated length: as in Amazon's reader, what follows any
        // other frame is the next header.
        Some(Ok(match command {
            c if c == Command::Psh as u8 => {
                self.id = id;
                self.payload = usize::from(u16::from_le_bytes(length));
                return None;
            }
            c if c == Command::Fin as u8 => Piece::Fin(id),
            c if c == Command::Syn as u8 || c == Command::Nop as u8 => Piece::Other,
            UPD => {
                self.skip = UPD_BODY;
                Piece::Other
            }
            _ => return Some(Err("the agent's smux frame has an unknown command")),
        }))
    }
}
