//! Bad networks: the session goes on, and so do the bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Forward, PATIENCE, ask, connect, echo, exchange, is_reset, receive, sink, source, upload,
};
use crate::support::Sandbox;

const MB: u64 = 1_000_000;

/// A sandbox with a source, a sink and an echo, and a forward to each.
struct Scene {
    sandbox: Sandbox,
    down: (Forward, u16),
    up: (Forward, u16),
    taken: Arc<AtomicU64>,
}

impl Scene {
    fn new() -> Self {
        let (sandbox, taken) = (Sandbox::start(), Arc::new(AtomicU64::new(0)));
        sandbox.name("db.internal:1", source());
        sandbox.name("db.internal:2", sink(taken.clone()));
        let down = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
        let up = Forward::up(&sandbox, &["-L", ":db.internal:2"]);
        Self { sandbox, down, up, taken }
    }
}

fn echoing() -> (Sandbox, Forward, u16) {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let (forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    (sandbox, forward, port)
}

/// The same, and a client that has had an answer.
fn in_use() -> (Sandbox, Forward, TcpStream) {
    let (sandbox, forward, port) = echoing();
    let mut client = connect(port);
    exchange(&mut client, b"before");
    (sandbox, forward, client)
}

#[test]
fn five_seconds_without_a_network_in_the_middle_of_transfers() {
    let mut scene = Scene::new();
    let (down, up) = (scene.down.1, scene.up.1);
    let uploading = thread::spawn(move || upload(up, 12 * MB));
    let downloading = ask(down, 12 * MB);
    while scene.taken.load(std::sync::atomic::Ordering::SeqCst) < 2 * MB {
        thread::yield_now();
    }
    scene.sandbox.admin("POST", "outage", json!({"seconds": 5}));
    receive(downloading, 12 * MB);
    uploading.join().unwrap();
    for forward in [&mut scene.down.0, &mut scene.up.0] {
        forward.event("resumed");
        let stderr = forward.says("resumed after");
        assert!(stderr.contains("connection to the service lost"), "{stderr}");
    }
    assert_eq!(scene.sandbox.calls("StartSession"), 2, "the same sessions went on");
}

#[test]
fn the_socket_is_cut_three_times_in_each_direction() {
    let scene = Scene::new();
    let cut = json!({"cut_after": MB, "cut_count": 3});
    scene.sandbox.faults(json!({"to_client": cut, "to_agent": cut}));
    let up = scene.up.1;
    let uploading = thread::spawn(move || upload(up, 5 * MB));
    receive(ask(scene.down.1, 5 * MB), 5 * MB);
    uploading.join().unwrap();
    assert!(scene.sandbox.calls("ResumeSession") >= 6, "{}", scene.sandbox.calls("ResumeSession"));
    assert_eq!(scene.sandbox.calls("StartSession"), 2);
}

#[test]
fn frames_lost_doubled_swapped_and_broken_on_the_way() {
    let scene = Scene::new();
    let bad = json!({"drop": 0.02, "duplicate": 0.02, "reorder": 0.02, "delay_ms": 2, "jitter_ms": 5});
    // Agents take a broken digest for a good one: theirs is the only end that could be told.
    let mut broken = bad.clone();
    broken["corrupt"] = json!(0.01);
    scene.sandbox.faults(json!({"to_client": broken, "to_agent": bad}));
    let up = scene.up.1;
    let uploading = thread::spawn(move || upload(up, MB));
    receive(ask(scene.down.1, MB), MB);
    uploading.join().unwrap();
}

/// Where Amazon's own client hangs for good.
#[test]
fn an_acknowledgement_is_lost_and_data_after_it() {
    let scene = Scene::new();
    scene.sandbox.faults(json!({
        "resend_front_only": true,
        "to_agent": {"drop": 50, "only": "ack"},
        "to_client": {"drop": 70, "only": "data"},
    }));
    receive(ask(scene.down.1, MB), MB);
}

#[test]
fn the_services_hourly_bye_is_not_the_end() {
    let (sandbox, mut forward, mut client) = in_use();
    sandbox.admin("POST", "sessions/last/close", json!({"code": 1000, "reason": "Bye"}));
    forward.event("reconnecting");
    forward.event("resumed");
    exchange(&mut client, b"after");
    assert!(forward.stderr().contains("Bye"), "{}", forward.stderr());
}

#[test]
fn connections_made_while_there_is_no_network_wait_for_it() {
    let (sandbox, mut forward, port) = echoing();
    sandbox.admin("POST", "outage", json!({"seconds": 2}));
    forward.event("reconnecting");
    let mut clients: Vec<_> = (0..20).map(|_| connect(port)).collect();
    for client in &mut clients {
        exchange(client, b"hello");
    }
}

#[test]
fn a_session_that_cannot_be_resumed_is_replaced_and_its_connections_are_reset() {
    let (sandbox, mut forward, port) = echoing();
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.faults(json!({"resume_null_token": true}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    let ended = forward.event("ended");
    assert_eq!(ended["connections"], 1);
    assert!(is_reset(client), "a clean end would pass for the end of the data");
    forward.event("ready");
    exchange(&mut connect(port), b"after");
    assert!(forward.stderr().contains("1 connection reset"), "{}", forward.stderr());
    assert_eq!(sandbox.calls("StartSession"), 2);
}

/// StartSession may be allowed where ResumeSession is not.
#[test]
fn a_session_that_may_not_be_resumed_is_replaced() {
    let denied =
        json!({"code": "AccessDeniedException", "message": "not authorized to perform: ssm:ResumeSession"});
    for faults in [
        json!({"api": {"ResumeSession": denied}}),
        json!({"resume_stream_url": "wss://evil.example/v1/data-channel/{session}"}),
    ] {
        let (sandbox, mut forward, port) = echoing();
        exchange(&mut connect(port), b"before");
        sandbox.faults(faults);
        sandbox.admin("POST", "sessions/last/cut", json!({}));
        let ended = forward.event("ended");
        assert!(!ended["reason"].as_str().unwrap().is_empty());
        exchange(&mut connect(port), b"after");
        assert_eq!(sandbox.calls("StartSession"), 2);
    }
}

/// A gateway that lets in and hangs up at once, so many times; then nobody listens.
fn hang_up(times: usize) -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(times) {
            let _ = tokio_tungstenite::tungstenite::accept(stream.unwrap());
        }
    });
    address
}

#[test]
fn a_connection_that_is_hung_up_at_once_is_no_resumption_and_ends_nothing() {
    let (sandbox, mut forward, mut client) = in_use();
    sandbox.faults(json!({"resume_stream_url": format!("ws://{}/v1/data-channel/x", hang_up(4))}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    // Nobody listens there any more: all four were tried.
    forward.event_where("retrying", |event| event["reason"].as_str().unwrap().contains("cannot connect"));
    assert!(!forward.stderr().contains("resumed"), "{}", forward.stderr());
    sandbox.faults(json!({}));
    forward.event("resumed");
    exchange(&mut client, b"after");
    assert_eq!(sandbox.calls("StartSession"), 1);
}

#[test]
fn a_session_whose_token_is_refused_again_and_again_is_replaced() {
    let (sandbox, mut forward, port) = echoing();
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.faults(json!({"refuse_token": true}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains("1008"), "{ended}");
    assert!(is_reset(client));
    sandbox.faults(json!({}));
    forward.event("ready");
    exchange(&mut connect(port), b"after");
}

#[test]
fn too_many_requests_at_the_upgrade_are_waited_out() {
    let (sandbox, mut forward, mut client) = in_use();
    sandbox.faults(json!({"refuse_upgrade": 429}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    forward.event("retrying");
    while sandbox.calls("ResumeSession") < 6 {
        thread::yield_now();
    }
    sandbox.faults(json!({}));
    forward.event("resumed");
    exchange(&mut client, b"after");
    assert_eq!(sandbox.calls("StartSession"), 1);
}

#[test]
fn a_session_that_ends_while_nobody_uses_it_is_replaced_when_somebody_does() {
    let (sandbox, mut forward, port) = echoing();
    let text = "Your session timed out due to inactivity and has been terminated.";
    sandbox.admin("POST", "sessions/last/end", json!({"output": text}));
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains("inactivity"), "{ended}");
    assert_eq!(sandbox.calls("StartSession"), 1);
    exchange(&mut connect(port), b"after");
    assert_eq!(sandbox.calls("StartSession"), 2);
}

#[test]
fn credentials_that_expire_meanwhile_are_said_and_waited_for() {
    let (sandbox, mut forward, mut client) = in_use();
    let expired = json!({"code": "ExpiredTokenException", "message": "The security token included in the request is expired"});
    sandbox.faults(json!({"api": {"ResumeSession": expired}}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    let retrying = forward.event("retrying");
    assert!(retrying["reason"].as_str().unwrap().contains("ssm:ResumeSession"), "{retrying}");
    forward.says("hint: ");
    // `aws sso login` in another terminal.
    sandbox.faults(json!({}));
    forward.event("resumed");
    exchange(&mut client, b"after");
}

#[test]
fn an_upgrade_that_is_refused_for_a_while_is_tried_again() {
    let (sandbox, mut forward, port) = echoing();
    sandbox.faults(json!({"refuse_upgrade": 503}));
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    let retrying = forward.event("retrying");
    assert!(retrying["reason"].as_str().unwrap().contains("503"), "{retrying}");
    sandbox.faults(json!({}));
    forward.event("resumed");
    exchange(&mut connect(port), b"after");
}

#[test]
fn every_upgrade_is_signed_and_the_url_of_the_resumption_is_taken() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let url = "ws://127.0.0.1:{port}/v1/data-channel/{session}?role=publish_subscribe&cell-number=AAEL+/==";
    sandbox.faults(json!({"require_signature": true, "resume_stream_url": url}));
    let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    for _ in 0..2 {
        sandbox.admin("POST", "sessions/last/cut", json!({}));
        forward.event("resumed");
        exchange(&mut connect(port), b"hello");
    }
}

#[test]
fn a_pause_holds_new_data_back_until_it_is_over() {
    let (sandbox, _forward, port) = echoing();
    let mut client = connect(port);
    let mut answer = [0; 4];
    // A pause has no answer to wait for, and a late sign of life of the agent ends it: so one of
    // them may hold nothing.
    let held = (0..10).any(|_| {
        exchange(&mut client, b"before");
        sandbox.admin("POST", "sessions/last/pause", json!({}));
        thread::sleep(Duration::from_millis(50));
        client.write_all(b"held").unwrap();
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let error = client.read_exact(&mut answer).err();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert!(held, "data came back during each pause");
    sandbox.admin("POST", "sessions/last/start", json!({}));
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"held");
}

#[test]
fn what_is_no_message_at_all_is_passed_over() {
    let (sandbox, _forward, mut client) = in_use();
    for garbage in ["", "00", "ffffffff", "00000074", "7fffffff00000000"] {
        sandbox.admin("POST", "sessions/last/send", json!({"hex": garbage}));
    }
    sandbox.admin("POST", "sessions/last/send", json!({"text": "{\"MessageType\": 7}"}));
    let long = "00".repeat(200_000);
    sandbox.admin("POST", "sessions/last/send", json!({"hex": long}));
    exchange(&mut client, b"after");
}

#[test]
fn a_message_larger_than_any_gateway_sends_costs_the_socket_and_not_the_memory() {
    let (sandbox, mut forward, mut client) = in_use();
    sandbox.admin("POST", "sessions/last/send", json!({"hex": "00".repeat(1_500_000)}));
    forward.event("resumed");
    exchange(&mut client, b"after");
}
