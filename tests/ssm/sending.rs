//! What a channel sends, when it sends it again, and when it stops.

use std::time::Duration;

use ecsx::ssm::channel::{Event, Flag, Input, WINDOW};
use ecsx::ssm::wire::{HEADER, MessageType, PayloadType};

use crate::drive::{
    MS, acknowledge, acknowledged, message, numbers, output, port_request, ready, shell, write,
};
use crate::vectors::{list, section};

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
