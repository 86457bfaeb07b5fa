//! Three streams in one: what a piped command's loops write to the terminal.
//!
//! `[BASE64]` is stdout, `<BASE64>` stderr, `,` says that a piece of stdin was taken. White
//! space means nothing. Each `<…>` and `,` is one write(2), which a terminal does not
//! interrupt; a `[…]` is many, and may hold the other two anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Longest frame taken, bytes of text. The container's pipe holds 64 KiB, 1 MiB at most.
const LONGEST: usize = 2 << 20;

/// A part of what arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Stdout(Bytes),
    Stderr(Bytes),
    /// A piece of stdin was taken.
    Taken,
    /// Not the wrapper's: something else wrote to the terminal (a prompt on `/dev/tty`, `wall`).
    Stray(Bytes),
}

/// Takes the streams apart.
#[derive(Debug, Default)]
pub(super) struct Frames {
    stdout: Option<Vec<u8>>,
    stderr: Option<Vec<u8>>,
}

impl Frames {
    /// The terminal's output goes on with `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::new();
        let mut stray = Vec::new();
        for &byte in bytes {
            match (byte, &mut self.stdout, &mut self.stderr) {
                (b',', ..) => pieces.push(Piece::Taken),
                (b'>', _, Some(_)) => pieces.extend(decode(self.stderr.take())?.map(Piece::Stderr)),
                (_, _, Some(text)) => push(text, byte)?,
                (b'<', _, None) => self.stderr = Some(Vec::new()),
                (b']', Some(_), None) => pieces.extend(decode(self.stdout.take())?.map(Piece::Stdout)),
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

fn decode(text: Option<Vec<u8>>) -> Result<Option<Bytes>, String> {
    let text = text.unwrap_or_default();
    let bytes = STANDARD
        .decode(&text)
        .map_err(|e| format!("a piece of output cannot be decoded ({e}): its bytes were disturbed"))?;
    Ok((!bytes.is_empty()).then(|| bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, at: usize) -> Vec<Piece> {
        let mut frames = Frames::default();
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
            assert!(Frames::default().feed(text.as_bytes()).is_err(), "{text}");
        }
    }
}
