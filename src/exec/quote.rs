//! Words made safe, for a POSIX shell and for the agent's splitter alike.

/// `word` in single quotes, each quote within as `'\''`. A POSIX shell and google/shlex, with
/// which the agent splits a command line, read that the same way.
pub fn quote(word: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(word.len() + 2);
    quoted.push(b'\'');
    for &byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// `word` as [`quote`] does it, but bare where nothing in it needs quotes, for readability.
fn quote_if_needed(word: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./:,@%+".contains(b);
    if !word.is_empty() && word.iter().all(plain) { word.to_vec() } else { quote(word) }
}

/// `words` as one line; `None` when one of them is no UTF-8.
pub(super) fn line(words: &[Vec<u8>]) -> Option<String> {
    let words: Vec<_> = words.iter().map(|word| quote_if_needed(word)).collect();
    String::from_utf8(words.join(&b' ')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        let words = ["psql", "-c", "it's", "", "a b", "$HOME", "x=1"].map(|w| w.as_bytes().to_vec());
        assert_eq!(line(&words).unwrap(), r#"psql -c 'it'\''s' '' 'a b' '$HOME' 'x=1'"#);
    }

    #[test]
    fn a_word_that_is_no_text_has_no_line() {
        assert_eq!(line(&[b"\xff".to_vec()]), None);
    }
}
