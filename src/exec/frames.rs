//! Three streams in one: what a piped command's loops write to the terminal.
//!
//! `[BASE64]` is stdout, `<BASE64>` stderr, `,` says that a piece of stdin was taken. White
//! space means nothing. Each `<…>` and `,` is one write(2), which a terminal does not
//! interrupt; a `[…]` is many, and may hold the other two anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::script::STDOUT_CHUNK;

/// Longest frame taken, bytes of text. The container's pipe holds 64 KiB, 1 MiB at most.
const LONGEST: usize = 2 << 20;

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
    stdout: Option<Vec<u8>>,
    stderr: Option<Vec<u8>>,
    /// What stdout's frames hold is in gzip's format.
    gzip: bool,
}

impl Frames {
    pub(super) fn new(gzip: bool) -> Self {
        Self { stdout: None, stderr: None, gzip }
    }

    /// The terminal's output goes on with `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut stray = Vec::new();
        for &byte in bytes {
            match (byte, &mut self.stdout, &mut self.stderr) {
                (b',', ..) => pieces.push(Piece::Taken),
                (b'>', _, Some(text)) => {
                    pieces.extend(some(decode(text)?).map(Piece::Stderr));
                    self.stderr = None;
                }
                (_, _, Some(text)) => push(text, byte)?,
                (b'<', _, None) => self.stderr = Some(Vec::new()),
                (b']', Some(text), None) => {
                    let bytes = decode(text)?;
                    let bytes = if self.gzip { expand(&bytes)? } else { bytes };
                    pieces.extend(some(bytes).map(Piece::Stdout));
                    self.stdout = None;
                }
                (_, Some(text), None) => push(text, byte)?,
                (b'[', None, None) => self.stdout = Some(Vec::new()),
                (b' ' | b'\n' | b'\r', None, None) if stray.is_empty() => {}
                (_, None, None) => stray.push(byte),
            }
        }
        if !stray.is_empty() {
            pieces.push(Piece::Stray(stray.into()));
        }
        Ok(pieces)
    }
}

fn push(text: &mut Vec<u8>, byte: u8) -> Result<(), String> {
    match byte {
        b' ' | b'\n' | b'\r' => {}
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => text.push(byte),
        _ => return Err("something in the container wrote into the command's output".into()),
    }
    if text.len() > LONGEST { Err("a piece of output does not end".into()) } else { Ok(()) }
}

fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("a piece of output cannot be decoded ({e}): {DISTURBED}"))
}

/// What gzip (RFC 1952) made small, without a name: ten bytes, deflate's format, a checksum and
/// the length. The checksum is not looked at, as each message has come with a better one.
fn expand(gzip: &[u8]) -> Result<Vec<u8>, String> {
    let parts =
        gzip.split_at_checked(10).and_then(|(head, rest)| Some((head, rest.split_last_chunk::<8>()?)));
    let Some(([0x1f, 0x8b, 8, 0, ..], (deflate, [.., a, b, c, d]))) = parts else {
        return Err(format!("a piece of output is not in gzip's format: {DISTURBED}"));
    };
    match decompress_to_vec_with_limit(deflate, STDOUT_CHUNK) {
        Ok(bytes) if bytes.len() as u64 == u64::from(u32::from_le_bytes([*a, *b, *c, *d])) => Ok(bytes),
        _ => Err(format!("a piece of output cannot be expanded: {DISTURBED}")),
    }
}

fn some(bytes: Vec<u8>) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, at: usize) -> Vec<Piece> {
        let mut frames = Frames::new(false);
        let mut pieces = frames.feed(&text.as_bytes()[..at]).unwrap();
        pieces.extend(frames.feed(&text.as_bytes()[at..]).unwrap());
        pieces
    }

    #[test]
    fn streams_come_apart_wherever_they_are_cut() {
        let text = "[aGVs bG8=]\n<ZXJy>\n,[\nAA==]";
        for cut in 0..=text.len() {
            assert_eq!(
                all(text, cut),
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
    fn stderr_and_stdin_may_interrupt_stdout() {
        let pieces = all("[aGVs<ZXJy>,bG8=]", 0);
        assert_eq!(pieces, [Piece::Stderr("err".into()), Piece::Taken, Piece::Stdout("hello".into())]);
    }

    #[test]
    fn what_is_not_the_wrappers_is_kept_apart() {
        assert_eq!(
            all("Password: [aGk=]", 0)[..],
            [Piece::Stdout("hi".into()), Piece::Stray("Password: ".into())]
        );
    }

    #[test]
    fn disturbed_output_is_an_error_and_never_passed_on() {
        for text in ["[aGk]", "[a*Gk=]", "[aGk=aGk=]", "<\u{fffd}>"] {
            assert!(Frames::new(false).feed(text.as_bytes()).is_err(), "{text}");
        }
    }

    fn small(bytes: &[u8]) -> String {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let deflate = miniz_oxide::deflate::compress_to_vec(bytes, 1);
        let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\x04\x03", &deflate[..], &[0; 4], &length].concat();
        format!("[{}]", STANDARD.encode(gzip))
    }

    #[test]
    fn stdout_may_come_made_small() {
        let bytes = b"a line like any other\n".repeat(4000);
        let all = |text: &str| Frames::new(true).feed(text.as_bytes());
        assert_eq!(all(&(small(&bytes) + &small(b""))), Ok(vec![Piece::Stdout(bytes.into())]));
        assert_eq!(all("<ZXJy>"), Ok(vec![Piece::Stderr("err".into())]));
    }

    #[test]
    fn what_does_not_expand_to_itself_is_an_error() {
        let whole = small(&[7; 1000]);
        let cut = format!("{}]", &whole[..whole.len() - 5]);
        let other = whole.replacen('H', "I", 1);
        for text in [cut, other, small(&vec![0; STDOUT_CHUNK + 1])] {
            assert!(Frames::new(true).feed(text.as_bytes()).is_err(), "{text}");
        }
    }
}
