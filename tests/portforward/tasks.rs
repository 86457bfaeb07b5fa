//! Tasks that go away: killed, deployed over, failed over.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Forward, connect, echo, exchange, is_reset, serve};
use crate::support::Sandbox;

#[test]
fn a_killed_task_is_noticed_and_another_one_is_found() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1"]);
    let ready = forward.event("ready");
    let (task, port) = (ready["task"].as_str().unwrap(), ready["local_port"].as_u64().unwrap() as u16);
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({"reason": "OutOfMemoryError"}));
    // The gateway says nothing; only acknowledgements stop.
    client.write_all(b"anybody?").unwrap();
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains(task), "{ended}");
    assert!(is_reset(client));
    let another = forward.event("retargeted");
    assert_ne!(another["task"], task);
    forward.event("ready");
    exchange(&mut connect(port), b"after");
    let stderr = forward.stderr();
    assert!(stderr.contains("OutOfMemoryError") && stderr.contains("now through"), "{stderr}");
}

/// A forward of `web` to a server that sends back what it gets, and counts it; nobody has used it
/// for longer than an agent counts as there.
fn idle(sandbox: &Sandbox) -> (Forward, String, u16, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let echo = {
        let taken = taken.clone();
        serve(move |mut stream| {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                taken.fetch_add(n as u64, Ordering::SeqCst);
                let _ = stream.write_all(&buffer[..n]);
            }
        })
    };
    sandbox.name("db.internal:1", echo);
    let mut forward = Forward::start(sandbox, &["-L", ":db.internal:1"]);
    let ready = forward.event("ready");
    let port = ready["local_port"].as_u64().unwrap() as u16;
    exchange(&mut connect(port), b"before");
    sleep(Duration::from_millis(3500));
    (forward, ready["task"].as_str().unwrap().to_owned(), port, taken)
}

#[test]
fn the_first_connection_after_an_idle_forwards_task_was_killed_is_served_by_another_task() {
    let sandbox = Sandbox::start();
    let (mut forward, task, port, taken) = idle(&sandbox);
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({}));
    exchange(&mut connect(port), b"at once");
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains(&task), "{ended}");
    assert_eq!((&ended["connections"], &ended["kept"]), (&json!(0), &json!(1)));
    assert_ne!(forward.event("ready")["task"], task);
    assert_eq!(taken.load(Ordering::SeqCst), "before".len() as u64 + "at once".len() as u64);
}

#[test]
fn the_first_connections_after_a_deployment_go_to_the_new_tasks_all_of_them() {
    let sandbox = Sandbox::start();
    let (forward, task, port, _) = idle(&sandbox);
    sandbox.admin("POST", "services/demo/web/deploy", json!({"after_ms": 0}));
    sandbox.wait_for("the old task to stop", |state| {
        state["tasks"].as_array().unwrap().iter().all(|t| t["id"] != task || t["status"] == "STOPPED")
    });
    let mut clients: Vec<_> = (0..5).map(|_| connect(port)).collect();
    clients.iter_mut().for_each(|client| client.write_all(b"hello").unwrap());
    for mut client in clients {
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
    assert!(forward.stderr().contains("for 5 connections"), "{}", forward.stderr());
}

/// ECS says that the task runs, and the gateway says nothing.
#[test]
fn an_agent_that_fell_silent_is_left_by_a_connection_that_has_sent_nothing() {
    let sandbox = Sandbox::start();
    let (mut forward, _, port, taken) = idle(&sandbox);
    sandbox.admin("POST", "sessions/last/kill_agent", json!({}));
    exchange(&mut connect(port), b"patient");
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains("acknowledged nothing for 1"), "{ended}");
    assert_eq!(taken.load(Ordering::SeqCst), "before".len() as u64 + "patient".len() as u64);
}

#[test]
fn an_agent_that_fell_silent_is_told_of_before_connections_are_reset_for_it() {
    let sandbox = Sandbox::start();
    let (mut forward, _, port, _) = idle(&sandbox);
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.admin("POST", "sessions/last/kill_agent", json!({}));
    client.write_all(b"anybody?").unwrap();
    let silent = forward.event("silent");
    assert_eq!(silent["connections"], 1);
    let stderr = forward.says("acknowledged nothing for 1");
    assert!(stderr.contains("1 connection held") && !stderr.contains("reset"), "{stderr}");
}

#[test]
fn a_deployment_moves_the_forward_to_the_new_tasks() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1"]);
    let ready = forward.event("ready");
    let port = ready["local_port"].as_u64().unwrap() as u16;
    exchange(&mut connect(port), b"before");
    sandbox.admin("POST", "services/demo/web/deploy", json!({"after_ms": 0}));
    let old = ready["task"].clone();
    sandbox.wait_for("the old task to stop", |state| {
        state["tasks"].as_array().unwrap().iter().all(|task| task["id"] != old || task["status"] == "STOPPED")
    });
    let mut client = connect(port);
    let _ = client.write_all(b"anybody?");
    let another = forward.event("retargeted");
    assert_ne!(another["task"], old);
    forward.event("ready");
    exchange(&mut connect(port), b"after");
}

#[test]
fn a_task_whose_agent_stopped_is_left_for_another_one() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1"]);
    let ready = forward.event("ready");
    let (task, port) = (ready["task"].as_str().unwrap(), ready["local_port"].as_u64().unwrap() as u16);
    let mut client = connect(port);
    exchange(&mut client, b"before");
    sandbox.admin("POST", &format!("tasks/{task}/stop_agents"), json!({}));
    // The task runs, the gateway answers, and nobody acknowledges.
    client.write_all(b"anybody?").unwrap();
    let ended = forward.event("ended");
    assert!(ended["reason"].as_str().unwrap().contains("ExecuteCommandAgent"), "{ended}");
    assert!(is_reset(client));
    assert_ne!(forward.event("retargeted")["task"], task);
    exchange(&mut connect(port), b"after");
}

#[test]
fn a_task_that_was_asked_for_by_id_is_the_only_one() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let task = sandbox.state()["tasks"][0]["id"].as_str().unwrap().to_owned();
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1", "--id", &task]);
    let ready = forward.event("ready");
    assert_eq!(ready["task"], task);
    let mut client = connect(ready["local_port"].as_u64().unwrap() as u16);
    exchange(&mut client, b"before");
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({}));
    client.write_all(b"anybody?").unwrap();
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&task) && stderr.contains("STOPPED"), "{stderr}");
}

/// The agent looks a name up once per session.
#[test]
fn after_a_failover_the_name_is_looked_up_again() {
    let sandbox = Sandbox::start();
    let primary = TcpListener::bind("127.0.0.1:0").unwrap();
    sandbox.name("db.internal:1", primary.local_addr().unwrap());
    let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:1"]);
    let mut client = connect(port);
    let mut server = primary.accept().unwrap().0;
    server.write_all(b"the old primary").unwrap();
    drop(server);
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    // The old one is gone, and the name means the new one.
    drop(primary);
    sandbox.name("db.internal:1", serve(|mut stream| stream.write_all(b"the new primary").unwrap()));
    assert!(is_reset(connect(port)));
    forward.event("refused");
    let mut all = String::new();
    connect(port).read_to_string(&mut all).unwrap();
    assert_eq!(all, "the new primary");
    assert_eq!(sandbox.calls("StartSession"), 2);
}

/// ECS lets two sessions into a container: two destinations, and the one that is replaced must
/// not still count.
#[test]
fn a_session_is_ended_before_another_takes_its_place() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"session_limit": 2}));
    sandbox.name("db.internal:2", echo());
    let primary = TcpListener::bind("127.0.0.1:0").unwrap();
    sandbox.name("db.internal:1", primary.local_addr().unwrap());
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:1", "-L", ":db.internal:2"]);
    let ready = [forward.event("ready"), forward.event("ready")];
    let first = ready.iter().find(|event| event["remote_port"] == 1).unwrap();
    let port = first["local_port"].as_u64().unwrap() as u16;
    let mut client = connect(port);
    primary.accept().unwrap().0.write_all(b"old").unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(primary);
    sandbox.name("db.internal:1", serve(|mut stream| stream.write_all(b"new").unwrap()));
    assert!(is_reset(connect(port)));
    let mut all = String::new();
    connect(port).read_to_string(&mut all).unwrap();
    assert_eq!(all, "new");
    assert_eq!(forward.event("ready")["task"], first["task"], "the agent had room for it");
}
