//! What a channel takes, what it leaves, and what it makes of it.

use bytes::Bytes;
use ecsx::ssm::channel::{Event, Input, Stream};
use ecsx::ssm::wire::{MessageType, PayloadType};
use serde_json::json;

use crate::drive::{message, output, ready, shell};
use crate::vectors::{list, section, text, unhex};

#[test]
fn received_steps_are_amazons_but_that_duplicates_are_acknowledged() {
    let mut driven = shell();
    driven.receive(&output(1, PayloadType::Output, b"1"));
    // (number, acknowledged, delivered) as in behaviour.receive_steps, numbers moved by 2.
    let steps: [(i64, &[i64], &str); 7] = [
        (2, &[2], "2"),
        (2, &[2], ""),
        (4, &[4], ""),
        (4, &[4], ""),
        (5, &[5], ""),
        (3, &[3], "345"),
        (0, &[0], ""),
    ];
    driven.take_sent();
    driven.take_data();
    for (number, acknowledged, delivered) in steps {
        driven.receive(&output(number, PayloadType::Output, number.to_string().as_bytes()));
        assert_eq!(driven.take_acknowledged(), acknowledged, "acknowledged on {number}");
        assert_eq!(driven.take_data(), delivered.as_bytes(), "delivered on {number}");
    }
    let official = section("behaviour")["receive_steps"].clone();
    assert_eq!(official[3]["acked"], json!([2]), "as Amazon's client does while it is buffered");
}

#[test]
fn unknown_payload_types_take_their_number_and_are_ignored() {
    let mut driven = shell();
    driven.receive(&output(1, PayloadType::Other(99), b"?"));
    driven.receive(&output(2, PayloadType::Size, b"?"));
    driven.receive(&output(3, PayloadType::Output, b"on"));
    assert_eq!(driven.take_acknowledged(), [1, 2, 3]);
    assert_eq!(driven.take_data(), b"on");
}

#[test]
fn flags_errors_and_exit_codes_become_events() {
    let mut driven = shell();
    let steps = [
        (PayloadType::Flag, &3u32.to_be_bytes()[..], Some(Event::ConnectFailed)),
        (PayloadType::Flag, b"???", None),
        (PayloadType::StdErr, b"oops", Some(Event::Data(Stream::Error, Bytes::from_static(b"oops")))),
        (PayloadType::ExitCode, b"EXIT_CODE: 137", Some(Event::ExitCode(137))),
        (PayloadType::ExitCode, b"EXIT_CODE: -1", Some(Event::ExitCode(-1))),
    ];
    for (number, (payload_type, payload, event)) in (1..).zip(steps) {
        driven.receive(&output(number, payload_type, payload));
        assert_eq!(driven.take_events(), event.into_iter().collect::<Vec<_>>(), "{payload_type:?}");
    }
}

#[test]
fn service_messages_are_taken_in_every_layout() {
    let malformed = section("malformed");
    let find = |name| list(&malformed).iter().find(|vector| text(&vector["name"]) == name).unwrap();
    let mut driven = ready();
    driven.input(Input::Received(unhex(&find("pause_publication_112")["hex"]).into()));
    driven.input(Input::Received(
        unhex(&find("start_publication_112_nul_zero_digest_zero_date")["hex"]).into(),
    ));
    driven.input(Input::Received(Bytes::from_static(
        br#"{"MessageType":"pause_publication","SchemaVersion":1}"#,
    )));
    driven.input(Input::Received(Bytes::from_static(br#"{"MessageType":"start_publication"}"#)));
    let flows: Vec<_> = [false, true, false, true].map(Event::Publication).into();
    assert_eq!(driven.take_events(), flows);
    driven.input(Input::Received(unhex(&find("channel_closed_112_nul")["hex"]).into()));
    assert!(matches!(driven.take_events()[..], [Event::Closed(_)]));
    // Whatever else it holds, it is the end.
    for (closed, output) in [
        (&br#"{"MessageType":"channel_closed","Output":"by text"}"#[..], "by text"),
        (br#"{"MessageType":"channel_closed","MessageId":null,"CreatedDate":null,"Output":null}"#, ""),
        (br#"{"MessageType":"channel_closed","SchemaVersion":"1","SessionId":7,"Output":"x"}"#, "x"),
        (br#"{"MessageType":"channel_closed","Output":{"Code":7}}"#, r#"{"Code":7}"#),
    ] {
        let mut driven = ready();
        driven.input(Input::Received(Bytes::from_static(closed)));
        assert_eq!(driven.take_events(), [Event::Closed(output.into())]);
    }
}

#[test]
fn broken_messages_change_nothing_and_are_told_once() {
    let malformed = section("malformed");
    let mut driven = ready();
    let mut refused = 0;
    for vector in list(&malformed) {
        let client = &vector["client"];
        if text(&client["deserialize"]) == "ok" && text(&client["validate"]) == "ok" {
            continue;
        }
        if ["created_date_zero", "channel_closed_112_bad_digest", "start_publication_header_only_116"]
            .contains(&text(&vector["name"]))
        {
            continue;
        }
        driven.input(Input::Received(unhex(&vector["hex"]).into()));
        refused += 1;
    }
    for text in [&b"{not json"[..], b"\xff\xff", &vec![0; 3 << 20]] {
        driven.input(Input::Received(Bytes::copy_from_slice(text)));
        refused += 1;
    }
    assert!(driven.take_sent().is_empty(), "no acknowledgement");
    assert!(matches!(driven.take_events()[..], [Event::Refused(_)]), "one event, then a counter");
    assert_eq!(driven.channel.statistics().refused, refused);
    driven.receive(&output(2, PayloadType::Output, b"fine"));
    assert_eq!(driven.take_data(), b"fine");
}

#[test]
fn a_negative_number_and_unknown_types_are_no_stream_messages() {
    let mut driven = ready();
    driven.receive(&output(-1, PayloadType::Output, b"x"));
    driven.receive(&message(MessageType::Other("mystery_message".into()), 2, PayloadType::Output, b"x"));
    driven.receive(&message(MessageType::AgentSessionState, 2, PayloadType::Output, b"x"));
    driven.receive(&message(MessageType::InputStreamData, 2, PayloadType::Output, b"x"));
    assert!(driven.take_sent().is_empty() && driven.take_data().is_empty());
}

#[test]
fn what_comes_too_far_before_its_turn_is_left_to_the_peer() {
    let mut driven = shell();
    for number in [i64::MAX, 1 << 40, 20_000] {
        driven.receive(&output(number, PayloadType::Output, b"far"));
    }
    assert!(driven.take_sent().is_empty(), "not acknowledged, so it comes again");
    let megabyte = vec![0; 1000 << 10];
    for number in 2..40 {
        driven.receive(&output(number, PayloadType::Output, &megabyte));
    }
    let acknowledged = driven.take_acknowledged();
    assert!((2..10).contains(&acknowledged.len()), "bounded in bytes: {acknowledged:?}");
    driven.receive(&output(1, PayloadType::Output, b"turn"));
    assert_eq!(driven.take_acknowledged(), [1], "its turn always finds room");
    assert_eq!(driven.take_data().len(), 4 + acknowledged.len() * megabyte.len());
}

#[test]
fn an_application_that_fetches_nothing_is_not_fed_without_bound() {
    let mut driven = shell();
    let megabyte = vec![0; 1000 << 10];
    for number in 1..=50 {
        let message = output(number, PayloadType::Output, &megabyte).encode().unwrap();
        driven.channel.handle_input(driven.now, Input::Received(message));
    }
    driven.drain();
    let taken = driven.take_acknowledged().len();
    assert!(taken < 15, "{taken}");
    assert_eq!(driven.take_data().len(), taken * megabyte.len());
    driven.receive(&output(taken as i64 + 1, PayloadType::Output, b"again"));
    assert_eq!(driven.take_data(), b"again", "what was left comes again and is taken");
}
