//! What cannot work is said once, clearly, and leaves nothing behind.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Forward, connect, echo, exchange, is_reset};
use crate::support::Sandbox;

/// Runs it to its end: exit code and stderr.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String) {
    Forward::start(sandbox, arguments).outcome()
}

#[test]
fn a_port_in_use_is_told_before_aws_is_asked_for_anything() {
    let sandbox = Sandbox::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, stderr) = run(&sandbox, &["-L", &format!("{port}:db.internal:5432")]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("port {port}")) && stderr.contains("in use"), "{stderr}");
    if cfg!(target_os = "linux") {
        assert!(stderr.contains(&std::process::id().to_string()), "the holder is named: {stderr}");
    }
    assert_eq!(sandbox.state()["calls"], json!({}));
}

#[test]
#[cfg(target_os = "linux")]
fn another_forward_that_has_the_port_is_named_in_full() {
    let sandbox = Sandbox::start();
    let (_other, port) = Forward::up(&sandbox, &["-L", ":80"]);
    let (_, stderr) = run(&sandbox, &["-L", &format!("{port}:81")]);
    assert!(stderr.contains("in use by ecsx-portforward (process "), "{stderr}");
}

#[test]
fn a_malformed_forward_is_explained() {
    let sandbox = Sandbox::start();
    for words in ["15432:db:x", "db:5432", "1:2:3:4:5", "15432:[::1:5432", "0x10:80"] {
        let (code, stderr) = run(&sandbox, &["-L", words]);
        assert_eq!(code, Some(2), "{words}: {stderr}");
        assert!(stderr.contains(&format!("\"{words}\"")) && stderr.contains("hint: "), "{stderr}");
    }
    let (code, stderr) = run(&sandbox, &[]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("nothing to forward"), "{stderr}");
    let (code, stderr) = run(&sandbox, &["db"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("\"db\""), "{stderr}");
    assert_eq!(sandbox.state()["calls"], json!({}));
}

#[test]
fn an_address_of_another_machine_is_refused_as_one_that_is_none() {
    let sandbox = Sandbox::start();
    let said = ["192.0.2.1", "nowhere"].map(|address| {
        let (code, stderr) = run(&sandbox, &[":80", "--address", address]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(&format!("\"{address}\" is no address of this machine")), "{stderr}");
        stderr.replace(address, "ADDRESS")
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(sandbox.state()["calls"], json!({}));
}

#[test]
fn what_fails_is_an_event_too_and_the_exit_code_is_the_last() {
    let sandbox = Sandbox::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let taken = format!("{port}:db.internal:1");
    for (words, code, message) in [
        (&["-L", &taken][..], 1, "in use"),
        (&["-L", &taken, "--", "echo"], 125, "in use"),
        (&["-L", "1:db:x"], 2, "no remote port"),
        (&["nope"], 2, "no preset"),
    ] {
        let mut forward = Forward::start(&sandbox, words);
        let error = forward.event("error");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
        assert_eq!(forward.event("exit")["exit_code"], code);
        assert_eq!(forward.ended().code(), Some(code));
    }
}

#[test]
fn a_destination_that_refuses_is_named_and_others_go_on() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sandbox.name("db.internal:2", nobody);
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1", "-L", ":db.internal:2"]);
    let ready = [forward.event("ready"), forward.event("ready")];
    let port = |remote: u64| {
        let event = ready.iter().find(|event| event["remote_port"] == remote).unwrap();
        event["local_port"].as_u64().unwrap() as u16
    };
    let (first, second) = (port(1), port(2));
    let mut good = connect(first);
    exchange(&mut good, b"before");
    assert!(is_reset(connect(second)));
    let event = forward.event("refused");
    assert_eq!((&event["remote_host"], &event["remote_port"]), (&json!("db.internal"), &json!(2)));
    let stderr = forward.says("db.internal:2");
    assert!(stderr.contains("security group"), "{stderr}");
    exchange(&mut good, b"after");
}

#[test]
fn a_stream_url_that_is_not_aws_gets_no_token() {
    for url in [
        "wss://ssmmessages.us-east-1.amazonaws.com.evil.example/v1/data-channel/x",
        "wss://evil.example/v1",
        "ws://ssmmessages.us-east-1.amazonaws.com/v1",
        "wss://ssmmessages.us-east-1.amazonaws.com@evil.example/v1",
        "not a url",
    ] {
        let sandbox = Sandbox::start();
        sandbox.faults(json!({"stream_url": url}));
        let (code, stderr) = run(&sandbox, &["-L", ":db.internal:1"]);
        assert_eq!(code, Some(1), "{url}: {stderr}");
        assert!(stderr.contains("stream URL"), "{url}: {stderr}");
        assert_eq!(sandbox.calls("TerminateSession"), 1, "the session is not left open");
    }
}

#[test]
fn a_refused_upgrade_is_an_error_and_not_a_hang() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"refuse_upgrade": 403}));
    let (code, stderr) = run(&sandbox, &["-L", ":db.internal:1"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("HTTP 403") && stderr.contains("ssmmessages:OpenDataChannel"), "{stderr}");
    assert_eq!(sandbox.calls("TerminateSession"), 1, "the session is not left open");
}

/// The upgrade works, and then the socket is closed: that is a refusal too.
#[test]
fn a_token_that_is_refused_after_the_upgrade_is_told_as_that() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"refuse_token": true}));
    let (code, stderr) = run(&sandbox, &["-L", ":db.internal:1"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("1008 invalid token") && !stderr.contains("two sessions"), "{stderr}");
    assert_eq!((sandbox.calls("StartSession"), sandbox.calls("TerminateSession")), (1, 1));
}

#[test]
fn what_the_agent_cannot_do_is_an_error_in_its_own_words() {
    for (host, reason) in [("nowhere.invalid", "Unable to resolve host"), ("169.254.169.254", "forbidden")] {
        let sandbox = Sandbox::start();
        let (code, stderr) = run(&sandbox, &["-L", &format!(":{host}:80")]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(reason) && stderr.contains(host) && stderr.contains("hint: "), "{stderr}");
        assert!(!stderr.contains("-----"), "{stderr}");
    }
}

/// A client that tries again and again must not make a StartSession of each attempt.
#[test]
fn sessions_that_end_as_soon_as_they_are_up_follow_each_other_ever_more_slowly() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    exchange(&mut connect(port), b"before");
    // The name has gone from the VPC's DNS.
    sandbox.name("db.internal:1", "nowhere.invalid");
    sandbox.admin("POST", "sessions/last/end", json!({"output": "timed out"}));
    let knocking =
        std::thread::spawn(
            move || {
                while std::net::TcpStream::connect(("127.0.0.1", port)).map(is_reset).is_ok() {}
            },
        );
    forward.event("ended");
    let start = std::time::Instant::now();
    for _ in 0..6 {
        forward.event("ended");
    }
    assert!(start.elapsed() > std::time::Duration::from_millis(2000), "{:?}", start.elapsed());
    drop(forward);
    knocking.join().unwrap();
}

#[test]
fn throttled_calls_are_made_again() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let throttled = json!({"code": "ThrottlingException", "message": "Rate exceeded", "count": 2});
    sandbox.faults(json!({"api": {"StartSession": throttled, "DescribeTasks": throttled}}));
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    exchange(&mut connect(port), b"hello");
    assert_eq!(sandbox.calls("StartSession"), 3);
}

#[test]
fn what_aws_refuses_is_said_with_what_helps() {
    for (code, expected) in [
        ("ExpiredTokenException", "aws sso login"),
        ("AccessDeniedException", "ssm:StartSession"),
        ("TargetNotConnected", "ssm:StartSession"),
    ] {
        let sandbox = Sandbox::start();
        sandbox.faults(json!({"api": {"StartSession": {"code": code, "message": "as AWS says it"}}}));
        let (exit, stderr) = run(&sandbox, &["-L", ":db.internal:1"]);
        assert_eq!(exit, Some(1), "{code}");
        assert!(stderr.contains("as AWS says it") && stderr.contains(expected), "{code}: {stderr}");
        assert!(stderr.contains("hint: "), "{code}: {stderr}");
    }
}

#[test]
#[ignore = "needs 20 s: an agent is given that long"]
fn an_agent_that_never_answers_is_given_up() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"no_agent": true}));
    let (code, stderr) = run(&sandbox, &["-L", ":db.internal:1"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("container app") && stderr.contains("two sessions"), "{stderr}");
    assert_eq!(sandbox.calls("TerminateSession"), 1);
}
