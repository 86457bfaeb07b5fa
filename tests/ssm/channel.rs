//! What a channel does, step by step.

use std::time::Duration;

use bytes::Bytes;
use ecsx::ssm::channel::{Event, Flag, Input, Key, Kind, Ready, Stream, WINDOW};
use ecsx::ssm::crypt::Crypt;
use ecsx::ssm::wire::{HEADER, Message, MessageType, PayloadType};
use serde_json::{Value, json};

use crate::drive::{Driven, acknowledge, acknowledged, message, output};
use crate::vectors::{list, section, text, unhex};

const MS: Duration = Duration::from_millis(1);

fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

fn port_request(version: &str) -> Message {
    let body = json!({ "AgentVersion": version, "RequestedClientActions": [{ "ActionType": "SessionType",
        "ActionParameters": { "SessionType": "Port", "Properties": { "type": "LocalPortForwarding", "portNumber": "80" } } }] });
    output(0, PayloadType::HandshakeRequest, body.to_string().as_bytes())
}

fn complete(sequence: i64) -> Message {
    output(sequence, PayloadType::HandshakeComplete, br#"{"HandshakeTimeToComplete":1,"CustomerMessage":""}"#)
}

/// A port session past its handshake, everything acknowledged.
fn ready() -> Driven {
    let mut driven = Driven::connected(true);
    driven.receive(&port_request("3.3.987.0"));
    driven.now += 20 * MS;
    driven.receive(&acknowledge(0));
    driven.receive(&complete(1));
    driven.take_sent();
    driven.take_events();
    driven
}

/// A shell that has shown its prompt.
fn shell() -> Driven {
    let mut driven = Driven::connected(false);
    driven.receive(&output(0, PayloadType::Output, b"$ "));
    driven.take_sent();
    driven.take_events();
    driven
}

fn write(driven: &mut Driven, bytes: &[u8]) {
    driven.input(Input::Write(Bytes::copy_from_slice(bytes)));
}

fn numbers(messages: &[Message]) -> Vec<i64> {
    messages
        .iter()
        .filter(|message| message.message_type == MessageType::InputStreamData)
        .map(|message| message.sequence)
        .collect()
}

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
fn messages_of_the_client_count_from_zero_without_flags_whatever_they_are() {
    let mut driven = shell();
    driven.input(Input::Resize { cols: 80, rows: 24 });
    write(&mut driven, b"\n");
    write(&mut driven, b"");
    driven.input(Input::Flag(Flag::DisconnectToPort));
    let sent = driven.take_sent();
    let official = section("behaviour")["first_messages"].clone();
    for (sent, official) in sent.iter().zip(list(&official)) {
        assert_eq!((sent.sequence, sent.flags), (official["seq"].as_i64().unwrap(), 0));
    }
    assert_eq!(sent[1].payload, "\n", "Amazon's client makes a carriage return of it: data would be damaged");
    assert_eq!(sent[2].payload[..], 1u32.to_be_bytes());
    assert_eq!(sent.len(), 3, "an empty write is none");
}

#[test]
fn large_writes_are_cut_into_payloads() {
    let mut driven = ready();
    write(&mut driven, &[1; 2500]);
    let lengths: Vec<_> = driven.take_sent().iter().map(|sent| sent.payload.len()).collect();
    assert_eq!(lengths, [1024, 1024, 452]);
}

#[test]
fn an_unacknowledged_message_is_repeated_byte_for_byte_ever_more_slowly() {
    let mut driven = ready();
    driven.receive(&acknowledge(0));
    write(&mut driven, b"lost");
    let first = driven.raw[0].clone();
    let sent_at = driven.now;
    driven.take_sent();
    let mut repeats = Vec::new();
    while driven.now < sent_at + Duration::from_secs(20) {
        driven.pass(MS);
        if let Some(again) = driven.raw.first() {
            assert_eq!(*again, first);
            repeats.push((driven.now - sent_at).as_millis());
            driven.take_sent();
        }
    }
    let gaps: Vec<_> = repeats.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(repeats[0] < 250, "the first after one timeout: {repeats:?}");
    assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]) && gaps.last() == Some(&4000), "{repeats:?}");
    assert_eq!(driven.channel.unacknowledged_since(), Some(sent_at));
}

#[test]
fn a_lost_message_is_repeated_as_soon_as_three_later_ones_have_arrived() {
    let mut driven = ready();
    write(&mut driven, &[1; 5 * 1024]);
    driven.take_sent();
    driven.receive(&acknowledge(2));
    driven.receive(&acknowledge(3));
    assert!(driven.take_sent().is_empty(), "two may be reordering");
    driven.receive(&acknowledge(4));
    assert_eq!(numbers(&driven.take_sent()), [1], "no timer needed");
    driven.receive(&acknowledge(1));
    driven.receive(&acknowledge(5));
    assert!(driven.channel.is_drained());
}

#[test]
fn every_overdue_message_is_repeated_not_only_the_oldest() {
    let mut driven = ready();
    write(&mut driven, &[1; 3 * 1024]);
    driven.take_sent();
    driven.pass(Duration::from_secs(1));
    let mut again = numbers(&driven.take_sent());
    again.truncate(3);
    assert_eq!(again, [1, 2, 3]);
}

#[test]
fn acknowledgements_of_unknown_numbers_are_ignored() {
    let mut driven = ready();
    write(&mut driven, b"x");
    for number in [0, 2, 999, -1, i64::MAX, i64::MIN] {
        driven.receive(&acknowledge(number));
    }
    assert!(!driven.channel.is_drained());
    driven.receive(&acknowledge(1));
    assert!(driven.channel.is_drained());
}

#[test]
fn a_round_trip_that_was_repeated_is_no_sample() {
    let mut driven = ready();
    let before = driven.channel.statistics().round_trip;
    write(&mut driven, b"x");
    driven.pass(Duration::from_secs(3));
    driven.receive(&acknowledge(1));
    assert_eq!(driven.channel.statistics().round_trip, before, "Karn's rule");
}

#[test]
fn the_window_bounds_what_is_unacknowledged_and_acknowledgements_open_it() {
    let mut driven = ready();
    let mut written = 0;
    for _ in 0..10_000 {
        let room = driven.channel.capacity();
        if room == 0 {
            break;
        }
        write(&mut driven, &vec![1; room]);
        written += room;
    }
    assert_eq!(driven.channel.capacity(), 0);
    assert!((16 << 10..=WINDOW).contains(&written), "{written}");
    assert!(driven.channel.statistics().unacknowledged <= WINDOW);
    driven.now += 20 * MS;
    for number in 1..=(written / 1024) as i64 {
        driven.receive(&acknowledge(number));
    }
    assert!(driven.channel.capacity() > written, "and it grows while the delay does not");
}

#[test]
fn tiny_writes_fill_the_window_by_their_headers_too() {
    let mut driven = ready();
    let mut messages = 0;
    while driven.channel.capacity() > 0 && messages < 1_000_000 {
        write(&mut driven, b"x");
        messages += 1;
    }
    assert!(messages * (HEADER + 1) <= WINDOW, "{messages}");
}

#[test]
fn a_pause_stops_data_and_any_sign_of_the_agent_ends_it() {
    let pause = || message(MessageType::PausePublication, 0, PayloadType::None, b"{}");
    let start = || message(MessageType::StartPublication, 0, PayloadType::None, b"start_publication");
    for sign in [start(), acknowledge(1), output(2, PayloadType::Output, b"alive")] {
        let mut driven = ready();
        write(&mut driven, b"x");
        driven.receive(&pause());
        driven.receive(&pause());
        assert_eq!(driven.channel.capacity(), 0);
        assert_eq!(driven.take_events(), [Event::Publication(false)], "said once");
        driven.receive(&sign);
        assert_eq!(driven.take_events()[0], Event::Publication(true));
        assert!(driven.channel.capacity() > 0);
    }
}

#[test]
fn while_paused_output_is_acknowledged_and_the_oldest_message_is_a_slow_probe() {
    let mut driven = ready();
    write(&mut driven, &[1; 4 * 1024]);
    driven.take_sent();
    driven.receive(&message(MessageType::PausePublication, 0, PayloadType::None, b"{}"));
    driven.pass(Duration::from_secs(10));
    let probes = numbers(&driven.take_sent());
    assert!((2..=10).contains(&probes.len()) && probes.iter().all(|number| *number == 1), "{probes:?}");
    driven.receive(&port_request("3.3.987.0"));
    assert_eq!(acknowledged(&driven.take_sent()[0]), 0);
}

#[test]
fn a_pause_does_not_hold_back_the_end() {
    let mut driven = ready();
    driven.receive(&message(MessageType::PausePublication, 0, PayloadType::None, b"{}"));
    driven.take_sent();
    driven.input(Input::Flag(Flag::TerminateSession));
    let sent = driven.take_sent();
    assert_eq!((sent[0].payload_type, &sent[0].payload[..]), (PayloadType::Flag, &2u32.to_be_bytes()[..]));
    assert_eq!(driven.channel.capacity(), 0, "nothing after the end");
    driven.receive(&acknowledge(1));
    assert!(driven.channel.is_drained());
}

#[test]
fn after_a_reconnection_everything_goes_on_where_it_was() {
    let mut driven = ready();
    write(&mut driven, &[1; 3 * 1024]);
    let before: Vec<_> = driven.raw.clone();
    driven.take_sent();
    driven.receive(&acknowledge(2));
    driven.input(Input::Disconnected);
    driven.pass(Duration::from_secs(30));
    assert!(driven.raw.is_empty() && driven.deadline.is_none(), "nothing without a connection");
    write(&mut driven, b"meanwhile");
    driven.input(Input::Connected { token: "new".into() });
    assert_eq!(numbers(&driven.sent), [1, 3, 4], "at once, in order, what is acknowledged is not");
    assert_eq!(driven.raw[2..4], [before[0].clone(), before[2].clone()], "after two acknowledgements");
    driven.receive(&output(2, PayloadType::Output, b"goes on"));
    assert_eq!(driven.take_data(), b"goes on");
}

/// The agent repeats what it takes for unacknowledged one message at a time, ten a second.
#[test]
fn acknowledgements_that_may_be_lost_with_the_connection_are_repeated_on_the_next() {
    let mut driven = ready();
    for number in 2..1000 {
        driven.receive(&output(number, PayloadType::Output, b"x"));
    }
    driven.take_sent();
    for _ in 0..2 {
        driven.input(Input::Disconnected);
        driven.input(Input::Connected { token: "new".into() });
        assert_eq!(driven.take_acknowledged(), Vec::from_iter(1000 - 512..1000));
    }
}

#[test]
fn a_closed_channel_says_why_and_does_nothing_more() {
    for (body, said) in [
        (r#"{"MessageType":"channel_closed","Output":""}"#, ""),
        (r#"{"MessageType":"channel_closed","SchemaVersion":1}"#, ""),
        (r#"{"MessageType":"channel_closed","Output":null}"#, ""),
        (r#"{"MessageType":"channel_closed","Output":"timed out"}"#, "timed out"),
        ("no JSON at all", "no JSON at all"),
    ] {
        let mut driven = ready();
        write(&mut driven, b"x");
        driven.receive(&message(MessageType::ChannelClosed, 0, PayloadType::None, body.as_bytes()));
        assert_eq!(driven.take_events(), [Event::Closed(said.into())]);
        driven.take_sent();
        write(&mut driven, b"y");
        driven.input(Input::Connected { token: "t".into() });
        driven.pass(Duration::from_secs(10));
        assert!(driven.sent.is_empty() && driven.events.is_empty() && driven.channel.capacity() == 0);
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
    let mut driven = ready();
    driven.input(Input::Received(Bytes::from_static(
        br#"{"MessageType":"channel_closed","Output":"by text"}"#,
    )));
    assert_eq!(driven.take_events(), [Event::Closed("by text".into())]);
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

#[test]
fn nothing_grows_while_the_agent_is_silent() {
    let mut driven = ready();
    while let room @ 1.. = driven.channel.capacity() {
        write(&mut driven, &vec![0; room]);
    }
    let mut sizes = Vec::new();
    for minutes in [1, 60] {
        driven.pass(Duration::from_secs(60 * minutes));
        driven.take_sent();
        sizes.push(format!("{:?}", driven.channel).len());
    }
    assert!(sizes[1] < sizes[0] + 1000, "{sizes:?}");
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut driven = ready();
    driven.pass(Duration::from_secs(5));
    write(&mut driven, b"x");
    driven.take_sent();
    let later = driven.now;
    driven.now = driven.start;
    driven.channel.handle_input(driven.now, Input::Timeout);
    driven.now = later;
    driven.drain();
    driven.receive(&acknowledge(1));
    assert!(driven.channel.is_drained());
}

mod encrypted {
    use super::*;

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
        let last: Vec<_> =
            sent.iter().filter(|sent| sent.message_type == MessageType::InputStreamData).collect();
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
}
