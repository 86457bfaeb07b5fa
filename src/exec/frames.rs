//! Three streams in one: what a piped command's loops write to the terminal.
//!
//! A line of `LEAD NONCE o BASE64` is stdout, `e` for `o` stderr, `t` alone says that a piece of
//! stdin was taken. Each is one write(2), which a terminal does not interrupt, so that whatever
//! stands between them is not the wrapper's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::marks::Nonce;
use super::script::CHUNK;

/// Longest frame taken, bytes of text.
const LONGEST: usize = 4 * CHUNK;
const DISTURBED: &str = "its bytes were disturbed";

/// A part of what arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Stdout(Bytes),
    Stderr(Bytes),
    /// A piece of stdin was taken, or an interrupt.
    Taken,
    /// Not the wrapper's: something else wrote to the terminal (a prompt on `/dev/tty`, `wall`).
    Stray(Bytes),
}

/// Takes the streams apart.
#[derive(Debug)]
pub(super) struct Frames {
    /// How a frame begins.
    head: Vec<u8>,
    /// What did not come to its end yet.
    held: Vec<u8>,
    /// Bytes of it that hold no end.
    searched: usize,
    /// What the frames hold is in gzip's format.
    gzip: bool,
}

impl Frames {
    pub(super) fn new(nonce: &Nonce, gzip: bool) -> Self {
        Self { head: nonce.lead(), held: Vec::new(), searched: 0, gzip }
    }

    /// The terminal's output goes on with `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, String> {
        self.held.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            let stray = head_in(rest, &self.head);
            if stray > 0 {
                pieces.push(Piece::Stray(Bytes::copy_from_slice(&rest[..stray])));
                at += stray;
                self.searched = 0;
                continue;
            }
            let from = self.searched.max(self.head.len()).min(rest.len());
            let Some(length) = rest[from..].iter().position(|b| *b == b'\n') else {
                self.searched = rest.len();
                break;
            };
            let end = from + length;
            pieces.extend(piece(&rest[self.head.len()..end], self.gzip)?);
            at += end + 1;
            self.searched = 0;
        }
        self.held.drain(..at);
        if self.held.len() > LONGEST { Err("a piece of output does not end".into()) } else { Ok(pieces) }
    }
}

/// Where `head`, or what may become it, begins in `bytes`; their length if nowhere.
fn head_in(bytes: &[u8], head: &[u8]) -> usize {
    let begins = |at: &usize| bytes[*at..].iter().zip(head).all(|(a, b)| a == b);
    (0..bytes.len()).find(begins).unwrap_or(bytes.len())
}

fn piece(text: &[u8], gzip: bool) -> Result<Option<Piece>, String> {
    let (make, text): (fn(Bytes) -> Piece, _) = match text {
        b"t" => return Ok(Some(Piece::Taken)),
        [b'o', text @ ..] => (Piece::Stdout, text),
        [b'e', text @ ..] => (Piece::Stderr, text),
        _ => return Err(format!("a piece of output is of no known kind: {DISTURBED}")),
    };
    let text: Vec<u8> = text.iter().copied().filter(|b| *b != b' ').collect();
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| format!("a piece of output cannot be decoded ({e}): {DISTURBED}"))?;
    let bytes = if gzip { expand(&bytes)? } else { bytes };
    Ok((!bytes.is_empty()).then(|| make(bytes.into())))
}

/// What gzip (RFC 1952) made small, without a name: ten bytes, deflate's format, a checksum and
/// the length. The checksum is not looked at, as each message has come with a better one.
fn expand(gzip: &[u8]) -> Result<Vec<u8>, String> {
    let parts =
        gzip.split_at_checked(10).and_then(|(head, rest)| Some((head, rest.split_last_chunk::<8>()?)));
    let Some(([0x1f, 0x8b, 8, 0, ..], (deflate, [.., a, b, c, d]))) = parts else {
        return Err(format!("a piece of output is not in gzip's format: {DISTURBED}"));
    };
    match decompress_to_vec_with_limit(deflate, CHUNK) {
        Ok(bytes) if bytes.len() as u64 == u64::from(u32::from_le_bytes([*a, *b, *c, *d])) => Ok(bytes),
        _ => Err(format!("a piece of output cannot be expanded: {DISTURBED}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` with a frame's head for each `@`.
    fn framed(text: &str) -> Vec<u8> {
        text.replace('@', "\x1e0102030405060708").into_bytes()
    }

    fn frames(gzip: bool) -> Frames {
        Frames::new(&Nonce::new([1, 2, 3, 4, 5, 6, 7, 8]), gzip)
    }

    /// What comes of `bytes` cut in two: strays are joined.
    fn all(bytes: &[u8], cut: usize) -> Vec<Piece> {
        let mut frames = frames(false);
        let mut all: Vec<Piece> = Vec::new();
        for piece in [&bytes[..cut], &bytes[cut..]].into_iter().flat_map(|part| frames.feed(part).unwrap()) {
            match (all.last_mut(), piece) {
                (Some(Piece::Stray(before)), Piece::Stray(more)) => {
                    *before = [&before[..], &more].concat().into()
                }
                (_, piece) => all.push(piece),
            }
        }
        all
    }

    #[test]
    fn streams_come_apart_wherever_they_are_cut() {
        let text = framed("@o aGVs bG8=\n@e ZXJy\n@t\n@oAA==\n");
        for cut in 0..=text.len() {
            assert_eq!(
                all(&text, cut),
                [
                    Piece::Stdout("hello".into()),
                    Piece::Stderr("err".into()),
                    Piece::Taken,
                    Piece::Stdout(Bytes::from_static(b"\0")),
                ]
            );
        }
    }

    #[test]
    fn what_is_not_the_wrappers_is_kept_apart_whatever_it_holds() {
        let text = framed("[sudo] password, <again>: @o aGk=\n\x1e, \n\x1e0102@t\n([fingerprint])?\r\n");
        for cut in 0..=text.len() {
            assert_eq!(
                all(&text, cut),
                [
                    Piece::Stray("[sudo] password, <again>: ".into()),
                    Piece::Stdout("hi".into()),
                    Piece::Stray("\x1e, \n\x1e0102".into()),
                    Piece::Taken,
                    Piece::Stray("([fingerprint])?\r\n".into()),
                ]
            );
        }
    }

    #[test]
    fn disturbed_output_is_an_error_and_never_passed_on() {
        for text in ["@oaGk\n", "@oa*Gk=\n", "@oaGk=aGk=\n", "@e\u{fffd}\n", "@x\n", "@oaG@t\nk=\n"] {
            assert!(frames(false).feed(&framed(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_frame_without_an_end_is_not_collected_for_ever() {
        let mut frames = frames(false);
        frames.feed(&framed("@o")).unwrap();
        assert!((0..2 * LONGEST / 1024).any(|_| frames.feed(&[b'A'; 1024]).is_err()));
    }

    fn small(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let deflate = miniz_oxide::deflate::compress_to_vec(bytes, 1);
        let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\x04\x03", &deflate[..], &[0; 4], &length].concat();
        framed(&format!("@o {}\n", STANDARD.encode(gzip)))
    }

    #[test]
    fn output_may_come_made_small() {
        let bytes = b"a line like any other\n".repeat(2900);
        let text = [small(&bytes), small(b"")].concat();
        assert_eq!(frames(true).feed(&text), Ok(vec![Piece::Stdout(bytes.into())]));
    }

    #[test]
    fn what_does_not_expand_to_itself_is_an_error() {
        let whole = small(&[7; 1000]);
        let cut = [&whole[..whole.len() - 5], b"\n"].concat();
        let other = framed("@oSGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8=\n");
        for text in [cut, other, small(&vec![0; CHUNK + 1])] {
            assert!(frames(true).feed(&text).is_err(), "{text:?}");
        }
    }
}
