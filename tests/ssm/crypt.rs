//! Encryption against what Amazon's client and agent made of fixed keys and nonces.

use ecsx::ssm::body::{EncChallenge, KmsResult};
use ecsx::ssm::crypt::{Crypt, OVERHEAD};

use crate::vectors::{list, section, text, unhex};

fn data_key() -> [u8; 64] {
    unhex(&section("kms")["plaintext_data_key_hex"]).try_into().unwrap()
}

fn client() -> Crypt {
    Crypt::client(&data_key(), [0; 4]).unwrap()
}

fn agent() -> Crypt {
    Crypt::agent(&data_key(), [0; 4]).unwrap()
}

#[test]
fn a_client_opens_what_the_agent_sealed() {
    let kms = section("kms");
    let opened = client().open(&unhex(&kms["client_decrypt"]["wire_payload_hex"])).unwrap();
    assert_eq!(opened, text(&kms["client_decrypt"]["plaintext"]));
    let cipher = section("agent_cipher");
    for vector in list(&cipher["encrypt_three_in_a_row"]["results"]) {
        let opened = client().open(&unhex(&vector["wire_payload_hex"])).unwrap();
        assert_eq!(opened, text(&cipher["encrypt_three_in_a_row"]["plaintext"]));
    }
}

#[test]
fn an_agent_opens_what_a_client_sealed() {
    let kms = section("kms");
    let opened = agent().open(&unhex(&kms["client_encrypt"]["wire_payload_hex"])).unwrap();
    assert_eq!(opened, text(&kms["client_encrypt"]["plaintext"]));
    let sealed = client().seal(b"typed").unwrap();
    assert_eq!(sealed.len(), 5 + OVERHEAD);
    assert_eq!(agent().open(&sealed).unwrap(), "typed");
}

#[test]
fn a_broken_or_short_payload_is_refused() {
    let kms = section("kms");
    assert_eq!(client().open(&unhex(&kms["client_decrypt_bad_tag"]["wire_payload_hex"])), None);
    for length in 0..OVERHEAD {
        assert_eq!(client().open(&vec![0; length]), None, "{length} bytes");
    }
}

#[test]
fn no_nonce_comes_twice() {
    let mut crypt = client();
    let sealed: std::collections::HashSet<_> =
        (0..1000).map(|_| crypt.seal(b"x").unwrap().slice(..12)).collect();
    assert_eq!(sealed.len(), 1000);
}

#[test]
fn the_challenge_of_the_vectors_opens_with_the_agents_half_of_the_key() {
    let kms = section("kms");
    let plain = unhex(&kms["challenge_plain_hex"]);
    let messages = section("agent_messages");
    let body = |name| {
        let vector = list(&messages).iter().find(|vector| text(&vector["name"]) == name).unwrap();
        serde_json::from_str::<EncChallenge>(text(&vector["fields"]["payload_text"])).unwrap()
    };
    assert_eq!(client().open(&body("enc_challenge_request").challenge.0).unwrap(), plain);
    assert_eq!(agent().open(&body("enc_challenge_response").challenge.0).unwrap(), plain);
}

#[test]
fn the_encrypted_key_goes_out_as_amazons_json() {
    let kms = section("kms");
    let parsed: KmsResult = serde_json::from_str(text(&kms["example_action_result"])).unwrap();
    assert_eq!(parsed.ciphertext_key.0, b"CIPHERTEXTBLOB");
    assert_eq!(serde_json::to_string(&parsed).unwrap(), text(&kms["example_action_result"]));
}
