//! AES-256-GCM of KMS-encrypted sessions: nonce ‖ ciphertext ‖ tag, no additional data
//! (protocol.md section 5).

use bytes::{Bytes, BytesMut};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// What encryption adds to a payload, bytes.
pub const OVERHEAD: usize = NONCE_LEN + 16;

/// Both keys of a session.
#[derive(Debug)]
pub struct Crypt {
    opening: LessSafeKey,
    sealing: LessSafeKey,
    salt: [u8; 4],
    sealed: u64,
}

impl Crypt {
    /// Splits a data key as a client does: the first half opens, the second seals. `salt` is
    /// random; with the counter behind it no nonce comes twice under the key.
    pub fn client(data_key: &[u8; 64], salt: [u8; 4]) -> Option<Self> {
        let (opening, sealing) = data_key.split_at(32);
        Self::new(opening, sealing, salt)
    }

    /// The agent's side of the same data key.
    pub fn agent(data_key: &[u8; 64], salt: [u8; 4]) -> Option<Self> {
        let (sealing, opening) = data_key.split_at(32);
        Self::new(opening, sealing, salt)
    }

    fn new(opening: &[u8], sealing: &[u8], salt: [u8; 4]) -> Option<Self> {
        let key = |half| UnboundKey::new(&AES_256_GCM, half).ok().map(LessSafeKey::new);
        Some(Self { opening: key(opening)?, sealing: key(sealing)?, salt, sealed: 0 })
    }

    /// Encrypts a payload under a fresh nonce.
    pub fn seal(&mut self, plaintext: &[u8]) -> Option<Bytes> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&self.sealed.to_be_bytes());
        self.sealed = self.sealed.checked_add(1)?;
        let mut payload = BytesMut::with_capacity(plaintext.len() + OVERHEAD);
        payload.extend_from_slice(&nonce);
        payload.extend_from_slice(plaintext);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.sealing.seal_in_place_separate_tag(nonce, Aad::empty(), &mut payload[NONCE_LEN..]);
        payload.extend_from_slice(tag.ok()?.as_ref());
        Some(payload.freeze())
    }

    /// Decrypts a payload; `None` if it is too short or was not sealed with the other end's key.
    pub fn open(&self, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < OVERHEAD {
            return None;
        }
        let (nonce, sealed) = payload.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = BytesMut::from(sealed);
        let length = self.opening.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed.freeze())
    }
}
