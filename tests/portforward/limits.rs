//! What a machine gives and no more: file descriptors.

use std::process::Command;

use serde_json::json;

use crate::harness::{Forward, connect, echo, exchange, wrapped};
use crate::support::Sandbox;

/// More connections than there may be descriptors.
const MANY: usize = 100;

/// A forward that may have few file descriptors.
fn crowded(sandbox: &Sandbox) -> Forward {
    let mut command: Command = sandbox.command("ecsx-portforward");
    command.args(["-o", "json", "--cluster", "demo", "--service", "web", "--container", "app"]);
    command.args(["-L", ":db.internal:1"]);
    Forward::of(wrapped(&["sh", "-c", "ulimit -n 80 && exec \"$@\"", "sh"], command))
}

#[test]
fn connections_beyond_the_file_descriptors_wait_for_others_to_end_and_the_session_goes_on() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let mut forward = crowded(&sandbox);
    let port = forward.event("ready")["local_port"].as_u64().unwrap() as u16;
    let mut clients: Vec<_> = (0..MANY).map(|_| connect(port)).collect();
    assert_eq!(forward.event("crowded")["limit"], 80);
    exchange(&mut clients[0], b"those that came first are served");
    // To dial again takes descriptors too.
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    forward.event("resumed");
    exchange(&mut clients[0], b"and still are");
    let mut last = clients.pop().unwrap();
    drop(clients);
    exchange(&mut last, b"now it is my turn");
    assert_eq!(forward.stderr().matches("file descriptors").count(), 1, "{}", forward.stderr());
}

#[test]
fn a_command_begins_with_the_file_descriptors_that_ecsx_began_with() {
    let sandbox = Sandbox::start();
    let mut command: Command = sandbox.command("ecsx-portforward");
    command.args(["-q", "--cluster", "demo", "--service", "web", "--container", "app"]);
    command.args(["-L", ":db.internal:1", "--", "sh", "-c", "ulimit -Sn"]);
    let said = wrapped(&["sh", "-c", "ulimit -Sn 200 && exec \"$@\"", "sh"], command).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "200\n", "{}", String::from_utf8_lossy(&said.stderr));
}
