//! Random bytes from a seed that the caller brings: HMAC-SHA-256 of a counter.

use ring::hmac;

/// Draws for one session.
pub(super) struct Random {
    key: hmac::Key,
    drawn: u64,
}

impl Random {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, seed), drawn: 0 }
    }

    pub(super) fn next<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        self.drawn += 1;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&hmac::sign(&self.key, &self.drawn.to_be_bytes()).as_ref()[..N]);
        bytes
    }
}
