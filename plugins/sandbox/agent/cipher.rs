//! The agent's side of an encrypted session (protocol.md 5).

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};

use crate::sandbox::random;

/// Encrypts with the data key's first half, decrypts with its second.
pub(super) struct Cipher {
    encrypt: LessSafeKey,
    decrypt: LessSafeKey,
    /// A counter of little-endian words from a random start, as the real agent has it.
    nonce: [u8; NONCE_LEN],
}

impl Cipher {
    pub(super) fn new(key: &[u8; 64]) -> Option<Self> {
        let (first, second) = key.split_at(32);
        let half = |half| UnboundKey::new(&AES_256_GCM, half).ok().map(LessSafeKey::new);
        Some(Self { encrypt: half(first)?, decrypt: half(second)?, nonce: random() })
    }

    /// nonce ‖ ciphertext ‖ tag.
    pub(super) fn encrypt(&mut self, plaintext: &[u8]) -> Option<Bytes> {
        let nonce = self.nonce;
        self.count();
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(plaintext);
        let tag = self.encrypt.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut sealed[NONCE_LEN..],
        );
        sealed.extend_from_slice(tag.ok()?.as_ref());
        Some(sealed.into())
    }

    /// `None` for what was not encrypted with the client's key.
    pub(super) fn decrypt(&self, sealed: &[u8]) -> Option<Bytes> {
        if sealed.len() < NONCE_LEN + MAX_TAG_LEN {
            return None;
        }
        let (nonce, rest) = sealed.split_at(NONCE_LEN);
        let mut rest = rest.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plaintext = self.decrypt.open_in_place(nonce, Aad::empty(), &mut rest).ok()?;
        Some(Bytes::copy_from_slice(plaintext))
    }

    fn count(&mut self) {
        for word in self.nonce.chunks_exact_mut(4) {
            let next = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_add(1);
            word.copy_from_slice(&next.to_le_bytes());
            if next != 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's cipher is the agent's with the halves changed.
    fn pair() -> (Cipher, Cipher) {
        let mut key = [1; 64];
        key[32..].fill(2);
        let mut swapped = key;
        swapped.rotate_left(32);
        (Cipher::new(&key).unwrap(), Cipher::new(&swapped).unwrap())
    }

    #[test]
    fn each_end_reads_the_other_and_nothing_else() {
        let (mut agent, client) = pair();
        let sealed = agent.encrypt(b"hello").unwrap();
        assert_eq!(sealed.len(), 5 + 28);
        assert_eq!(client.decrypt(&sealed).unwrap(), &b"hello"[..]);
        assert!(agent.decrypt(&sealed).is_none() && client.decrypt(&sealed[..27]).is_none());
    }

    #[test]
    fn no_nonce_comes_twice() {
        let (mut agent, _) = pair();
        agent.nonce = [0xff; NONCE_LEN];
        agent.nonce[8] = 0;
        let sealed = agent.encrypt(b"x").unwrap();
        assert_ne!(sealed[..NONCE_LEN], agent.nonce);
        assert_eq!(agent.nonce, [0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff]);
    }
}
