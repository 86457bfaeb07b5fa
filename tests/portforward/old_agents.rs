//! Agents of former years.

use serde_json::json;

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::harness::{Forward, connect, echo, exchange, half_close, is_reset, serve};
use crate::support::Sandbox;

fn up(version: &str, server: std::net::SocketAddr) -> (Sandbox, Forward, u16) {
    let sandbox = Sandbox::start();
    sandbox.name(&format!("localhost:{}", server.port()), server);
    sandbox.faults(json!({"agent_version": version}));
    let (forward, port) = Forward::up(&sandbox, &[&format!(":{}", server.port())]);
    (sandbox, forward, port)
}

#[test]
fn an_agent_without_multiplexing_serves_one_connection_after_the_other() {
    let (sandbox, forward, port) = up("3.0.196.0", echo());
    let stderr = forward.says("3.0.196.0");
    assert!(stderr.contains("one connection at a time") && stderr.contains("platform version"), "{stderr}");
    for words in ["first", "second", "third"] {
        // Each begins before the last is gone, and waits.
        exchange(&mut connect(port), words.as_bytes());
    }
    assert_eq!(sandbox.calls("StartSession"), 1);
}

#[test]
fn a_greeting_before_the_first_client_is_kept_for_it() {
    let server = serve(|mut stream| {
        std::io::Write::write_all(&mut stream, b"220 ready").unwrap();
        let _ = std::io::copy(&mut &stream, &mut &stream);
    });
    let (_sandbox, _forward, port) = up("3.0.100.0", server);
    let mut client = connect(port);
    let mut greeting = [0; 9];
    std::io::Read::read_exact(&mut client, &mut greeting).unwrap();
    assert_eq!(&greeting, b"220 ready");
    exchange(&mut client, b"EHLO");
}

/// The end of the server is not told by such an agent, so no end can be an orderly one.
#[test]
fn a_server_may_think_for_long_after_its_client_has_closed_its_side() {
    let server = serve(|mut stream| {
        stream.read_exact(&mut [0; 8]).unwrap();
        thread::sleep(Duration::from_secs(5));
        let _ = stream.write_all(b"the answer");
    });
    let (_sandbox, _forward, port) = up("3.0.196.0", server);
    let mut client = connect(port);
    client.write_all(b"question").unwrap();
    half_close(&client);
    let mut answer = [0; 10];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"the answer");
}

#[test]
fn a_client_that_has_closed_its_side_makes_room_for_the_next_with_a_reset_and_a_line() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let server = serve(move |mut stream| {
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        if first[0] == b'1' {
            let _ = wait.lock().unwrap().recv();
        }
        let _ = stream.write_all(&first);
    });
    let (_sandbox, mut forward, port) = up("3.0.196.0", server);
    let mut first = connect(port);
    first.write_all(b"1").unwrap();
    half_close(&first);
    let mut second = connect(port);
    exchange(&mut second, b"2");
    assert!(is_reset(first.try_clone().unwrap()), "an end would pass for the end of the answer");
    let event = forward.event("unanswered");
    assert_eq!(event["peer"], first.local_addr().unwrap().to_string());
    forward.says("was reset: it sends no more");
    drop(go);
}

/// The agent repeats it until it is acknowledged: that may be when the next client is there.
#[test]
fn late_output_of_a_connection_never_reaches_the_next_client() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let server = serve(move |mut stream| {
        let mut word = [0; 3];
        while stream.read_exact(&mut word).is_ok() {
            if &word == b"old" {
                wait.lock().unwrap().recv().unwrap();
            }
            let _ = stream.write_all(&word);
        }
    });
    let (sandbox, _forward, port) = up("3.0.196.0", server);
    let mut old = connect(port);
    exchange(&mut old, b"hey");
    old.write_all(b"old").unwrap();
    let number = |state: &serde_json::Value, name: &str| state["sessions"][0][name].as_u64().unwrap();
    let before = number(&sandbox.state(), "agent_resent");
    sandbox.faults(json!({"agent_version": "3.0.196.0", "to_client": {"drop": 1, "only": "data"}}));
    go.send(()).unwrap();
    sandbox.wait_for("the lost output", |state| number(state, "agent_resent") > before);
    let told = number(&sandbox.state(), "acks_to_client");
    socket2::SockRef::from(&old).set_linger(Some(Duration::ZERO)).unwrap();
    drop(old);
    sandbox.wait_for("the agent to hear of it", |state| number(state, "acks_to_client") > told);
    let mut new = connect(port);
    // Its turn comes while the output is still on its way.
    thread::sleep(Duration::from_secs(2));
    let acknowledged = number(&sandbox.state(), "acks_to_agent");
    sandbox.faults(json!({"agent_version": "3.0.196.0"}));
    sandbox.wait_for("the output", |state| number(state, "acks_to_agent") > acknowledged);
    exchange(&mut new, b"new");
}

/// What was lost with the network comes again however late: only another session is sure.
#[test]
fn after_a_loss_the_next_client_has_another_session() {
    let (sandbox, mut forward, port) = up("3.0.196.0", echo());
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    forward.event("resumed");
    exchange(&mut client, b"and on");
    assert_eq!(sandbox.calls("StartSession"), 1);
    drop(client);
    exchange(&mut connect(port), b"after");
    assert_eq!(sandbox.calls("StartSession"), 2);
}

#[test]
#[cfg(unix)]
fn an_agent_older_than_the_flag_is_ended_through_the_service() {
    let (sandbox, mut forward, port) = up("2.3.700.0", echo());
    exchange(&mut connect(port), b"hello");
    forward.signal(rustix::process::Signal::INT);
    assert_eq!(forward.ended().code(), Some(0));
    let state = sandbox.state();
    assert_eq!(state["sessions"][0]["terminate_flag"], false);
    assert_eq!(state["calls"]["TerminateSession"], 1);
}

#[test]
fn an_agent_that_closes_idle_forwards_is_named() {
    let (_sandbox, forward, port) = up("3.1.1446.0", echo());
    exchange(&mut connect(port), b"hello");
    let stderr = forward.says("3.1.1446.0");
    assert!(stderr.contains("idle") && stderr.contains("platform version"), "{stderr}");
}

#[test]
fn an_agent_without_remote_hosts_is_refused_with_what_helps() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"agent_version": "3.1.1000.0"}));
    let (code, stderr) = Forward::start(&sandbox, &["-L", ":db.internal:1"]).outcome();
    assert_eq!(code, Some(1));
    assert!(stderr.contains("remote hosts") && stderr.contains("platform version"), "{stderr}");
}
