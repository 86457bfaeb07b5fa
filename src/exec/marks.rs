//! Marks: what the wrapper says in between the command's own bytes.

use bytes::Bytes;

/// Begins a mark. Nothing that is typed or shown ends with it, so that no output waits to be
/// told from a mark's beginning.
const LEAD: u8 = 0x1e;
/// Longest text in a mark, bytes.
const LONGEST: usize = 32;

/// The sixteen hexadecimal digits that tell one session's marks from all other bytes.
#[derive(Debug, Clone)]
pub(super) struct Nonce(String);

impl Nonce {
    pub(super) fn new(random: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(random)))
    }

    /// How everything begins that is told by this nonce.
    pub(super) fn lead(&self) -> Vec<u8> {
        [&[LEAD], self.0.as_bytes()].concat()
    }

    /// The nonce as shell text for within double quotes: interrupted, so that a mark is never
    /// found in the wrapper's own text (in the output of `ps`, or an echo).
    pub(super) fn in_quotes(&self) -> String {
        format!("{}\"\"{}", &self.0[..8], &self.0[8..])
    }
}

/// A stream up to its first mark.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What is surely no mark; may be empty.
    pub(super) before: Bytes,
    /// The mark's text, and what follows it.
    pub(super) mark: Option<(String, Bytes)>,
}

/// Finds a mark (`LEAD NONCE TEXT ;`) in a stream, wherever its pieces are cut.
#[derive(Debug)]
pub(super) struct Marks {
    mark: Vec<u8>,
    held: Vec<u8>,
}

impl Marks {
    pub(super) fn new(nonce: &Nonce) -> Self {
        Self { mark: nonce.lead(), held: Vec::new() }
    }

    /// The stream goes on with `bytes`. What may be the beginning of a mark is held back.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Found {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let mut all = Bytes::from(all);
        let mut at = 0;
        while let Some(lead) = all[at..].iter().position(|b| *b == LEAD) {
            at += lead;
            match self.read(&all[at..]) {
                Reading::Mark { text, length } => {
                    let rest = all.split_off(at + length);
                    all.truncate(at);
                    return Found { before: all, mark: Some((text, rest)) };
                }
                Reading::Unfinished => {
                    self.held = all.split_off(at).into();
                    return Found { before: all, mark: None };
                }
                Reading::No => at += 1,
            }
        }
        Found { before: all, mark: None }
    }

    fn read(&self, bytes: &[u8]) -> Reading {
        let common = bytes.len().min(self.mark.len());
        if bytes[..common] != self.mark[..common] {
            return Reading::No;
        }
        let text = &bytes[common..];
        match text.iter().take(LONGEST + 1).position(|b| !b.is_ascii_alphanumeric()) {
            Some(end) if text[end] == b';' => Reading::Mark {
                text: String::from_utf8_lossy(&text[..end]).into_owned(),
                length: common + end + 1,
            },
            None if text.len() <= LONGEST => Reading::Unfinished,
            _ => Reading::No,
        }
    }
}

enum Reading {
    Mark { text: String, length: usize },
    Unfinished,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &[u8] = b"\x1e0102030405060708";

    fn marks() -> Marks {
        Marks::new(&Nonce::new([1, 2, 3, 4, 5, 6, 7, 8]))
    }

    /// All bytes and all marks of a stream that comes in two pieces.
    fn all(marks: &mut Marks, pieces: [&[u8]; 2]) -> (Vec<u8>, Vec<String>) {
        let (mut bytes, mut texts) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut found = marks.feed(piece);
            bytes.extend_from_slice(&found.before);
            while let Some((text, rest)) = found.mark {
                texts.push(text);
                found = marks.feed(&rest);
                bytes.extend_from_slice(&found.before);
            }
        }
        bytes.extend_from_slice(&marks.held);
        (bytes, texts)
    }

    #[test]
    fn a_mark_is_found_wherever_the_stream_is_cut() {
        let stream = [b"before\x1e", MARK, b"137;after\x1e\x1e"].concat();
        for cut in 0..=stream.len() {
            let found = all(&mut marks(), [&stream[..cut], &stream[cut..]]);
            assert_eq!(found, (b"before\x1eafter\x1e\x1e".to_vec(), vec!["137".into()]), "cut at {cut}");
        }
    }

    #[test]
    fn what_only_begins_like_a_mark_is_output() {
        for tail in [&b"$c;"[..], b"", b"\n", &[b'a'; 64]] {
            let stream = [MARK, tail].concat();
            assert_eq!(all(&mut marks(), [&stream, b""]), (stream, vec![]));
        }
    }

    #[test]
    fn ordinary_output_is_never_held_back() {
        let mut marks = marks();
        for byte in (0..=0xff).filter(|b| *b != LEAD) {
            assert_eq!(marks.feed(&[byte]).before[..], [byte]);
        }
    }

    #[test]
    fn the_wrappers_own_text_holds_no_mark() {
        let nonce = Nonce::new([1, 2, 3, 4, 5, 6, 7, 8]);
        let shown = format!("\x1e{}hello;", nonce.in_quotes());
        assert_eq!(all(&mut Marks::new(&nonce), [shown.as_bytes(), b""]), (shown.into_bytes(), vec![]));
    }
}
