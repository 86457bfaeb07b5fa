//! Sessions recorded between Amazon's own client and agent: given what the agent and the service
//! sent, the channel must answer what makes the session work, and deliver the same bytes.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::Duration;

use ecsx::ssm::channel::{Event, Input, Key, Kind};
use ecsx::ssm::smux::{Client, Event as Smux};
use ecsx::ssm::wire::{Digest, Message, MessageType, PayloadType};
use serde_json::Value;

use crate::drive::{Driven, acknowledged};
use crate::vectors::{data, text, unhex};

/// What became of a replayed session.
struct Replayed {
    driven: Driven,
    events: Vec<Event>,
    sent: Vec<Message>,
    /// Bytes of type 1, and of types 11 and 12, as the recording has them.
    recorded: (Vec<u8>, Vec<u8>),
}

fn replay(name: &str, expect_handshake: bool, key: Option<Result<Key, String>>) -> Replayed {
    replay_as(name, None, expect_handshake, key)
}

/// Feeds every frame that the recorded agent and service sent to the client, at its time. Old
/// versions were made by the recording gateway, which put another one into the agent's request
/// on its way: so does this.
fn replay_as(
    name: &str,
    agent_version: Option<&str>,
    expect_handshake: bool,
    key: Option<Result<Key, String>>,
) -> Replayed {
    let lines = fs::read_to_string(data(&format!("traces/{name}.jsonl"))).unwrap();
    let mut driven = Driven::connected(expect_handshake);
    driven.input(Input::Resize { cols: 100, rows: 30 });
    let mut key = key;
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    let mut recorded = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut last = 0;
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let to_client = matches!(text(&entry["dir"]), "a2s" | "s2c") && entry["op"] == "binary";
        if !to_client {
            continue;
        }
        let at = entry["t_us"].as_u64().unwrap();
        // Answers of the recorded client took their time; ours only wait for their acknowledgements,
        // which carry the recorded client's numbers: those of our own messages are fed below.
        driven.pass(Duration::from_micros(at.saturating_sub(last)));
        last = at;
        let mut frame = unhex(&entry["hex"]);
        let mut message = Message::decode(frame.clone().into(), Digest::Verify).unwrap();
        if let (PayloadType::HandshakeRequest, Some(version)) = (message.payload_type, agent_version) {
            let body = String::from_utf8(message.payload.to_vec()).unwrap();
            message.payload = body.replace("3.3.1142.0", version).into();
            frame = message.encode().unwrap().into();
        }
        match message.payload_type {
            // The recorded agent repeats what the recorded client did not acknowledge twice.
            _ if message.message_type != MessageType::OutputStreamData || !seen.insert(message.sequence) => {}
            PayloadType::Output => recorded.0.extend_from_slice(&message.payload),
            PayloadType::StdErr | PayloadType::ExitCode => recorded.1.extend_from_slice(&message.payload),
            _ => {}
        }
        driven.input(Input::Received(frame.into()));
        for event in driven.take_events() {
            if let (Event::KeyWanted { .. }, Some(key)) = (&event, key.take()) {
                driven.input(Input::Key(key));
            }
            events.push(event);
        }
        events.extend(driven.take_events());
        sent.extend(driven.take_sent());
    }
    Replayed { driven, events, sent, recorded }
}

impl Replayed {
    fn data(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for event in &self.events {
            if let Event::Data(_, bytes) = event {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    fn kind(&self) -> Option<Kind> {
        self.events.iter().find_map(|event| match event {
            Event::Ready(ready) => Some(ready.kind),
            _ => None,
        })
    }

    fn closed(&self) -> Option<&str> {
        match self.events.last() {
            Some(Event::Closed(text)) => Some(text),
            _ => None,
        }
    }

    fn acknowledged(&self) -> Vec<i64> {
        let mut numbers: Vec<_> = self
            .sent
            .iter()
            .filter(|sent| sent.message_type == MessageType::Acknowledge)
            .map(acknowledged)
            .collect();
        numbers.sort();
        numbers.dedup();
        numbers
    }

    /// Payload types of our numbered messages, in order of number.
    fn numbered(&self) -> Vec<PayloadType> {
        let inputs = self.sent.iter().filter(|sent| sent.message_type == MessageType::InputStreamData);
        let by_number: BTreeMap<_, _> = inputs.map(|sent| (sent.sequence, sent.payload_type)).collect();
        assert!(by_number.keys().copied().eq(0..by_number.len() as i64));
        by_number.into_values().collect()
    }
}

/// What every session has in common.
fn check(replayed: &Replayed, name: &str) {
    assert_eq!(replayed.driven.channel.statistics().refused, 0, "{name}");
    let acknowledged = replayed.acknowledged();
    assert!(acknowledged.iter().copied().eq(0..acknowledged.len() as i64), "{name}: {acknowledged:?}");
}

#[test]
fn shells_without_handshake_show_their_output_and_close() {
    for name in ["exec_shell_resize_exit", "exec_ls", "exec_ctrl_c", "ssm_standard_stream_shell"] {
        let replayed = replay(name, false, None);
        check(&replayed, name);
        assert_eq!(replayed.kind(), Some(Kind::Shell), "{name}");
        assert!(replayed.data() == replayed.recorded.0, "{name}");
        assert!(!replayed.recorded.0.is_empty());
        assert_eq!(replayed.numbered()[0], PayloadType::Size, "{name}");
        assert_eq!(replayed.closed(), Some(""), "{name}");
    }
}

#[test]
fn a_command_that_says_nothing_just_closes() {
    let replayed = replay("exec_exit7", false, None);
    check(&replayed, "exec_exit7");
    assert!(replayed.sent.is_empty());
    assert_eq!(replayed.closed(), Some(""));
}

#[test]
fn a_command_that_cannot_start_closes_with_the_reason() {
    let replayed = replay("exec_notfound", false, None);
    check(&replayed, "exec_notfound");
    assert!(replayed.closed().unwrap().contains("Unable to start command"), "{:?}", replayed.events);
}

#[test]
fn port_sessions_shake_hands_and_their_streams_come_out_whole() {
    for (name, version, keep_alive) in [
        ("pf_mux", None, false),
        ("pf_mux_keepalive", Some("3.1.1511.0"), true),
        ("pf_connect_error", None, false),
    ] {
        let replayed = replay_as(name, version, true, None);
        check(&replayed, name);
        assert_eq!(replayed.kind(), Some(Kind::Mux { keep_alive }), "{name}");
        assert_eq!(replayed.numbered(), [PayloadType::HandshakeResponse], "{name}");
        assert!(replayed.data() == replayed.recorded.0, "{name}");
        let mut client = Client::new(replayed.driven.start, keep_alive);
        let ids: Vec<_> = (0..2).map(|_| client.open().unwrap()).collect();
        client.receive(replayed.data().into());
        let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
        assert!(!events.iter().any(|event| matches!(event, Smux::Broken(_))), "{name}");
        assert!(events.contains(&Smux::Finished(ids[0], 0)), "{name}: {events:?}");
        let refused = replayed.events.contains(&Event::ConnectFailed);
        assert_eq!(refused, name == "pf_connect_error", "{name}");
        let data = events.iter().any(|event| matches!(event, Smux::Data(..)));
        assert_eq!(data, !refused || name != "pf_connect_error", "{name}: {events:?}");
    }
}

#[test]
fn an_old_agents_port_session_is_raw_bytes() {
    let replayed = replay_as("pf_basic", Some("3.0.196.0"), true, None);
    check(&replayed, "pf_basic");
    assert_eq!(replayed.kind(), Some(Kind::Basic { terminate_flag: true }));
    assert!(replayed.data() == replayed.recorded.0);
}

#[test]
fn a_session_for_ssh_is_a_raw_stream() {
    let replayed = replay("ssm_ssh_stdstream", true, None);
    check(&replayed, "ssm_ssh_stdstream");
    assert_eq!(replayed.kind(), Some(Kind::Raw));
    assert!(replayed.data().starts_with(b"HTTP/1.0 200 OK"));
    assert!(replayed.data() == replayed.recorded.0);
}

#[test]
fn a_command_without_terminal_reports_its_streams_and_exit_code() {
    let replayed = replay("ssm_noninteractive_sepTrue", true, None);
    check(&replayed, "sepTrue");
    let codes: Vec<_> = replayed.events.iter().filter(|event| matches!(event, Event::ExitCode(_))).collect();
    assert_eq!(codes, [&Event::ExitCode(5)]);
    assert_eq!(replayed.data(), b"err\nout\n");
    assert_eq!(replayed.recorded.1, b"err\nEXIT_CODE: 5");
    let replayed = replay("ssm_noninteractive_sepFalse", true, None);
    check(&replayed, "sepFalse");
    assert!(replayed.data() == replayed.recorded.0);
    assert!(!replayed.events.iter().any(|event| matches!(event, Event::ExitCode(_))));
}

#[test]
fn a_refused_key_closes_the_session_with_the_agents_words() {
    for (name, key) in [
        ("exec_kms_client_error", Err("access denied".to_owned())),
        (
            "exec_kms_agent_error",
            Ok(Key { plaintext: [1; 64], ciphertext: vec![1], challenge_acknowledged: false }),
        ),
    ] {
        let replayed = replay(name, false, Some(key));
        check(&replayed, name);
        assert_eq!(replayed.numbered(), [PayloadType::HandshakeResponse], "{name}");
        assert!(replayed.closed().unwrap().contains("handshake"), "{name}: {:?}", replayed.events.last());
        assert_eq!(replayed.kind(), None, "{name}: never ready");
    }
}

#[test]
fn an_encrypted_session_with_the_wrong_key_fails_at_the_challenge() {
    let key = Key { plaintext: [1; 64], ciphertext: vec![1], challenge_acknowledged: false };
    let replayed = replay("exec_kms_shell", false, Some(Ok(key)));
    assert!(matches!(replayed.events.last(), Some(Event::Failed(_))), "{:?}", replayed.events);
}
