//! Version gates and answers to handshake requests.

use ecsx::ssm::body::HandshakeRequest;
use ecsx::ssm::channel::{Key, Kind};
use ecsx::ssm::handshake::{
    CLIENT_VERSION, Offer, disables_keep_alive, supports_mux, supports_terminate_flag,
};
use serde_json::{Value, json};

use crate::vectors::{list, section, text};

#[test]
fn version_gates_open_for_the_versions_that_open_amazons() {
    for vector in list(&section("client_version_gates")) {
        let version = text(&vector["agent_version"]);
        assert_eq!(supports_mux(version), vector["mux"], "mux, {version:?}");
        assert_eq!(
            disables_keep_alive(version),
            vector["smux_keepalive_disabled"],
            "keep-alive, {version:?}"
        );
        assert_eq!(supports_terminate_flag(version), vector["terminate_flag"], "terminate flag, {version:?}");
    }
}

#[test]
fn our_own_version_opens_the_agents_gates() {
    let parts: Vec<u32> = CLIENT_VERSION.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts.len() == 4 && parts[..] > [1, 2, 339, 0][..]);
}

fn offer(version: &str, actions: Value) -> Offer {
    let request = json!({ "AgentVersion": version, "RequestedClientActions": actions });
    Offer::new(serde_json::from_value::<HandshakeRequest>(request).unwrap())
}

fn session_type(session_type: &str, properties: Value) -> Value {
    json!([{ "ActionType": "SessionType", "ActionParameters": { "SessionType": session_type, "Properties": properties } }])
}

#[test]
fn the_session_type_and_the_agents_version_decide_the_kind() {
    let port = |properties| session_type("Port", properties);
    let local = || port(json!({ "type": "LocalPortForwarding", "portNumber": "80" }));
    let cases = [
        ("3.3.987.0", session_type("Standard_Stream", Value::Null), Kind::Shell),
        ("3.3.987.0", session_type("InteractiveCommands", Value::Null), Kind::Shell),
        ("3.3.987.0", session_type("NonInteractiveCommands", Value::Null), Kind::Shell),
        ("3.3.987.0", local(), Kind::Mux { keep_alive: false }),
        ("3.1.1511.0", local(), Kind::Mux { keep_alive: true }),
        ("3.0.196.0", local(), Kind::Basic { terminate_flag: true }),
        ("2.3.722.0", local(), Kind::Basic { terminate_flag: false }),
        ("3.3.987.0", port(json!({ "portNumber": "22" })), Kind::Raw),
        ("3.3.987.0", port(Value::Null), Kind::Raw),
    ];
    for (version, actions, kind) in cases {
        assert_eq!(offer(version, actions.clone()).kind, kind, "{version} {actions}");
    }
}

#[test]
fn an_agreed_session_type_is_answered_as_amazons_client_answers_it() {
    let messages = section("agent_messages");
    let find = |name| list(&messages).iter().find(|vector| text(&vector["name"]) == name).unwrap();
    let answer =
        offer("3.3.987.0", session_type("Port", json!({ "type": "LocalPortForwarding" }))).answer(None);
    let official = find("handshake_response_port_ok");
    assert_eq!(serde_json::to_string(&answer).unwrap(), text(&official["fields"]["payload_text"]));

    let agents = section("agent_json");
    let request = serde_json::from_str(text(&agents["handshake_request_interactive_kms"])).unwrap();
    let offer = Offer::new(request);
    let parameters = offer.encryption.clone().unwrap();
    assert_eq!(parameters.key_id, "arn:aws:kms:us-east-1:111122223333:key/abcd");
    assert_eq!(parameters.challenge.as_deref(), Some("AAAAAAAAAAAAAAAAAAAAAA=="));
    let key = |challenge_acknowledged| {
        Ok(Key { plaintext: [1; 64], ciphertext: b"CIPHERTEXTBLOB".to_vec(), challenge_acknowledged })
    };
    let official = find("handshake_response_kms_ok");
    let answer = serde_json::to_value(offer.answer(Some(&key(false)))).unwrap();
    let official: Value = serde_json::from_str(text(&official["fields"]["payload_text"])).unwrap();
    assert_eq!(answer, official);
    let answer = serde_json::to_value(offer.answer(Some(&key(true)))).unwrap();
    assert_eq!(answer["ProcessedClientActions"][1]["ActionResult"]["ChallengeAcknowledgement"], true);
}

#[test]
fn what_cannot_be_done_is_said_with_a_status_the_agent_reads() {
    let actions = json!([
        { "ActionType": "SessionType", "ActionParameters": { "SessionType": "Bogus", "Properties": null } },
        { "ActionType": "Weird", "ActionParameters": {} },
        { "ActionType": "KMSEncryption", "ActionParameters": { "KMSKeyId": "k" } },
    ]);
    let answer = offer("3.3.987.0", actions).answer(Some(&Err("access denied".into())));
    let answer = serde_json::to_value(answer).unwrap();
    let processed = list(&answer["ProcessedClientActions"]);
    let statuses: Vec<_> = processed.iter().map(|action| action["ActionStatus"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [2, 3, 2]);
    // Texts of the official client for the first two.
    assert_eq!(processed[0]["Error"], "Failed to process action SessionType: Unknown session type Bogus");
    assert_eq!(processed[1]["Error"], "Unsupported action Weird");
    assert!(text(&processed[2]["Error"]).contains("access denied"));
    assert_eq!(list(&answer["Errors"]).len(), 3);
}

#[test]
fn a_request_of_nothing_is_agreed_to() {
    let answer = offer("3.3.987.0", json!([])).answer(None);
    assert!(answer.processed_client_actions.is_empty() && answer.errors.is_none());
    assert_eq!(offer("3.3.987.0", Value::Null).kind, Kind::Shell);
}
