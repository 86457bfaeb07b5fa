//! Starting and ending it, and commands that run behind it.

use std::io::{Read, Write};

use serde_json::json;

use crate::harness::{Forward, connect, echo, exchange, serve};
use crate::support::Sandbox;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:5432", echo());
    sandbox
}

#[test]
fn it_tells_in_one_line_where_it_goes_and_in_json_everything() {
    let sandbox = sandbox();
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432"]);
    let ready = forward.event("ready");
    let port = ready["local_port"].as_u64().unwrap();
    assert_eq!(ready["local_host"], "127.0.0.1");
    assert_eq!((&ready["remote_host"], &ready["remote_port"]), (&json!("db.internal"), &json!(5432)));
    assert_eq!((&ready["service"], &ready["container"]), (&json!("web"), &json!("app")));
    assert_eq!(ready["address"][0], format!("127.0.0.1:{port}"));
    assert_eq!(ready["session_id"], sandbox.state()["sessions"][0]["id"]);
    let task: String = ready["task"].as_str().unwrap().chars().take(8).collect();
    let stderr = forward.says("Forwarding");
    assert!(stderr.contains(&format!("Forwarding 127.0.0.1:{port}")), "{stderr}");
    assert!(
        stderr.contains(&format!("-> db.internal:5432 through demo/web task {task}… container app")),
        "{stderr}"
    );
}

#[test]
fn both_loopback_addresses_listen_on_the_same_port() {
    let sandbox = sandbox();
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:5432"]);
    exchange(&mut connect(port), b"hello");
    if let Ok(mut six) = std::net::TcpStream::connect(("::1", port)) {
        exchange(&mut six, b"hello");
    }
}

#[test]
fn a_port_of_the_container_itself_needs_no_host() {
    let sandbox = Sandbox::start();
    let server = echo();
    sandbox.name(&format!("localhost:{}", server.port()), server);
    let (_forward, port) = Forward::up(&sandbox, &[&format!(":{}", server.port())]);
    exchange(&mut connect(port), b"hello");
    assert_eq!(sandbox.state()["sessions"][0]["document"], "AWS-StartPortForwardingSession");
}

#[test]
fn the_container_itself_is_announced_as_it_was_written() {
    let sandbox = Sandbox::start();
    let server = echo();
    sandbox.name(&format!("localhost:{}", server.port()), server);
    let forward = Forward::start(&sandbox, &["-N", "-L", &format!(":[::1]:{}", server.port())]);
    forward.says(&format!("-> [::1]:{} through", server.port()));
}

#[test]
#[cfg(target_os = "linux")]
fn events_that_cannot_be_written_end_it() {
    let sandbox = sandbox();
    let mut command = sandbox.command("ecsx-portforward");
    command.args(["-o", "json", "--cluster", "demo", "--service", "worker", "-L", ":db.internal:5432"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write to stdout"), "{stderr}");
    assert_eq!(sandbox.state()["open_sessions"], 0);
}

/// `read line < <(ecsx portforward …)` wants the first event and no more.
#[test]
#[cfg(unix)]
fn a_reader_of_events_that_has_gone_ends_nothing() {
    let sandbox = sandbox();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = sandbox.command("ecsx-portforward");
    command.args(["-o", "json", "--cluster", "demo", "--service", "worker"]);
    command.args(["-L", &format!("{port}:db.internal:5432")]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut process = command.spawn().unwrap();
    drop(process.stdout.take());
    sandbox.wait_for("the session", |state| state["sessions"][0]["connections"] == 1);
    exchange(&mut connect(port), b"still here");
    rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::TERM)
        .unwrap();
    let output = process.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("stdout"), "{stderr}");
}

#[test]
#[cfg(unix)]
fn a_word_to_stop_ends_the_session_and_the_program() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = sandbox();
        let (mut forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:5432"]);
        let mut client = connect(port);
        exchange(&mut client, b"hello");
        forward.signal(signal);
        assert_eq!(forward.event("exit")["exit_code"], 0);
        assert_eq!(forward.ended().code(), Some(0), "{signal:?}");
        let state = sandbox.state();
        assert_eq!(state["sessions"][0]["terminate_flag"], true, "the agent was told");
        assert_eq!(state["calls"]["TerminateSession"], 1, "the service was told");
        assert_eq!(state["open_sessions"], 0);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_nohup_has_ignored_ends_nothing() {
    use rustix::process::Signal;
    let sandbox = sandbox();
    let mut command = sandbox.command("ecsx-portforward");
    command.args(["-o", "json", "--cluster", "demo", "--service", "worker", "-L", ":db.internal:5432"]);
    let mut forward = Forward::of(crate::harness::wrapped(&["env", "--ignore-signal=HUP"], command));
    let port = forward.event("ready")["local_port"].as_u64().unwrap() as u16;
    forward.signal(Signal::HUP);
    exchange(&mut connect(port), b"still here");
    forward.signal(Signal::TERM);
    assert_eq!(forward.ended().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn it_ends_too_while_the_network_is_away() {
    let sandbox = sandbox();
    let (mut forward, _) = Forward::up(&sandbox, &["-L", ":db.internal:5432"]);
    sandbox.admin("POST", "outage", json!({"seconds": 600}));
    forward.event("reconnecting");
    forward.signal(rustix::process::Signal::INT);
    assert_eq!(forward.ended().code(), Some(0));
}

#[test]
#[cfg(unix)]
fn a_session_that_is_just_being_opened_is_not_left_behind() {
    let sandbox = sandbox();
    sandbox.faults(json!({"no_agent": true}));
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432"]);
    sandbox.wait_for("the session", |state| state["sessions"][0]["connections"] == 1);
    forward.signal(rustix::process::Signal::INT);
    assert_eq!(forward.ended().code(), Some(0));
    assert_eq!(sandbox.calls("TerminateSession"), 1);
}

/// However long StartSession takes: what it may still open is waited for, but not for ever.
#[test]
#[cfg(unix)]
fn a_word_to_stop_is_obeyed_while_aws_takes_its_time() {
    for (delay, terminated) in [(1000, 1), (600_000, 0)] {
        let sandbox = sandbox();
        sandbox.faults(json!({"api": {"StartSession": {"delay_ms": delay}}}));
        let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432"]);
        sandbox.wait_for("the call", |state| state["calls"]["StartSession"] == 1);
        forward.signal(rustix::process::Signal::INT);
        assert_eq!(forward.ended().code(), Some(0));
        assert_eq!(sandbox.calls("TerminateSession"), terminated);
        assert_eq!(sandbox.state()["open_sessions"], 0);
    }
}

#[test]
#[cfg(unix)]
fn a_service_that_does_not_answer_cannot_hold_the_end_up() {
    let sandbox = sandbox();
    let (mut forward, _) = Forward::up(&sandbox, &["-L", ":db.internal:5432"]);
    sandbox.faults(json!({"api": {"TerminateSession": {"delay_ms": 600_000}}}));
    forward.signal(rustix::process::Signal::INT);
    assert_eq!(forward.ended().code(), Some(0));
    assert_eq!(sandbox.state()["sessions"][0]["terminate_flag"], true, "the agent was told");
}

/// A keystroke reaches ecsx and its command, and again through npm or make.
#[test]
#[cfg(unix)]
fn one_ctrl_c_for_both_ends_the_session_in_order_too() {
    use rustix::process::Signal;
    let sandbox = sandbox();
    sandbox.faults(json!({"to_agent": {"delay_ms": 100}, "to_client": {"delay_ms": 100}}));
    for _ in 0..3 {
        sandbox.admin("DELETE", "calls", json!({}));
        // The command ends by the same keystroke, and has told us where to aim it.
        let script = "echo \"pid $$\" >&2; exec sleep 600";
        let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432", "--", "sh", "-c", script]);
        let stderr = forward.says("pid ");
        let pid = stderr.split("pid ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        let child = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(child, Signal::INT).unwrap();
        for _ in 0..3 {
            forward.signal(Signal::INT);
        }
        assert_eq!(forward.ended().code(), Some(130));
        assert_eq!(sandbox.calls("TerminateSession"), 1);
        assert_eq!(sandbox.state()["open_sessions"], 0);
    }
}

#[test]
#[cfg(unix)]
fn a_command_that_ignores_its_end_does_not_hold_ecsx_up() {
    use rustix::process::Signal;
    let stubborn = ["--", "sh", "-c", "trap 'echo told >&2' TERM; echo up >&2; while :; do sleep 1; done"];
    // Told to end twice.
    let sandbox = sandbox();
    let mut forward = Forward::start(&sandbox, &[&["-L", ":db.internal:5432"], &stubborn[..]].concat());
    forward.says("up");
    forward.signal(Signal::TERM);
    forward.says("told");
    forward.signal(Signal::TERM);
    assert_eq!(forward.ended().code(), Some(137), "killed");
    assert_eq!(sandbox.state()["open_sessions"], 0);
    // Its forward is no more: the one task that was asked for is gone.
    let task = sandbox.state()["tasks"][0]["id"].as_str().unwrap().to_owned();
    let mut forward =
        Forward::start(&sandbox, &[&["-L", ":db.internal:5432", "--id", &task], &stubborn[..]].concat());
    let port = forward.event("ready")["local_port"].as_u64().unwrap() as u16;
    forward.says("up");
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({}));
    let mut client = connect(port);
    client.write_all(b"anybody?").unwrap();
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(125), "{stderr}");
    assert!(stderr.contains(&task), "{stderr}");
}

#[test]
fn more_destinations_than_ecs_lets_sessions_into_a_container_are_warned_of() {
    let sandbox = sandbox();
    sandbox.name("db.internal:1", echo());
    let three = ["-L", ":db.internal:5432", "-L", ":db.internal:1", "-L", ":db.internal:2"];
    let mut forward = Forward::start(&sandbox, &three[..4]);
    for _ in 0..2 {
        forward.event("ready");
    }
    assert!(!forward.stderr().contains("ECS lets"), "{}", forward.stderr());
    let forward = Forward::start(&sandbox, &three);
    let stderr = forward.says("ECS lets 2 at a time into container app");
    assert!(stderr.contains("3 destinations") && stderr.contains("--id"), "{stderr}");
}

#[test]
fn a_command_runs_when_the_ports_are_ready_and_its_exit_code_is_ours() {
    let sandbox = Sandbox::start();
    let greeter = serve(|mut stream| stream.write_all(b"from the VPC").unwrap());
    sandbox.name("db.internal:5432", greeter);
    // This test's own executable is a program that every system has: see `child`.
    let me = std::env::current_exe().unwrap();
    let child = ["commandline::child", "--exact", "--ignored", "--nocapture"];
    let arguments = [&["-L", ":db.internal:5432", "--", me.to_str().unwrap()], &child[..]].concat();
    let mut forward = Forward::start(&sandbox, &arguments);
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(101), "{stderr}");
    assert!(stderr.contains("got: from the VPC"), "{stderr}");
    assert_eq!(sandbox.state()["open_sessions"], 0);
}

#[test]
fn what_a_command_has_sent_arrives_though_the_command_has_ended() {
    let sandbox = Sandbox::start();
    let (to, got) = std::sync::mpsc::channel();
    sandbox.name(
        "db.internal:5432",
        serve(move |mut stream| {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            to.send(all.len()).unwrap();
        }),
    );
    sandbox.faults(json!({"to_agent": {"delay_ms": 50}}));
    let me = std::env::current_exe().unwrap();
    let sender = ["commandline::sender", "--exact", "--ignored"];
    let arguments = [&["-L", ":db.internal:5432", "--", me.to_str().unwrap()], &sender[..]].concat();
    let mut forward = Forward::start(&sandbox, &arguments);
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(got.try_recv(), Ok(SENT), "all is there when ecsx ends");
    assert_eq!(sandbox.state()["open_sessions"], 0);
}

#[test]
#[cfg(unix)]
fn what_a_command_has_sent_and_cannot_arrive_is_no_success() {
    let sandbox = sandbox();
    let me = std::env::current_exe().unwrap();
    let script = format!("read -r _ <\"$FIFO\"; exec {} commandline::sender --exact --ignored", me.display());
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("go");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let arguments = ["-L", ":db.internal:5432", "--", "sh", "-c", &script];
    let mut forward = Forward::start_with(&sandbox, &arguments, |command| {
        command.env("FIFO", &fifo);
    });
    forward.event("ready");
    sandbox.faults(json!({"to_agent": {"drop": 1.0}}));
    std::fs::write(&fifo, "go\n").unwrap();
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(125), "{stderr}");
    assert!(stderr.contains("may not have arrived"), "{stderr}");
}

/// Bytes that `sender` sends: more than a session has under way.
const SENT: usize = 2_000_000;

#[test]
#[ignore = "needs to be run as the command of another test"]
fn sender() {
    let Ok(address) = std::env::var("ECSX_LOCAL_ADDR") else { return };
    std::net::TcpStream::connect(&address).unwrap().write_all(&vec![7; SENT]).unwrap();
}

#[test]
#[cfg(unix)]
fn ctrl_c_before_the_command_was_started_is_no_success() {
    let sandbox = sandbox();
    sandbox.faults(json!({"no_agent": true}));
    for (signal, code) in [(rustix::process::Signal::INT, 130), (rustix::process::Signal::TERM, 143)] {
        sandbox.admin("DELETE", "calls", json!({}));
        let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432", "--", "echo", "ran"]);
        sandbox.wait_for("the call", |state| state["calls"]["StartSession"] == 1);
        forward.signal(signal);
        assert_eq!(forward.ended().code(), Some(code));
    }
}

#[test]
#[ignore = "needs to be run as the command of another test"]
fn child() {
    let Ok(address) = std::env::var("ECSX_LOCAL_ADDR") else { return };
    assert_eq!(address, format!("{}:{}", std::env::var("PGHOST").unwrap(), std::env::var("PGPORT").unwrap()));
    let mut text = String::new();
    std::net::TcpStream::connect(&address).unwrap().read_to_string(&mut text).unwrap();
    panic!("got: {text}");
}

#[test]
#[cfg(unix)]
fn a_commands_arguments_are_filled_in_and_its_stdout_is_its_own() {
    let sandbox = sandbox();
    let mut command = sandbox.command("ecsx-portforward");
    command.args(["--cluster", "demo", "--service", "web", "--container", "app", "-L", ":db.internal:5432"]);
    let output = command.args(["--", "echo", "{host}", "{port}", "{addr}"]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let words: Vec<_> = stdout.split_whitespace().collect();
    assert_eq!(words[0], "127.0.0.1");
    assert_eq!(words[2], format!("127.0.0.1:{}", words[1]));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_command_that_cannot_run_and_a_forward_that_cannot_be_have_codes_of_their_own() {
    let sandbox = sandbox();
    let mut forward =
        Forward::start(&sandbox, &["-L", ":db.internal:5432", "--", "no-such-command-anywhere"]);
    let (code, stderr) = forward.outcome();
    assert_eq!(code, Some(127), "{stderr}");
    assert!(stderr.contains("no-such-command-anywhere"), "{stderr}");
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432", "--", "/"]);
    assert_eq!(forward.outcome().0, Some(126));
    assert_eq!(sandbox.state()["open_sessions"], 0, "nothing is left behind");
    sandbox.faults(json!({"refuse_upgrade": 403}));
    let mut forward = Forward::start(&sandbox, &["-L", ":db.internal:5432", "--", "echo"]);
    assert_eq!(forward.outcome().0, Some(125));
}

#[test]
fn an_ecspresso_project_says_where_to_go() {
    let sandbox = sandbox();
    let project = tempfile::tempdir().unwrap();
    let config = "region: us-east-1\ncluster: demo\nservice: worker\n";
    std::fs::write(project.path().join("ecspresso.yml"), config).unwrap();
    let mut command = sandbox.command("ecsx-portforward");
    command.current_dir(project.path()).args(["-L", ":db.internal:5432", "-q", "--", "echo", "through"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "through");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sandbox.state()["sessions"][0]["container"], "worker");
}
