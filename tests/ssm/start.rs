//! How a session comes up: by handshake, by its first output, or by silence.

use std::time::Duration;

use bytes::Bytes;
use ecsx::ssm::channel::{Event, Input, Kind, Ready, Stream};
use ecsx::ssm::wire::{Message, MessageType, PayloadType};
use serde_json::Value;

use crate::drive::{
    Driven, MS, acknowledge, acknowledged, complete, message, numbers, output, port_request, write,
};
use crate::vectors::{section, text};

#[test]
fn the_open_message_comes_first_with_a_new_request_id_each_time() {
    let mut driven = Driven::new(true);
    for token in ["first", "second"] {
        driven.input(Input::Connected { token: token.into() });
        driven.input(Input::Disconnected);
    }
    let opened: Vec<Value> = driven.opened.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(opened[0]["MessageSchemaVersion"], "1.0");
    assert_eq!(opened[0]["ClientVersion"], "1.2.764.0");
    assert_eq!((text(&opened[0]["TokenValue"]), text(&opened[1]["TokenValue"])), ("first", "second"));
    assert_eq!(opened[0]["ClientId"], opened[1]["ClientId"], "one client");
    assert_ne!(opened[0]["RequestId"], opened[1]["RequestId"], "two requests");
    let official: Value = serde_json::from_str(
        r#"{"MessageSchemaVersion":"1.0","RequestId":"","TokenValue":"","ClientId":"","ClientVersion":""}"#,
    )
    .unwrap();
    assert!(official.as_object().unwrap().keys().eq(opened[0].as_object().unwrap().keys()));
}

#[test]
fn a_handshake_is_acknowledged_then_answered_then_the_session_is_ready() {
    let mut driven = Driven::connected(true);
    assert_eq!(driven.channel.capacity(), 0, "an agent throws early input away");
    driven.receive(&port_request("3.3.987.0"));
    let sent = driven.take_sent();
    assert_eq!(acknowledged(&sent[0]), 0);
    assert_eq!(
        (sent[1].payload_type, sent[1].sequence, sent[1].flags),
        (PayloadType::HandshakeResponse, 0, 0)
    );
    let official = section("behaviour")["handshake_first"][1].clone();
    let ours = String::from_utf8(sent[1].payload.to_vec()).unwrap();
    assert_eq!(ours.replace("1.2.764.0", "1.2.0.0"), text(&official["payload"]));
    assert_eq!(driven.channel.capacity(), 0);
    driven.receive(&complete(1));
    let ready = Ready {
        kind: Kind::Mux { keep_alive: false },
        agent_version: Some("3.3.987.0".into()),
        message: "".into(),
    };
    assert_eq!(driven.take_events(), [Event::Ready(ready)]);
    assert!(driven.channel.capacity() > 0);
}

#[test]
fn a_handshake_is_answered_once_however_often_it_is_asked_for() {
    let mut driven = Driven::connected(true);
    driven.receive(&port_request("3.3.987.0"));
    driven.receive(&port_request("3.3.987.0"));
    driven.receive(&Message { sequence: 1, ..port_request("3.3.987.0") });
    let sent = driven.take_sent();
    assert_eq!(numbers(&sent), [0], "a second answer would block the agent's reader for ever");
    let acknowledgements: Vec<_> =
        sent.iter().filter(|sent| sent.message_type == MessageType::Acknowledge).map(acknowledged).collect();
    assert_eq!(acknowledgements, [0, 0, 1]);
}

#[test]
fn an_early_handshake_completion_is_kept_for_its_turn() {
    let mut driven = Driven::connected(true);
    driven.receive(&complete(1));
    driven.receive(&output(2, PayloadType::Output, b"hello"));
    assert!(driven.events.is_empty());
    driven.receive(&port_request("3.3.987.0"));
    assert!(matches!(driven.events[0], Event::Ready(_)));
    assert_eq!(driven.take_data(), b"hello");
}

#[test]
fn a_shell_without_handshake_is_ready_with_its_first_output_and_gets_its_size() {
    let mut driven = Driven::connected(false);
    driven.input(Input::Resize { cols: 300, rows: 100 });
    driven.input(Input::Resize { cols: 80, rows: 24 });
    assert!(driven.take_sent().is_empty());
    driven.receive(&output(0, PayloadType::Output, b"$ "));
    let ready = Ready { kind: Kind::Shell, agent_version: None, message: "".into() };
    assert_eq!(
        driven.take_events(),
        [Event::Ready(ready), Event::Data(Stream::Output, Bytes::from_static(b"$ "))]
    );
    let sent = driven.take_sent();
    assert_eq!(sent[1].payload, r#"{"cols":80,"rows":24}"#, "the last size, once");
    assert_eq!(sent[1].payload_type, PayloadType::Size);
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_silent_command_can_be_typed_to_after_a_moment() {
    let mut driven = Driven::connected(false);
    driven.input(Input::Resize { cols: 80, rows: 24 });
    driven.pass(1000 * MS);
    driven.receive(&message(MessageType::StartPublication, 0, PayloadType::None, b"start_publication"));
    driven.pass(1499 * MS);
    assert!(driven.events.is_empty(), "the moment counts from start_publication");
    driven.pass(MS);
    assert!(matches!(&driven.take_events()[..], [Event::Ready(ready)] if ready.kind == Kind::Shell));
    write(&mut driven, b"typed");
    let sent = driven.take_sent();
    assert_eq!(numbers(&sent), [0, 1], "size, then input");
    driven.receive(&output(0, PayloadType::Output, b"typed"));
    let sent = driven.take_sent();
    assert_eq!(sent[1].payload_type, PayloadType::Size, "again, in case the first came too early");
    assert_eq!(driven.take_events().len(), 1, "no second Ready");
}

#[test]
fn a_port_session_is_never_presumed() {
    let mut driven = Driven::connected(true);
    driven.pass(Duration::from_secs(60));
    assert!(driven.events.is_empty() && driven.deadline.is_none());
}

#[test]
fn input_written_on_presumption_is_sent_again_after_a_late_handshake() {
    let mut driven = Driven::connected(false);
    driven.pass(2000 * MS);
    write(&mut driven, b"typed early");
    let early = driven.take_sent();
    assert_eq!(numbers(&early), [0]);
    driven.receive(&acknowledge(0));
    let request = port_request("3.3.987.0").payload;
    let request = String::from_utf8(request.to_vec()).unwrap().replace("\"Port\"", "\"InteractiveCommands\"");
    driven.receive(&output(0, PayloadType::HandshakeRequest, request.as_bytes()));
    assert_eq!(driven.channel.capacity(), 0);
    driven.receive(&complete(1));
    let sent = driven.take_sent();
    let inputs: Vec<_> =
        sent.iter().filter(|sent| sent.message_type == MessageType::InputStreamData).collect();
    assert_eq!(inputs[0].payload_type, PayloadType::HandshakeResponse);
    assert_eq!((inputs[1].sequence, &inputs[1].payload[..]), (2, &b"typed early"[..]));
    assert_eq!(driven.events.iter().filter(|event| matches!(event, Event::Ready(_))).count(), 2);
}
