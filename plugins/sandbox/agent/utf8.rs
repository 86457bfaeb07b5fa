//! What the agent does to a terminal's output: it goes by characters, and is not binary-safe.

/// Longest UTF-8 sequence, bytes.
const LONGEST: usize = 4;
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Cuts off what may be sent; up to 3 bytes of what may be an unfinished character stay.
///
/// Bytes that are no UTF-8 pass, but a real U+FFFD loses all but its first byte (field.md, 9).
pub(super) fn take(buffer: &mut Vec<u8>) -> Vec<u8> {
    let mut taken = Vec::with_capacity(buffer.len());
    let mut at = 0;
    while at < buffer.len() {
        let rest = &buffer[at..];
        let length = character(rest);
        match length {
            Some(length) if !rest.starts_with(REPLACEMENT) => {
                taken.extend_from_slice(&rest[..length]);
                at += length;
            }
            _ if rest.len() < LONGEST => break,
            length => {
                taken.push(rest[0]);
                at += length.unwrap_or(1);
            }
        }
    }
    buffer.drain(..at);
    taken
}

/// Length of the character that bytes begin with, if it is one.
fn character(bytes: &[u8]) -> Option<usize> {
    let length = match bytes.first()? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    bytes.get(..length).filter(|bytes| std::str::from_utf8(bytes).is_ok()).map(|_| length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut buffer = bytes.to_vec();
        (take(&mut buffer), buffer)
    }

    #[test]
    fn text_passes_whole() {
        let text = "grüße, 世界 🦀".as_bytes();
        assert_eq!(run(text), (text.to_vec(), vec![]));
    }

    #[test]
    fn an_unfinished_character_waits_for_its_rest() {
        assert_eq!(run(b"abc\xf0\x9f\xa6"), (b"abc".to_vec(), b"\xf0\x9f\xa6".to_vec()));
        assert_eq!(run(b"a\xff"), (b"a".to_vec(), b"\xff".to_vec()));
    }

    #[test]
    fn other_bytes_pass_once_enough_follow() {
        assert_eq!(run(b"\xff\xfeabcd"), (b"\xff\xfeabcd".to_vec(), vec![]));
    }

    #[test]
    fn a_replacement_character_is_cut_to_its_first_byte() {
        assert_eq!(run("a\u{fffd}bcd".as_bytes()), (b"a\xefbcd".to_vec(), vec![]));
    }
}
