//! Keys that are for ecsx, as ssh has them: after Enter `~.` leaves, `~?` helps, `~~` is `~`.

/// What `~?` shows. Lines end as a raw terminal wants it.
pub const HELP: &str =
    "~?\r\nAfter Enter:\r\n  ~.  leave and end the session\r\n  ~~  send ~\r\n  ~?  this text\r\n";

/// What keys mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// They go to the remote end.
    Send(Vec<u8>),
    /// `~.`
    Leave,
    /// `~?`
    Help,
}

/// Finds escapes among the keys.
#[derive(Debug)]
pub struct Escape {
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Where an escape may begin.
    LineStart,
    /// After `~` there. It is not sent yet.
    Tilde,
    Within,
}

impl Default for Escape {
    fn default() -> Self {
        Self { place: Place::LineStart }
    }
}

impl Escape {
    /// Takes keys, in pieces as they come. Nothing follows [`Key::Leave`].
    pub fn feed(&mut self, keys: &[u8]) -> Vec<Key> {
        let mut found = Vec::new();
        let mut send = Vec::with_capacity(keys.len());
        for &key in keys {
            match (self.place, key) {
                (Place::LineStart, b'~') => {
                    self.place = Place::Tilde;
                    continue;
                }
                (Place::Tilde, b'.' | b'?') => {
                    if !send.is_empty() {
                        found.push(Key::Send(std::mem::take(&mut send)));
                    }
                    self.place = Place::LineStart;
                    if key == b'.' {
                        found.push(Key::Leave);
                        return found;
                    }
                    found.push(Key::Help);
                    continue;
                }
                (Place::Tilde, b'~') => {}
                (Place::Tilde, _) => send.push(b'~'),
                _ => {}
            }
            send.push(key);
            self.place = if matches!(key, b'\r' | b'\n') { Place::LineStart } else { Place::Within };
        }
        if !send.is_empty() {
            found.push(Key::Send(send));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(keys: &str) -> Key {
        Key::Send(keys.as_bytes().to_vec())
    }

    /// Fed at once and key by key: the same bytes are sent, the same escapes found.
    fn feed(keys: &str) -> Vec<Key> {
        let mut escape = Escape::default();
        let mut joined: Vec<Key> = Vec::new();
        for key in keys.bytes().flat_map(|key| escape.feed(&[key])) {
            match (joined.last_mut(), key) {
                (Some(Key::Send(all)), Key::Send(more)) => all.extend(more),
                (_, key) => joined.push(key),
            }
        }
        assert_eq!(joined, Escape::default().feed(keys.as_bytes()));
        joined
    }

    #[test]
    fn escapes_work_after_enter_and_at_the_start() {
        assert_eq!(feed("~."), [Key::Leave]);
        assert_eq!(feed("ls\r~."), [send("ls\r"), Key::Leave]);
        assert_eq!(feed("~?~."), [Key::Help, Key::Leave]);
    }

    #[test]
    fn elsewhere_a_tilde_is_a_tilde() {
        assert_eq!(feed("cd ~.\r"), [send("cd ~.\r")]);
        assert_eq!(feed("~/bin/x\r"), [send("~/bin/x\r")]);
        assert_eq!(feed("~~."), [send("~.")]);
        assert_eq!(feed("~\r~."), [send("~\r"), Key::Leave]);
    }
}
