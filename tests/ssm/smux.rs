//! smux, client side.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ecsx::ssm::smux::{Client, Event, StreamId};
use proptest::prelude::*;

use crate::vectors::{list, section, text, unhex};

fn client() -> Client {
    Client::new(Instant::now(), false)
}

fn transmit(client: &mut Client, limit: usize) -> Vec<u8> {
    client.poll_transmit(Instant::now(), limit).map(Vec::from).unwrap_or_default()
}

fn transmit_all(client: &mut Client, limit: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = client.poll_transmit(Instant::now(), limit) {
        assert!(!bytes.is_empty() && bytes.len() <= limit);
        all.extend_from_slice(&bytes);
    }
    all
}

/// (command, stream, payload) of each frame.
fn frames(mut bytes: &[u8]) -> Vec<(u8, StreamId, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[0], 1);
        let length = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        let id = StreamId::from_le_bytes(bytes[4..8].try_into().unwrap());
        frames.push((bytes[1], id, bytes[8..8 + length].to_vec()));
        bytes = &bytes[8 + length..];
    }
    frames
}

fn events(client: &mut Client) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

#[test]
fn frames_are_the_bytes_of_amazons_library() {
    let smux = section("smux");
    let hex = |name: &str| {
        let frame = list(&smux["frames"]).iter().find(|frame| text(&frame["name"]) == name).unwrap();
        unhex(&frame["hex"])
    };
    let mut client = client();
    assert_eq!(client.open(), Some(3));
    assert_eq!(transmit(&mut client, 1024), hex("client_first_syn"));
    client.write(3, Bytes::from_static(b"hello"));
    assert_eq!(transmit(&mut client, 1024), hex("client_psh_hello"));
    assert_eq!(client.open(), Some(5));
    assert_eq!(transmit(&mut client, 1024), hex("client_second_syn"));
    client.write(5, Bytes::from_static(b"\n"));
    assert_eq!(transmit(&mut client, 1024), hex("client_psh_second"));
    client.close(3);
    assert_eq!(transmit(&mut client, 1024), hex("client_fin_first"));
    client.write(5, vec![0; 40000].into());
    let all = transmit_all(&mut client, 1 << 20);
    let first =
        list(&smux["frames"]).iter().find(|frame| text(&frame["name"]) == "client_psh_40000_part1").unwrap();
    assert_eq!(all[..16], unhex(&first["hex_first_16"]));
    assert_eq!(all.len(), 40000 + 16, "two frames, the first of 32768");
}

#[test]
fn received_frames_are_read_as_amazons_library_reads_them() {
    for case in list(&section("smux")["decoder_cases"]) {
        let name = text(&case["name"]);
        let mut input = Vec::new();
        for part in list(&case["input_hex"]) {
            match text(part) {
                "65543 bytes" => {
                    input.extend_from_slice(&[1, 2, 0xff, 0xff, 3, 0, 0, 0]);
                    input.extend_from_slice(&[0x41; 65535]);
                }
                _ => input.extend(unhex(part)),
            }
        }
        // The recorded end is a server that accepts a stream; ours has opened stream 3 itself,
        // and streams that the other end opens are none to it.
        let ours = case["accept"].as_str() == Some("stream 3");
        for step in [1, 3, input.len()] {
            let mut client = client();
            client.open();
            input.chunks(step).for_each(|part| client.receive(Bytes::copy_from_slice(part)));
            let (mut read, mut end) = (Vec::new(), "timeout");
            for event in events(&mut client) {
                match event {
                    Event::Data(3, bytes) => read.extend_from_slice(&bytes),
                    Event::Finished(3, _) => end = "EOF",
                    Event::Broken(_) => end = "invalid protocol",
                    other => panic!("{name}: {other:?}"),
                }
            }
            if !ours {
                let accept = case["accept"].as_str().unwrap_or_default();
                let broken = accept.contains("invalid protocol");
                assert_eq!(end, if broken { "invalid protocol" } else { "timeout" }, "{name}");
                continue;
            }
            match case["read_len"].as_u64() {
                Some(length) => assert_eq!(read.len() as u64, length, "{name}"),
                None => assert_eq!(read, unhex(&case["read_hex"]), "{name}"),
            }
            assert_eq!(end, text(&case["read_end"]), "{name}");
        }
    }
}

#[test]
fn opening_writing_and_closing_share_a_payload() {
    let mut client = client();
    client.open();
    client.write(3, Bytes::from_static(b"GET"));
    client.write(3, Bytes::from_static(b" /"));
    client.close(3);
    let sent = frames(&transmit(&mut client, 1024));
    assert_eq!(sent, [(0, 3, vec![]), (2, 3, b"GET /".to_vec()), (1, 3, vec![])]);
    assert_eq!(client.streams(), 0);
}

#[test]
fn a_frame_never_spans_payloads() {
    let mut client = client();
    client.open();
    client.write(3, vec![1; 5000].into());
    while client.wants_transmit() {
        let bytes = transmit(&mut client, 1024);
        assert!(bytes.len() <= 1024);
        frames(&bytes);
    }
}

/// Amazon's agent takes a message twice when its WebSocket breaks before the acknowledgement.
#[test]
fn a_message_of_bulk_that_is_taken_twice_breaks_the_session_instead_of_doubling_bytes() {
    for length in [2100, 3000, 4079, 4080, 4081, 16 << 10, 100_000] {
        let mut client = client();
        client.open();
        client.write(3, vec![b'x'; length].into());
        let mut messages = Vec::new();
        while client.wants_transmit() {
            // The session cuts each write anew.
            messages.extend(transmit(&mut client, 2048).chunks(1024).map(<[u8]>::to_vec));
        }
        for twice in 0..messages.len() {
            let mut other = Client::new(Instant::now(), false);
            other.open();
            for (number, message) in messages.iter().enumerate() {
                for _ in 0..1 + usize::from(number == twice) {
                    other.receive(message.clone().into());
                }
            }
            other.receive(Bytes::from_static(&[1, 3, 0, 0, 0, 0, 0, 0]));
            let events = events(&mut other);
            assert!(matches!(events.last(), Some(Event::Broken(_))), "message {twice} of {length} bytes");
        }
    }
}

#[test]
fn a_small_write_and_a_new_stream_are_not_behind_bulk() {
    let mut client = client();
    for bulk in 0..20 {
        let id = client.open().unwrap();
        client.write(id, vec![bulk; 1 << 20].into());
    }
    let old = client.open().unwrap();
    for _ in 0..100 {
        transmit(&mut client, 1024);
    }
    client.write(old, Bytes::from_static(b"key"));
    let new = client.open().unwrap();
    client.write(new, Bytes::from_static(b"GET"));
    let next: Vec<_> = (0..5).flat_map(|_| frames(&transmit(&mut client, 1024))).collect();
    for (id, said) in [(old, &b"key"[..]), (new, b"GET")] {
        assert!(next.iter().any(|(_, to, payload)| *to == id && payload == said), "stream {id}: {next:?}");
    }
}

#[test]
fn bulk_streams_take_turns() {
    let mut client = client();
    let ids: Vec<_> = (0..4).map(|_| client.open().unwrap()).collect();
    for id in &ids {
        client.write(*id, vec![0; 1 << 20].into());
    }
    for _ in 0..400 {
        transmit(&mut client, 1024);
    }
    let left: Vec<_> = ids.iter().map(|id| client.queued(*id)).collect();
    let (most, least) = (left.iter().max().unwrap(), left.iter().min().unwrap());
    assert!(most - least <= 3 * 1024, "{left:?}");
}

#[test]
fn a_flood_of_new_streams_does_not_starve_an_old_one() {
    let mut client = client();
    let bulk = client.open().unwrap();
    client.write(bulk, vec![0; 1 << 20].into());
    transmit(&mut client, 1024);
    let before = client.queued(bulk);
    for _ in 0..100 {
        let id = client.open().unwrap();
        client.write(id, vec![1; 500].into());
        transmit(&mut client, 1024);
    }
    assert!(before - client.queued(bulk) >= 40 * 1000);
}

#[test]
fn what_comes_after_a_local_close_is_dropped() {
    let mut client = client();
    client.open();
    transmit(&mut client, 1024);
    client.write(3, vec![0; 5000].into());
    client.close(3);
    client.receive(Bytes::from_static(&[1, 2, 1, 0, 3, 0, 0, 0, b'x']));
    assert!(events(&mut client).is_empty());
    client.write(3, Bytes::from_static(b"too late"));
    assert_eq!(client.queued(3), 5000);
    let sent = frames(&transmit_all(&mut client, 1024));
    assert_eq!(sent.last(), Some(&(1, 3, vec![])), "FIN after what was queued");
    client.receive(Bytes::from_static(&[1, 2, 1, 0, 3, 0, 0, 0, b'x', 1, 1, 0, 0, 3, 0, 0, 0]));
    assert_eq!(events(&mut client), [Event::Closed(3)], "but that the remote end has closed it too is told");
    client.receive(Bytes::from_static(&[1, 1, 0, 0, 5, 0, 0, 0]));
    assert!(events(&mut client).is_empty(), "of a stream that never was");
}

#[test]
fn a_finished_stream_takes_nothing_and_needs_no_fin() {
    let mut client = client();
    client.open();
    transmit(&mut client, 1024);
    client.write(3, vec![0; 5000].into());
    client.receive(Bytes::from_static(&[1, 1, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0, 3, 0, 0, 0]));
    assert_eq!(events(&mut client), [Event::Finished(3, 5000)], "once");
    client.write(3, Bytes::from_static(b"x"));
    assert_eq!(client.queued(3), 0);
    client.close(3);
    assert!(transmit_all(&mut client, 1024).is_empty());
    assert_eq!(client.streams(), 0);
}

#[test]
fn nops_go_out_every_ten_seconds_only_when_asked_for() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(Client::new(start, false).deadline(), None);
    let mut client = Client::new(start, true);
    assert_eq!(client.deadline(), Some(at(10)));
    assert_eq!(client.poll_transmit(at(9), 1024), None);
    let nop = section("smux")["frames"][8].clone();
    assert_eq!(text(&nop["name"]), "nop");
    assert_eq!(client.poll_transmit(at(10), 1024).unwrap(), unhex(&nop["hex"]));
    assert_eq!(client.deadline(), Some(at(20)));
    assert_eq!(client.poll_transmit(at(20), 0), None, "the window is full");
    assert!(client.deadline().unwrap() > at(20), "no busy loop");
    assert!(client.poll_transmit(at(21), 1024).is_some());
}

#[test]
fn many_short_streams_leave_nothing_behind() {
    let mut client = client();
    let bulk = client.open().unwrap();
    for round in 0..20_000u32 {
        if client.queued(bulk) < 10_000 {
            client.write(bulk, vec![0; 10_000].into());
        }
        let id = client.open().unwrap();
        client.write(id, Bytes::from_static(b"x"));
        transmit(&mut client, 1024);
        client.receive([&[1, 1, 0, 0][..], &id.to_le_bytes()].concat().into());
        client.close(id);
        events(&mut client);
        if round % 2 == 0 {
            transmit(&mut client, 1024);
        }
    }
    client.close(bulk);
    transmit_all(&mut client, 1024);
    assert_eq!(client.streams(), 0);
    assert!(format!("{client:?}").len() < 10_000, "no list keeps the dead");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
        let mut client = client();
        client.open();
        for part in parts {
            client.receive(part.into());
        }
        events(&mut client);
        transmit_all(&mut client, 100);
    }

    #[test]
    fn every_stream_arrives_whole_and_in_order(
        writes in prop::collection::vec((0usize..5, prop::collection::vec(any::<u8>(), 0..1500), 0usize..3), 0..30),
        limit in 9usize..5000,
    ) {
        let mut client = client();
        let ids: Vec<_> = (0..5).map(|_| client.open().unwrap()).collect();
        let mut wanted = vec![Vec::new(); 5];
        let mut got = std::collections::HashMap::<StreamId, Vec<u8>>::new();
        let mut sent = Vec::new();
        for (stream, bytes, polls) in writes {
            wanted[stream].extend_from_slice(&bytes);
            client.write(ids[stream], bytes.into());
            (0..polls).for_each(|_| sent.extend(transmit(&mut client, limit)));
        }
        ids.iter().for_each(|id| client.close(*id));
        sent.extend(transmit_all(&mut client, limit));
        let mut finished = Vec::new();
        for (command, id, payload) in frames(&sent) {
            prop_assert!(!finished.contains(&id), "a frame after its FIN");
            match command {
                0 => prop_assert!(got.insert(id, Vec::new()).is_none()),
                1 => finished.push(id),
                2 => got.get_mut(&id).unwrap().extend(payload),
                _ => prop_assert!(false, "command {}", command),
            }
        }
        for (id, wanted) in ids.iter().zip(wanted) {
            prop_assert_eq!(&got[id], &wanted);
        }
        prop_assert_eq!(finished.len(), 5);
    }

    #[test]
    fn a_byte_stream_means_the_same_however_it_is_cut(
        frames in prop::collection::vec((0u8..5, 0u32..8, prop::collection::vec(any::<u8>(), 0..40)), 0..30),
        cuts in prop::collection::vec(1usize..60, 1..50),
    ) {
        let mut bytes = Vec::new();
        for (command, id, payload) in frames {
            let length = if command == 2 { payload.len() as u16 } else { 0 };
            bytes.extend_from_slice(&[1, command]);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
            match command {
                2 => bytes.extend_from_slice(&payload),
                4 => bytes.extend_from_slice(&[0; 8]),
                _ => {}
            }
        }
        let read = |cuts: &mut dyn Iterator<Item = usize>| {
            let mut client = client();
            (0..3).for_each(|_| { client.open(); });
            let mut rest = Bytes::from(bytes.clone());
            while !rest.is_empty() {
                let part = rest.split_to(cuts.next().unwrap_or(usize::MAX).min(rest.len()));
                client.receive(part);
            }
            let mut said = Vec::<(StreamId, Vec<u8>, bool)>::new();
            for event in events(&mut client) {
                match (event, said.last_mut()) {
                    (Event::Data(id, more), Some((last, bytes, false))) if *last == id => bytes.extend_from_slice(&more),
                    (Event::Data(id, bytes), _) => said.push((id, bytes.to_vec(), false)),
                    (Event::Finished(id, _), _) => said.push((id, vec![], true)),
                    (Event::Closed(_), _) => unreachable!("nothing is closed here"),
                    (Event::Broken(_), _) => unreachable!("every frame is well formed"),
                }
            }
            said
        };
        prop_assert_eq!(read(&mut cuts.iter().copied().cycle()), read(&mut std::iter::empty()));
    }
}
