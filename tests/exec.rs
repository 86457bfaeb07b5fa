//! `ecsx exec`, as a person or a script meets it, against the sandbox.
#![cfg(all(feature = "aws", target_os = "linux"))]

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal};
use serde_json::json;
use support::Sandbox;
use support::terminal::Terminal;

const WORLD: &str = "
clusters:
  - { name: plain, services: [{ name: app, containers: [app] }] }
  - name: secret
    kms_key: arn:aws:kms:us-east-1:123456789012:key/0c0c0c0c-0000-4000-8000-000000000000
    services: [{ name: app, containers: [app] }]
";

fn sandbox() -> Sandbox {
    Sandbox::with_fixture(WORLD)
}

/// `ecsx exec` in the one container of `cluster`. No signal is ignored, as it may be where tests
/// run (nohup, CI).
fn exec_in(sandbox: &Sandbox, cluster: &str, words: &[&str]) -> Command {
    wrapped(&["env", "--default-signal"], sandbox, cluster, words)
}

/// The same, started by another program.
fn wrapped(by: &[&str], sandbox: &Sandbox, cluster: &str, words: &[&str]) -> Command {
    let exec = sandbox.command("ecsx-exec");
    let mut command = Command::new(by[0]);
    command.args(&by[1..]).arg(exec.get_program()).args(exec.get_args());
    command.env_clear().envs(exec.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = exec.get_current_dir() {
        command.current_dir(directory);
    }
    command.args(["--cluster", cluster, "--service", "app"]).args(words).stdin(Stdio::null());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command
}

fn exec(sandbox: &Sandbox, words: &[&str]) -> Command {
    exec_in(sandbox, "plain", words)
}

/// Runs it with `stdin` in a pipe.
fn feed(mut command: Command, stdin: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut pipe, stdin) = (child.stdin.take().unwrap(), stdin.to_vec());
    let feeder = thread::spawn(move || {
        // A command need not read all of it.
        let _ = pipe.write_all(&stdin);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

#[track_caller]
fn expect(output: &Output, code: i32, stdout: &[u8]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout == stdout, "{} bytes, not {}; {stderr}", output.stdout.len(), stdout.len());
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_exit_code_is_the_commands_own() {
    let sandbox = sandbox();
    thread::scope(|scope| {
        for cluster in ["plain", "secret"] {
            for (script, code) in [
                ("exit 0", 0),
                ("exit 1", 1),
                ("exit 7", 7),
                ("exit 126", 126),
                ("exit 127", 127),
                ("kill -INT $$", 130),
                ("kill -9 $$", 137),
            ] {
                let sandbox = &sandbox;
                scope.spawn(move || {
                    let piped = exec_in(sandbox, cluster, &["-c", script]).output().unwrap();
                    expect(&piped, code, b"");
                    let terminal = exec_in(sandbox, cluster, &["-t", "-n", "-c", script]).output().unwrap();
                    expect(&terminal, code, b"");
                });
            }
        }
    });
    for (program, code, said) in [
        ("no-such-program", 127, "no-such-program: not found in container app"),
        ("/no/program", 127, "/no/program: not found in container app"),
        ("", 127, "'': not found in container app"),
        ("/etc/passwd", 126, "/etc/passwd: cannot be run (permission denied) in container app"),
    ] {
        for options in [&["--", program][..], &["-t", "-n", "--", program]] {
            let output = exec(&sandbox, options).output().unwrap();
            expect(&output, code, b"");
            assert_eq!(String::from_utf8_lossy(&output.stderr), format!("error: {said}\n"));
        }
    }
}

#[test]
fn stdout_is_the_commands_bytes_and_nothing_else() {
    let sandbox = sandbox();
    let output =
        exec(&sandbox, &["-c", "printf 'a\\nb\\r\\n\\000\\377'; echo problem >&2; exit 3"]).output().unwrap();
    expect(&output, 3, b"a\nb\r\n\0\xff");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "problem\n");
    let failing = exec(&sandbox, &["-c", "echo problem >&2; exit 3"]).output().unwrap();
    expect(&failing, 3, b"");
    assert_eq!(String::from_utf8_lossy(&failing.stderr), "problem\n");
    let silent = exec(&sandbox, &["--", "true"]).output().unwrap();
    expect(&silent, 0, b"");
    assert_eq!(silent.stderr, b"");
}

#[test]
fn words_arrive_exactly() {
    let sandbox = sandbox();
    let words = ["a b", "c'd", "e\"f", "$HOME", "g\nh", "\\", "*", "", "`id`", "é", "#x", "-n", "~", "\t"];
    let command = exec(&sandbox, &[&["--", "printf", "[%s]"], &words[..]].concat()).output().unwrap();
    expect(&command, 0, words.map(|word| format!("[{word}]")).concat().as_bytes());
    let script = exec(&sandbox, &["-c", "printf '[%s]' \"$@\" $0", "--", "a b", ""]).output().unwrap();
    expect(&script, 0, b"[a b][][sh]");
    let line = exec(&sandbox, &["--command", r#"printf "[%s]" 'a b' c\ d"#]).output().unwrap();
    expect(&line, 0, b"[a b][c d]");
}

#[test]
fn bytes_of_all_kinds_and_sizes_pass_in_both_directions() {
    let sandbox = sandbox();
    thread::scope(|scope| {
        for stdin in [
            vec![],
            vec![4],
            (0..=255).collect(),
            "\u{fffd}".repeat(400).into_bytes(),
            "\u{1f980}".as_bytes()[..3].to_vec(),
            noise(1023),
            noise(1024),
            noise(1025),
            noise(1 << 20),
        ] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                expect(&feed(exec(sandbox, &["--", "cat"]), &stdin), 0, &stdin);
            });
        }
    });
    let stdin = noise(100_000);
    expect(&feed(exec_in(&sandbox, "secret", &["--", "cat"]), &stdin), 0, &stdin);
}

/// Minutes in a debug build: `cargo test --test exec -- --ignored a_hundred`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_megabytes_of_noise_come_back_equal() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let [there, back] = ["there", "back"].map(|name| folder.path().join(name));
    std::fs::write(&there, noise(100_000_000)).unwrap();
    let mut cat = Command::new("cat").arg(&there).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = exec(&sandbox, &["--", "cat"]);
    command.stdin(cat.stdout.take().unwrap()).stdout(File::create(&back).unwrap());
    assert_eq!(command.status().unwrap().code(), Some(0));
    assert!(cat.wait().unwrap().success());
    assert!(Command::new("cmp").args([&there, &back]).status().unwrap().success());
}

#[test]
fn a_command_need_not_read_its_stdin_and_may_have_none() {
    let sandbox = sandbox();
    let stdin = noise(1 << 20);
    expect(&feed(exec(&sandbox, &["--", "head", "-c", "10"]), &stdin), 0, &stdin[..10]);
    expect(&feed(exec(&sandbox, &["-c", "exit 5"]), &stdin), 5, b"");
    expect(&feed(exec(&sandbox, &["-n", "--", "cat"]), &stdin), 0, b"");
}

#[test]
fn stdout_and_stderr_may_be_closed() {
    let sandbox = sandbox();
    for close in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let by = ["sh", "-c", &format!("\"$@\" {close}"), "sh"];
        let output = wrapped(&by, &sandbox, "plain", &["-c", "echo out; echo err >&2; exit 6"]).output();
        assert_eq!(output.unwrap().status.code(), Some(6), "{close}");
    }
}

#[test]
fn a_cut_connection_costs_nothing() {
    let sandbox = sandbox();
    let stdin = noise(1 << 20);
    let command = exec(&sandbox, &["-c", "cat; exit 9"]);
    let output = thread::scope(|scope| {
        let run = scope.spawn(|| feed(command, &stdin));
        for cuts in 1..=3 {
            sandbox.wait_for("a connection to cut", |_| {
                assert!(!run.is_finished(), "it was over before cut {cuts}");
                sandbox.state()["open_sessions"] == 1
                    && sandbox.admin("POST", "sessions/last/cut", json!({}))["done"] == 1
            });
            sandbox.wait_for("the session to be resumed", |_| sandbox.calls("ResumeSession") == cuts);
        }
        run.join().unwrap()
    });
    expect(&output, 9, &stdin);
}

#[test]
fn a_task_that_dies_is_said_with_its_reason() {
    let sandbox = sandbox();
    let child =
        exec(&sandbox, &["-c", "echo up; sleep 600"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    let task = sandbox.state()["sessions"][0]["task"].as_str().map(str::to_owned);
    let task = task.unwrap_or_else(|| sandbox.state()["tasks"][0]["id"].as_str().unwrap().to_owned());
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({}));
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("is gone") && stderr.contains("STOPPED"), "{stderr}");
}

#[test]
fn an_agent_that_answers_nothing_is_said_and_ctrl_c_leaves() {
    let sandbox = sandbox();
    let (stdin, mut keys) = std::io::pipe().unwrap();
    let mut command = exec(&sandbox, &["-c", "echo ready; sleep 600"]);
    command.stdin(stdin);
    let mut child = ready(&mut command);
    sandbox.admin("POST", "sessions/last/kill_agent", json!({}));
    keys.write_all(b"x").unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("agent has not answered") && line.contains("Ctrl-C leaves"), "{line}");
    interrupt(&child);
    expect(&child.wait_with_output().unwrap(), 130, b"");
}

#[test]
#[ignore = "takes 80 seconds"]
fn an_agent_that_answers_nothing_is_given_up() {
    let sandbox = sandbox();
    let (stdin, mut keys) = std::io::pipe().unwrap();
    let mut command = exec(&sandbox, &["-c", "echo ready; sleep 600"]);
    command.stdin(stdin);
    let child = ready(&mut command);
    sandbox.admin("POST", "sessions/last/kill_agent", json!({}));
    keys.write_all(b"x").unwrap();
    let output = child.wait_with_output().unwrap();
    expect(&output, 125, b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("acknowledged nothing for 75 s"), "{stderr}");
}

/// Starts it with pipes and waits for its first line, `ready`.
fn ready(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(&line, b"ready\n");
    child
}

fn interrupt(child: &Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn ctrl_c_without_a_terminal_is_the_commands() {
    let sandbox = sandbox();
    for (options, script, code, rest) in [
        (&[][..], "echo ready; exec sleep 600", 130, ""),
        (&[], "trap 'echo bye; exit 3' INT; echo ready; sleep 600 & wait", 3, "bye\n"),
        // It reads stdin, and none comes.
        (&["-t"], "stty -onlcr; echo ready; exec cat", 130, "^C"),
    ] {
        let mut command = exec(&sandbox, &[options, &["-c", script]].concat());
        let (stdin, _open) = std::io::pipe().unwrap();
        command.stdin(stdin);
        let child = ready(&mut command);
        interrupt(&child);
        expect(&child.wait_with_output().unwrap(), code, rest.as_bytes());
    }
}

#[test]
fn a_second_ctrl_c_ends_the_session() {
    let sandbox = sandbox();
    let mut child = ready(&mut exec(&sandbox, &["-c", "trap '' INT; echo ready; sleep 600"]));
    interrupt(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("goes on after Ctrl-C"), "{line}");
    interrupt(&child);
    expect(&child.wait_with_output().unwrap(), 130, b"");
    sandbox.wait_for("the session's end", |state| state["open_sessions"] == 0);
}

#[test]
fn ctrl_c_behind_stdin_that_nobody_reads_says_so() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let zeros = folder.path().join("zeros");
    File::create(&zeros).unwrap().set_len(10 << 20).unwrap();
    let mut command = exec(&sandbox, &["-c", "echo ready; exec sleep 600"]);
    command.stdin(File::open(&zeros).unwrap());
    let mut child = ready(&mut command);
    let position = format!("/proc/{}/fdinfo/0", child.id());
    // One piece is in the command's pipe, the next is stuck, a third is ready.
    sandbox.wait_for("stdin to be stuck", |_| {
        let position = std::fs::read_to_string(&position).unwrap();
        position.split_whitespace().nth(1).is_some_and(|at| at.parse::<u64>().unwrap() > 2 << 20)
    });
    interrupt(&child);
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("waits behind stdin"), "{line}");
    interrupt(&child);
    expect(&child.wait_with_output().unwrap(), 130, b"");
    sandbox.wait_for("the session's end", |state| state["open_sessions"] == 0);
}

#[test]
fn signals_ignored_from_the_start_stay_ignored() {
    let sandbox = sandbox();
    let by = &["env", "--default-signal", "--ignore-signal=HUP,INT"][..];
    let script = "echo ready; read line; echo $line";
    let mut command = wrapped(by, &sandbox, "plain", &["-c", script]);
    let mut child = ready(command.stdin(Stdio::piped()));
    for signal in [Signal::HUP, Signal::INT, Signal::INT] {
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
    }
    child.stdin.take().unwrap().write_all(b"still here\n").unwrap();
    expect(&child.wait_with_output().unwrap(), 0, b"still here\n");
}

#[test]
fn a_signal_ends_it_while_it_asks_ecs_and_while_nobody_reads() {
    let sandbox = sandbox();
    sandbox.faults(json!({"api": {"ExecuteCommand": {"delay_ms": 60_000}}}));
    let child = exec(&sandbox, &["--", "true"]).stderr(Stdio::piped()).spawn().unwrap();
    sandbox.wait_for("ExecuteCommand", |_| sandbox.calls("ExecuteCommand") == 1);
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    sandbox.faults(json!({}));

    // The command has ended, and its output does not fit into the pipe.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = exec(&sandbox, &["--", "head", "-c", "200000", "/dev/zero"]);
    let mut child = command.stdout(writer).spawn().unwrap();
    drop(command);
    sandbox.wait_for("the command's start", |state| state["open_sessions"] == 1);
    sandbox.wait_for("its end", |state| state["open_sessions"] == 0);
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(reader);
}

#[test]
fn standard_streams_that_do_not_block_lose_nothing() {
    let sandbox = sandbox();
    let (stdin, mut feed) = std::io::pipe().unwrap();
    let (mut rest, stdout) = std::io::pipe().unwrap();
    for end in [stdin.as_fd(), stdout.as_fd()] {
        rustix::io::ioctl_fionbio(end, true).unwrap();
    }
    let mut command = exec(&sandbox, &["-c", "echo ready; cat"]);
    let mut child = command.stdin(stdin).stdout(stdout).spawn().unwrap();
    drop(command);
    let mut line = [0; 6];
    rest.read_exact(&mut line).unwrap();
    let bytes = noise(300_000);
    let read = thread::scope(|scope| {
        scope.spawn(|| bytes.chunks(100_000).for_each(|part| feed.write_all(part).unwrap()));
        let mut read = vec![0; bytes.len()];
        rest.read_exact(&mut read).unwrap();
        read
    });
    assert!(read == bytes);
    drop(feed);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stdin_that_fails_is_not_taken_for_its_end() {
    let sandbox = sandbox();
    let output = exec(&sandbox, &["--", "cat"]).stdin(File::open("/tmp").unwrap()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("cannot read stdin"), "{stderr}");
}

#[test]
fn a_command_line_of_nothing_is_no_success() {
    let sandbox = sandbox();
    for line in ["", " ", "# nothing"] {
        let output = exec(&sandbox, &["--command", line]).output().unwrap();
        assert!(!output.status.success(), "{line:?} {output:?}");
    }
}

#[test]
fn the_exit_codes_come_back_after_a_cut_with_and_without_terminal_and_key() {
    let sandbox = sandbox();
    // One after another: the cut is that of the last session.
    for (cluster, options, code) in [
        ("plain", &[][..], 7),
        ("plain", &["-t", "-n"], 130),
        ("secret", &[], 137),
        ("secret", &["-t", "-n"], 7),
    ] {
        let end = match code {
            130 => "kill -INT $$",
            137 => "kill -9 $$",
            _ => "exit 7",
        };
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        let script =
            format!("echo ready; until [ -e {} ]; do sleep 0.1; done; echo after; {end}", go.display());
        let resumed = sandbox.calls("ResumeSession");
        let mut command = exec_in(&sandbox, cluster, &[options, &["-c", &script]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut shown = String::new();
        stdout.read_line(&mut shown).unwrap();
        assert_eq!(sandbox.admin("POST", "sessions/last/cut", json!({}))["done"], 1);
        // It ends while nobody is connected.
        File::create(&go).unwrap();
        sandbox.wait_for("the session to be resumed", |_| sandbox.calls("ResumeSession") > resumed);
        stdout.read_to_string(&mut shown).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{cluster} {options:?} {stderr}");
        assert_eq!(shown.replace('\r', ""), "ready\nafter\n", "{cluster} {options:?}");
        assert_eq!(stderr.contains("encrypted using AWS KMS"), cluster == "secret", "{stderr}");
    }
}

/// A program on a terminal as [`exec`] makes it.
fn on_terminal(sandbox: &Sandbox, words: &[&str]) -> Terminal {
    let mut command = exec(sandbox, words);
    command.env("TERM", "xterm");
    Terminal::start(&command)
}

#[test]
fn a_shell_on_a_terminal_behaves() {
    let sandbox = sandbox();
    let mut terminal = on_terminal(&sandbox, &["-q"]);
    terminal.type_keys("");
    terminal.wait_for("# ");
    terminal.type_keys("stty size; echo $((6*7))\r");
    terminal.wait_for("24 80");
    terminal.wait_for("42");
    terminal.resize(101, 37);
    // The new size travels in front of these keys.
    terminal.type_keys("while ! stty size | grep '37 10''1'; do sleep 0.1; done\r");
    terminal.wait_for("37 101");
    // It says so once the keys' signals are its own.
    terminal.type_keys("sh -c \"echo slee''ping; exec sleep 600\"\r");
    terminal.wait_for("sleeping");
    terminal.type_keys("\x03");
    terminal.wait_for("# ");
    terminal.type_keys("echo still al''ive\r");
    terminal.wait_for("still alive");
    terminal.type_keys("exit 7\r");
    assert_eq!(terminal.end(), Some(7));
}

#[test]
fn a_silent_command_can_be_typed_to_at_once() {
    let sandbox = sandbox();
    let mut terminal =
        on_terminal(&sandbox, &["--", "sh", "-c", "stty -echo; echo ready; read x; echo got $x"]);
    terminal.wait_for("ready");
    terminal.type_keys("hello\r");
    terminal.wait_for("got hello");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn the_terminal_is_as_before_on_every_way_out() {
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let command = exec(&sandbox, &["-q", "-c", "echo rea''dy; exec sleep 600"]);
    let program = command.get_program().to_str().unwrap().to_owned();
    let arguments: Vec<String> =
        command.get_args().map(|a| format!("'{}'", a.to_str().unwrap().replace('\'', "'\\''"))).collect();
    for way in ["~.", "TERM", "HUP", "kill"] {
        let mut shell = Command::new("/bin/sh");
        let pid = folder.path().join(way);
        let words = arguments.join(" ");
        shell.args(["-c", &format!("echo $$ > '{}'; {program} {words}; echo modes", pid.display())]);
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut terminal = Terminal::start(&shell);
        let before = terminal.modes();
        terminal.wait_for("ready");
        assert_ne!(terminal.modes(), before, "it is raw");
        match way {
            "~." => terminal.type_keys("~."),
            "kill" => drop(sandbox.admin("POST", "sessions/last/end", json!({"output": "Bye."}))),
            signal => {
                let shell = std::fs::read_to_string(&pid).unwrap();
                let mut kill = Command::new("pkill");
                kill.args([&format!("-{signal}"), "-P", shell.trim(), "ecsx-exec"]);
                assert!(kill.status().unwrap().success());
            }
        }
        terminal.wait_for("modes");
        assert_eq!(terminal.modes(), before, "after {way}");
    }
}

#[test]
fn a_late_handshake_leaves_no_raw_terminal_behind() {
    let tools = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/cat", tools.path().join("cat")).unwrap();
    let sandbox = Sandbox::with_containers(WORLD, &[("PATH", tools.path().to_str().unwrap())]);
    sandbox.faults(json!({"to_client": {"delay_ms": 2500}}));
    let command = exec_in(&sandbox, "secret", &["--", "cat"]);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "\"$@\"; echo code $? mo''des", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::start(&shell);
    let before = terminal.modes();
    terminal.wait_for("encrypted using AWS KMS");
    // The first one was typed at the command that is not there; this is the bare one's.
    terminal.wait_for("encrypted using AWS KMS");
    terminal.type_keys("abc\r");
    terminal.wait_for("abc\r\nabc");
    terminal.type_keys("\x04");
    terminal.wait_for("code 124 modes");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn pasted_megabytes_arrive_whole() {
    let sandbox = sandbox();
    let script = "stty raw -echo; echo rea''dy; head -c 2000000 | cksum; stty cooked";
    let mut terminal = on_terminal(&sandbox, &["-q", "-c", script]);
    terminal.wait_for("ready");
    let text: String = (0..).flat_map(|n: u32| [n.to_string(), "~.\u{e9} ".into()]).take(500_000).collect();
    let mut end = 2_000_000;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let pasted = format!("{}{}", &text[..end], "x".repeat(2_000_000 - end));
    let mut sum = Command::new("cksum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(pasted.as_bytes()).unwrap();
    let expected = String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap();
    terminal.type_keys(&pasted);
    terminal.wait_for(expected.trim());
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn the_terminal_is_as_before_after_a_panic() {
    const INSIDE: &str = "ECSX_TEST_ON_TERMINAL";
    // On the terminal below, this test runs once more.
    if std::env::var_os(INSIDE).is_some() {
        let _raw = ecsx::session::terminal::Raw::enter().unwrap();
        println!("raw now");
        // As in a release, where a panic aborts: nothing is unwound.
        extern "C" fn panics() {
            panic!("on purpose");
        }
        panics();
    }
    let me = std::env::current_exe().unwrap();
    let mut shell = Command::new("/bin/sh");
    let run = "\"$0\" --exact the_terminal_is_as_before_after_a_panic --nocapture; echo code $? mo''des";
    shell.args(["-c", run]).arg(me).env("PATH", "/usr/bin:/bin").env(INSIDE, "1");
    let mut terminal = Terminal::start(&shell);
    let before = terminal.modes();
    terminal.wait_for("raw now");
    terminal.wait_for("code 134 modes");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn leaving_works_without_a_network() {
    let sandbox = sandbox();
    let mut terminal = on_terminal(&sandbox, &[]);
    terminal.wait_for("# ");
    sandbox.admin("POST", "outage", json!({"seconds": 60}));
    terminal.wait_for("connection lost; making it anew. ~. after Enter leaves");
    terminal.type_keys("ls\r~?");
    terminal.wait_for("leave and end the session");
    terminal.type_keys("~.");
    terminal.wait_for("left; ECS could not be told");
    assert_eq!(terminal.end(), Some(130));
}

#[test]
fn without_any_terminal_it_works() {
    let sandbox = sandbox();
    for by in [
        &["setsid", "--wait"][..],
        &["nohup"],
        &["env", "-u", "TERM", "-u", "LANG"],
        &["sh", "-c", "\"$@\" <&-", "sh"],
    ] {
        let mut command = wrapped(by, &sandbox, "plain", &["-c", "cat; echo out; exit 4"]);
        expect(&command.output().unwrap(), 4, b"out\n");
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let sandbox = sandbox();
    let mut child =
        exec(&sandbox, &["--", "yes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0; 4]).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(141), vec![]));
    sandbox.wait_for("the session's end", |state| state["open_sessions"] == 0);
}

#[test]
fn without_a_shell_a_command_runs_bare_and_says_so() {
    let tools = tempfile::tempdir().unwrap();
    for tool in ["echo", "env", "cat", "printf"] {
        std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), tools.path().join(tool)).unwrap();
    }
    let sandbox = Sandbox::with_containers(WORLD, &[("PATH", tools.path().to_str().unwrap())]);
    let bare = exec(&sandbox, &["--", "echo", "it's", "  here"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&bare.stderr);
    assert_eq!(bare.status.code(), Some(124), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&bare.stdout), "it's   here\n", "no carriage return of the terminal");
    assert!(stderr.contains("no shell") && stderr.contains("exit code"), "{stderr}");

    // stdin has an end, and a CR at the output's end is the command's own.
    expect(&exec(&sandbox, &["-n", "--", "cat"]).output().unwrap(), 124, b"");
    expect(&exec(&sandbox, &["--", "printf", "a\\r"]).output().unwrap(), 124, b"a\r");

    let missing = exec(&sandbox, &["--", "no-such-program"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-program"));
    for words in [&["-c", "exit 0"][..], &[]] {
        let shell = exec(&sandbox, words).output().unwrap();
        assert_eq!(shell.status.code(), Some(127));
        assert!(String::from_utf8_lossy(&shell.stderr).contains("has no shell"));
    }
}

#[test]
fn the_ends_of_a_session_have_causes() {
    let sandbox = sandbox();
    let idle = "Your session timed out due to inactivity and has been terminated.";
    let mut child = exec(&sandbox, &["-c", "echo up; sleep 600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    sandbox.admin("POST", "sessions/last/end", json!({"output": idle}));
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains(idle) && stderr.contains("--keepalive"), "{stderr}");
}
