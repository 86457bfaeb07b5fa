//! `ecsx sandbox` leaves nothing behind, whatever ends it.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use support::binary;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running `ecsx sandbox`; dropped, all of its process group is gone.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts it with no signal ignored but those of `options`: nohup and a shell's `&`, under
    /// which tests run too, ignore some. There is no terminal to send any.
    fn start(options: &[&str], words: &[&str]) -> Self {
        // No leader of a process group, setsid becomes the program itself.
        let mut command = Command::new("setsid");
        command.args(["--wait", "env", "--default-signal"]).args(options);
        command.arg(binary("ecsx-sandbox")).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    /// The next line of its stdout.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// Its exit code, once it has ended.
    fn code(&mut self) -> Option<i32> {
        within("it does not end", || self.process.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

fn gone(pid: &str) {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    within("the command is left behind", || test_kill_process(pid).is_err().then_some(()));
}

fn within<T>(trouble: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(it) = done() {
            return it;
        }
        assert!(start.elapsed() < PATIENCE, "{trouble}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_to_run_ends_its_command() {
    for (signal, expected) in
        [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)]
    {
        let mut run = Running::start(&[], &["run", "--", "sh", "-c", "ulimit -c 0; echo $$; exec sleep 600"]);
        let command = run.line();
        run.send(signal);
        assert_eq!(run.code(), Some(expected), "{signal:?}");
        gone(&command);
    }
}

#[test]
fn a_command_is_told_what_it_has_a_use_for_and_killed_when_it_has_none_for_its_end() {
    let script = "trap 'echo hup' HUP; trap 'echo usr' USR1; trap 'echo term' TERM; echo $$; while :; do sleep 0.02; done";
    let mut run = Running::start(&[], &["run", "--", "sh", "-c", script]);
    let command = run.line();
    for (signal, said) in
        [(Signal::HUP, "hup"), (Signal::USR1, "usr"), (Signal::HUP, "hup"), (Signal::TERM, "term")]
    {
        run.send(signal);
        assert_eq!(run.line(), said);
    }
    sleep(Duration::from_millis(400));
    run.send(Signal::TERM);
    assert_eq!(run.code(), Some(137));
    gone(&command);
}

/// The command has it from the terminal.
#[test]
fn a_keystroke_is_one_signal_to_the_command() {
    let script = "n=0; trap 'n=$((n+1)); echo int' INT; trap 'echo $n in all; exit 5' QUIT
                  echo up; while :; do read line; done";
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(binary("ecsx-sandbox")).args(["run", "--", "sh", "-c", script]);
    command.env("PATH", "/usr/bin:/bin");
    let mut terminal = support::terminal::Terminal::start(&command);
    terminal.wait_for("up\r\n");
    terminal.type_keys("\x03");
    terminal.wait_for("int\r\n");
    // Time enough for another one.
    sleep(Duration::from_millis(300));
    terminal.type_keys("\x1c");
    terminal.wait_for("1 in all\r\n");
    assert_eq!(terminal.end(), Some(5));
}

/// Whoever sends it repeatedly at once means it once.
#[test]
fn a_word_said_twice_is_one() {
    let script = "trap 'sleep 0.2; exit 7' TERM; echo up; while :; do sleep 0.02; done";
    let mut run = Running::start(&[], &["run", "--", "sh", "-c", script]);
    run.line();
    run.send(Signal::TERM);
    run.send(Signal::TERM);
    assert_eq!(run.code(), Some(7));
}

#[test]
#[cfg(target_os = "linux")]
fn what_nohup_has_ignored_ends_nothing() {
    let ignored = ["--ignore-signal=HUP"];
    let mut run = Running::start(&ignored, &["run", "--", "sh", "-c", "echo up; sleep 0.5; exit 7"]);
    run.line();
    run.send(Signal::HUP);
    assert_eq!(run.code(), Some(7));

    let mut serve = Running::start(&ignored, &["serve", "-o", "json"]);
    serve.line();
    serve.send(Signal::HUP);
    sleep(Duration::from_millis(200));
    assert!(serve.process.try_wait().unwrap().is_none());
    serve.send(Signal::TERM);
    assert_eq!(serve.code(), Some(0));
}

#[test]
fn serve_ends_well() {
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        let mut serve = Running::start(&[], &["serve", "-o", "json"]);
        serve.line();
        serve.send(signal);
        assert_eq!(serve.code(), Some(0), "{signal:?}");
    }
}
