//! Agents of former years.

use serde_json::json;

use crate::harness::{Forward, connect, echo, exchange, serve};
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
