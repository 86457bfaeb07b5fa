//! Lines as they were before a terminal showed them.

use bytes::Bytes;

/// Takes back what a terminal does to the ends of lines, CR LF for LF.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A CR that may belong to one.
    held: bool,
}

impl Lines {
    /// The output goes on with `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        for &byte in bytes {
            if std::mem::take(&mut self.held) && byte != b'\n' {
                out.push(b'\r');
            }
            match byte {
                b'\r' => self.held = true,
                byte => out.push(byte),
            }
        }
        out.into()
    }

    /// The output has ended: what was held.
    pub(super) fn end(&mut self) -> Bytes {
        Bytes::from_static(if std::mem::take(&mut self.held) { b"\r" } else { b"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_terminals_own_carriage_returns_go() {
        let shown = b"a\r\nb\rc\r\r\nd\r";
        for cut in 0..=shown.len() {
            let mut lines = Lines::default();
            let parts = [lines.feed(&shown[..cut]), lines.feed(&shown[cut..]), lines.end()];
            assert_eq!(parts.concat(), b"a\nb\rc\r\nd\r", "cut at {cut}");
        }
    }
}
