//! Sessions encrypted with a KMS data key.

use std::time::Duration;

use ecsx::ssm::channel::{Event, Input, Key};
use ecsx::ssm::crypt::Crypt;
use ecsx::ssm::wire::{Message, MessageType, PayloadType};
use serde_json::json;

use crate::drive::{Driven, complete, json_of, output, write};
use crate::vectors::{section, text};

const DATA_KEY: [u8; 64] = [9; 64];

fn request() -> Message {
    let body = text(&section("agent_json")["handshake_request_interactive_kms"]).to_owned();
    output(0, PayloadType::HandshakeRequest, body.as_bytes())
}

fn key() -> Key {
    Key { plaintext: DATA_KEY, ciphertext: b"blob".to_vec(), challenge_acknowledged: true }
}

fn agent() -> Crypt {
    Crypt::agent(&DATA_KEY, [1; 4]).unwrap()
}

fn challenge(sequence: i64, agent: &mut Crypt) -> Message {
    let body = ecsx::ssm::body::EncChallenge {
        challenge: ecsx::ssm::body::Base64(agent.seal(&[5; 64]).unwrap().to_vec()),
    };
    output(sequence, PayloadType::EncChallengeRequest, &serde_json::to_vec(&body).unwrap())
}

#[test]
fn the_key_is_asked_for_and_the_handshake_answered_with_it() {
    let mut driven = Driven::connected(false);
    driven.receive(&request());
    let wanted = Event::KeyWanted {
        key_id: "arn:aws:kms:us-east-1:111122223333:key/abcd".into(),
        challenge: Some("AAAAAAAAAAAAAAAAAAAAAA==".into()),
    };
    assert_eq!(driven.take_events(), [wanted]);
    assert_eq!(driven.take_acknowledged(), [0], "acknowledged first, answered when the key is there");
    driven.pass(Duration::from_secs(3));
    assert!(driven.take_sent().is_empty(), "no presumption meanwhile");
    driven.input(Input::Key(Ok(key())));
    let answer = json_of(&driven.take_sent()[0]);
    let result = &answer["ProcessedClientActions"][1]["ActionResult"];
    assert_eq!(
        (&result["KMSCipherTextKey"], &result["ChallengeAcknowledgement"]),
        (&json!("YmxvYg=="), &json!(true))
    );
}

#[test]
fn a_refused_key_is_told_to_the_agent_in_words() {
    let mut driven = Driven::connected(false);
    driven.receive(&request());
    driven.input(Input::Key(Err("access denied".into())));
    let answer = json_of(driven.sent.last().unwrap());
    let action = &answer["ProcessedClientActions"][1];
    assert_eq!(action["ActionStatus"], 2);
    assert!(text(&action["Error"]).contains("access denied"), "{action}");
}

#[test]
fn after_the_challenge_both_directions_are_encrypted_but_for_size_and_flags() {
    let mut driven = Driven::connected(false);
    let mut agent = agent();
    driven.input(Input::Resize { cols: 80, rows: 24 });
    driven.receive(&request());
    driven.input(Input::Key(Ok(key())));
    driven.take_sent();
    driven.receive(&challenge(1, &mut agent));
    driven.receive(&challenge(2, &mut agent));
    let sent = driven.take_sent();
    let answers: Vec<_> =
        sent.iter().filter(|sent| sent.payload_type == PayloadType::EncChallengeResponse).collect();
    assert_eq!(answers.len(), 1, "once");
    let answer: ecsx::ssm::body::EncChallenge = serde_json::from_slice(&answers[0].payload).unwrap();
    assert_eq!(agent.open(&answer.challenge.0).unwrap()[..], [5; 64]);
    driven.receive(&complete(3));
    write(&mut driven, b"typed");
    let sent = driven.take_sent();
    let last: Vec<_> = sent.iter().filter(|sent| sent.message_type == MessageType::InputStreamData).collect();
    assert_eq!(last[0].payload, r#"{"cols":80,"rows":24}"#);
    assert_eq!(agent.open(&last[1].payload).unwrap(), "typed");
    for (number, payload_type) in [(4, PayloadType::Output), (5, PayloadType::StdErr)] {
        let sealed = agent.seal(b"shown").unwrap();
        driven.receive(&output(number, payload_type, &sealed));
        assert_eq!(driven.take_data(), b"shown");
    }
    let sealed = agent.seal(b"EXIT_CODE: 3").unwrap();
    driven.receive(&output(6, PayloadType::ExitCode, &sealed));
    assert_eq!(driven.take_events().last(), Some(&Event::ExitCode(3)));
}

#[test]
fn data_before_the_key_is_agreed_ends_the_session_and_nothing_follows() {
    let mut driven = Driven::connected(false);
    driven.receive(&request());
    driven.take_events();
    driven.receive(&output(1, PayloadType::Output, b"plain"));
    assert!(matches!(driven.take_events()[..], [Event::Failed(_)]));
}

#[test]
fn keys_survive_a_reconnection() {
    let mut driven = Driven::connected(false);
    let mut agent = agent();
    driven.receive(&request());
    driven.input(Input::Key(Ok(key())));
    driven.receive(&complete(1));
    driven.input(Input::Disconnected);
    driven.input(Input::Connected { token: "t".into() });
    driven.take_sent();
    driven.take_events();
    let sealed = agent.seal(b"still").unwrap();
    driven.receive(&output(2, PayloadType::Output, &sealed));
    assert_eq!(driven.take_data(), b"still");
}

#[test]
fn what_cannot_be_decrypted_ends_the_session_with_words() {
    for payload in [&b"short"[..], &[0; 64]] {
        let mut driven = Driven::connected(false);
        driven.receive(&request());
        driven.input(Input::Key(Ok(key())));
        driven.receive(&complete(1));
        driven.take_events();
        driven.receive(&output(2, PayloadType::Output, payload));
        assert!(matches!(&driven.take_events()[..], [Event::Failed(why)] if why.contains("decrypted")));
    }
}

#[test]
fn nothing_in_the_clear_is_shown_of_an_encrypted_session() {
    for payload_type in [PayloadType::Output, PayloadType::Error, PayloadType::StdErr] {
        let mut driven = Driven::connected(false);
        driven.receive(&request());
        driven.input(Input::Key(Ok(key())));
        driven.receive(&complete(1));
        driven.take_events();
        driven.receive(&output(2, payload_type, b"injected, and long enough for a nonce and a tag"));
        assert!(matches!(&driven.take_events()[..], [Event::Failed(_)]), "{payload_type:?}");
    }
}
