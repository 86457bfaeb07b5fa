//! Many connections in one session: bytes, fairness, ends.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use serde_json::Value;

use crate::harness::{
    Forward, Noise, ask, connect, echo, exchange, half_close, receive, serve, sink, source, upload,
};
use crate::support::Sandbox;

const MB: u64 = 1_000_000;

/// A sandbox in which `db.internal:1` … are these servers.
fn sandbox(servers: &[std::net::SocketAddr]) -> Sandbox {
    let sandbox = Sandbox::start();
    for (number, server) in servers.iter().enumerate() {
        sandbox.name(&format!("db.internal:{}", number + 1), server);
    }
    sandbox
}

#[test]
fn bytes_go_both_ways_unchanged_and_end_with_an_end() {
    let sandbox = sandbox(&[source(), sink(Arc::default())]);
    let (_down, down) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let (_up, up) = Forward::up(&sandbox, &["-L", ":db.internal:2"]);
    receive(ask(down, 5 * MB), 5 * MB);
    upload(up, 5 * MB);
    receive(ask(down, 0), 0);
}

#[test]
#[ignore = "needs a few minutes"]
fn a_gigabyte_each_way_has_an_equal_hash() {
    let sandbox = sandbox(&[source(), sink(Arc::default())]);
    let (_down, down) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let (_up, up) = Forward::up(&sandbox, &["-L", ":db.internal:2"]);
    receive(ask(down, 1000 * MB), 1000 * MB);
    upload(up, 1000 * MB);
}

/// Fair means in bytes: a small exchange or a new connection waits for a bounded piece of the
/// bulk, not for what a slow machine makes of time.
#[test]
fn small_exchanges_and_new_connections_go_between_a_bulk_upload() {
    let taken = Arc::new(AtomicU64::new(0));
    let mixed = {
        let taken = taken.clone();
        // The first byte says what the connection is for.
        serve(move |mut stream| {
            let mut kind = [0];
            if stream.read_exact(&mut kind).is_err() {
                return;
            }
            if kind[0] == b'e' {
                let _ = std::io::copy(&mut &stream, &mut &stream);
                return;
            }
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                taken.fetch_add(n as u64, Ordering::SeqCst);
            }
        })
    };
    let sandbox = sandbox(&[mixed]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut old = connect(port);
    old.write_all(b"e").unwrap();
    exchange(&mut old, b"before");

    let over = Arc::new(AtomicBool::new(false));
    let bulk = {
        let over = over.clone();
        let mut stream = connect(port);
        thread::spawn(move || {
            let mut noise = Noise::default();
            stream.write_all(b"b").unwrap();
            while !over.load(Ordering::SeqCst) {
                stream.write_all(noise.piece(u64::MAX)).unwrap();
            }
        })
    };
    while taken.load(Ordering::SeqCst) < MB {
        thread::yield_now();
    }
    let mut waits = Vec::new();
    for round in 0..40 {
        let before = taken.load(Ordering::SeqCst);
        if round % 2 == 0 {
            exchange(&mut old, b"hello");
        } else {
            let mut new = connect(port);
            new.write_all(b"e").unwrap();
            exchange(&mut new, b"hello");
        }
        waits.push(taken.load(Ordering::SeqCst) - before);
    }
    assert!(taken.load(Ordering::SeqCst) > 2 * MB, "the bulk went on");
    over.store(true, Ordering::SeqCst);
    bulk.join().unwrap();
    waits.sort_unstable();
    assert!(waits[20] < MB, "an exchange waited for {} bytes of bulk at the median", waits[20]);
}

#[test]
fn a_client_that_has_said_all_it_has_to_say_still_gets_the_answer() {
    let (go, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = serve(move |mut stream| {
        let mut request = [0; 7];
        stream.read_exact(&mut request).unwrap();
        // Long after the client has closed its side.
        wait.lock().unwrap().recv().unwrap();
        stream.write_all(&[&request[..], b" to you"].concat()).unwrap();
    });
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    client.write_all(b"welcome").unwrap();
    half_close(&client);
    // Longer than it takes to notice a client that is gone.
    thread::sleep(std::time::Duration::from_millis(700));
    go.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "welcome to you");
}

/// smux has no reset: the agent ends a stream in the same way whether its server closed or broke off.
#[test]
fn a_reset_at_the_remote_end_is_an_end_like_another_for_the_agent_tells_no_difference() {
    let server = serve(|mut stream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        stream.write_all(b"half of wh").unwrap();
        // The client has the answer before the reset may overtake it.
        stream.read_exact(&mut [0; 4]).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    });
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    client.write_all(b"say!").unwrap();
    client.read_exact(&mut [0; 10]).unwrap();
    client.write_all(b"done").unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
}

/// As TCP has it when a server closes on data that it has not read.
#[test]
fn an_upload_that_nobody_took_ends_with_a_reset_and_not_as_if_it_were_complete() {
    let (close, closed) = channel::<()>();
    let closed = std::sync::Mutex::new(closed);
    let server = serve(move |stream| {
        closed.lock().unwrap().recv().unwrap();
        drop(stream);
    });
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    // All that fits on the way; written in another thread, the reset could be told there.
    client.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    while client.write(&[7; 64 * 1024]).is_ok() {}
    close.send(()).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
#[ignore = "needs 30 s: a server may think for that long"]
fn a_client_that_has_closed_its_side_and_gets_nothing_is_told_why() {
    let server = serve(|mut stream| {
        // Answers at the end of the request, which it is never told of.
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    });
    let sandbox = sandbox(&[server]);
    let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    client.write_all(b"request").unwrap();
    half_close(&client);
    let told = forward.event("half_closed");
    assert_eq!(told["peer"], client.local_addr().unwrap().to_string());
    forward.says("the session cannot tell the remote end");
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_is_gone_is_gone_for_the_server_too() {
    let (ended, end) = channel();
    let ended = std::sync::Mutex::new(ended);
    let server = serve(move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        ended.lock().unwrap().send(all).unwrap();
    });
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    client.write_all(b"last words").unwrap();
    drop(client);
    assert_eq!(end.recv_timeout(crate::harness::PATIENCE).unwrap(), b"last words");
}

/// The flag that says so names no stream: it must not be laid at the next connection's door.
#[test]
fn a_refusal_whose_client_did_not_wait_for_it_blames_nobody_else() {
    let sandbox = Sandbox::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    sandbox.name("localhost:1", nobody);
    let (forward, port) = Forward::up(&sandbox, &[":1"]);
    exchange_nothing_yet(&sandbox, port);
    // A server that takes what it gets and says nothing: a syslog, a health check.
    let silent = serve(|mut stream| {
        let _ = stream.read(&mut [0; 9]);
    });
    sandbox.name("localhost:1", silent);
    let mut client = connect(port);
    client.write_all(b"log this").unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "an orderly end");
    assert!(!forward.stderr().contains("cannot be reached"), "{}", forward.stderr());
}

/// A client that is gone before the agent has found out that its destination refuses.
fn exchange_nothing_yet(sandbox: &Sandbox, port: u16) {
    let number = |state: &Value, name: &str| state["sessions"][0][name].as_u64().unwrap();
    sandbox.faults(serde_json::json!({"hold_dials": true}));
    let client = connect(port);
    let state = sandbox.wait_for("the dial", |state| number(state, "dials") == 1);
    let (heard, said) = (number(&state, "frames_to_agent"), number(&state, "frames_to_client"));
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    sandbox.wait_for("its FIN", |state| number(state, "frames_to_agent") > heard);
    sandbox.faults(serde_json::json!({}));
    sandbox.wait_for("the flag and the FIN", |state| number(state, "frames_to_client") >= said + 2);
}

#[test]
fn two_hundred_connections_at_once() {
    let sandbox = sandbox(&[echo()]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut clients: Vec<_> = (0..200).map(|_| connect(port)).collect();
    for round in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(format!("{round:4}{number:4}").as_bytes()).unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let mut answer = [0; 8];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, format!("{round:4}{number:4}").as_bytes());
        }
    }
    assert_eq!(sandbox.calls("StartSession"), 1, "in one session");
}

#[test]
fn a_server_may_speak_first_on_every_connection() {
    let server = serve(|mut stream| {
        stream.write_all(b"220 ready\r\n").unwrap();
        let _ = std::io::copy(&mut &stream, &mut &stream);
    });
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    for _ in 0..3 {
        let mut client = connect(port);
        let mut greeting = [0; 11];
        client.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"220 ready\r\n");
        exchange(&mut client, b"EHLO");
    }
}

/// A source for one port and an echo for it too: what a length of all ones asks for.
fn source_and_echo() -> std::net::SocketAddr {
    let source = source();
    serve(move |stream| {
        let mut head = [0; 8];
        (&stream).read_exact(&mut head).unwrap();
        if head == [0xff; 8] {
            let _ = std::io::copy(&mut &stream, &mut &stream);
            return;
        }
        let mut behind = std::net::TcpStream::connect(source).unwrap();
        behind.write_all(&head).unwrap();
        let _ = std::io::copy(&mut behind, &mut &stream);
    })
}

#[test]
fn a_stalled_reader_costs_the_others_nothing_and_loses_nothing() {
    let sandbox = sandbox(&[source_and_echo()]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut busy = connect(port);
    busy.write_all(&[0xff; 8]).unwrap();
    // More than the kernels on the way hold, and less than the documented bound.
    let stalled = ask(port, 20 * MB);
    for _ in 0..200 {
        exchange(&mut busy, &[7; 3000]);
    }
    let mut new = connect(port);
    new.write_all(&[0xff; 8]).unwrap();
    exchange(&mut new, b"also new ones");
    receive(stalled, 20 * MB);
}

#[test]
fn past_the_bound_everything_waits_for_a_stalled_reader_and_it_is_said_and_nothing_is_lost() {
    let sandbox = sandbox(&[source_and_echo()]);
    let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut busy = connect(port);
    busy.write_all(&[0xff; 8]).unwrap();
    exchange(&mut busy, b"before");
    let stalled = ask(port, 80 * MB);
    let event = forward.event("stalled");
    assert_eq!(event["peer"], stalled.local_addr().unwrap().to_string());
    assert!(event["bytes"].as_u64().unwrap() >= 64 << 20, "{event}");
    let stderr = forward.says("does not read");
    assert!(stderr.contains(&stalled.local_addr().unwrap().to_string()), "{stderr}");
    busy.write_all(b"while it waits").unwrap();
    receive(stalled, 80 * MB);
    let mut answer = [0; 14];
    busy.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"while it waits");
}

#[test]
fn a_reader_that_is_alone_makes_its_server_wait_instead_of_filling_memory() {
    let sent = Arc::new(AtomicU64::new(0));
    let server = {
        let sent = sent.clone();
        serve(move |mut stream| {
            let mut noise = Noise::default();
            stream.read_exact(&mut [0; 1]).unwrap();
            while stream.write_all(noise.piece(u64::MAX)).is_ok() {
                sent.fetch_add(64 * 1024, Ordering::SeqCst);
            }
        })
    };
    let sandbox = sandbox(&[server]);
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    client.write_all(b"x").unwrap();
    // Once nothing has moved for a while, all that can hold bytes is full.
    let mut last = 0;
    loop {
        thread::sleep(std::time::Duration::from_secs(1));
        let now = sent.load(Ordering::SeqCst);
        if now == last && now > 0 {
            break;
        }
        last = now;
        assert!(now < 200 * MB, "nobody makes the server wait");
    }
    client.read_exact(&mut vec![0; 10_000_000]).unwrap();
}

#[test]
fn several_destinations_each_have_a_session_and_ports_to_the_same_one_share_it() {
    let sandbox = sandbox(&[echo(), echo()]);
    let arguments = ["-L", ":db.internal:1", "-L", ":db.internal:2", "-L", ":db.internal:1"];
    let mut forward = Forward::start(&sandbox, &arguments);
    let ready: Vec<Value> = (0..3).map(|_| forward.event("ready")).collect();
    for event in &ready {
        exchange(&mut connect(event["local_port"].as_u64().unwrap() as u16), b"hello");
    }
    assert_eq!(sandbox.calls("StartSession"), 2);
}
