//! Asking a plugin something: its stdout within a time and a size, or why there is none.
//!
//! Never its terminal: stdin and stderr lead nowhere, and it runs in a session of its own, which
//! has none. With the answer, or when the time is over, its process group is killed.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, io};

use ecsx::plugin::{Completion, env};

/// How long a question may take and how much its answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) bytes: usize,
    /// Whether these bytes are a whole answer; what is not, goes on until stdout is closed.
    whole: fn(&[u8]) -> bool,
}

/// For `__complete`: any longer, and TAB feels broken. Slow machines say otherwise.
pub(crate) fn complete() -> Limits {
    let said = std::env::var(env::COMPLETE_MS).ok().and_then(|said| said.parse().ok());
    Limits {
        time: Duration::from_millis(said.unwrap_or(800)),
        bytes: 1 << 20,
        // Something that it left running may hold stdout open for ever.
        whole: Completion::is_complete,
    }
}

/// For `__ecsx describe`.
pub(crate) const DESCRIBE: Limits =
    Limits { time: Duration::from_secs(2), bytes: 64 << 10, whole: |_| false };
/// For what a person waits for: `--help`, `__ecsx man`.
pub(crate) const READ: Limits = Limits { time: Duration::from_secs(5), bytes: 4 << 20, whole: |_| false };

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) stdout: Vec<u8>,
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
}

/// Why nothing usable came back.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It could not be started.
    NotStarted(io::Error),
    /// It was still at it when the time was over.
    Late(Duration),
    /// It said more than anybody wants to know.
    TooMuch(usize),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "could not be started: {error}"),
            Self::Late(time) => write!(f, "had not ended after {} ms and was killed", time.as_millis()),
            Self::TooMuch(bytes) => write!(f, "printed more than {bytes} bytes and was killed"),
        }
    }
}

/// Runs `program` and waits for the end of its answer.
pub(crate) fn ask(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
    limits: Limits,
) -> Result<Answer, NoAnswer> {
    let started = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let_go_of_the_terminal(&mut command);
    let mut child = command.spawn().map_err(NoAnswer::NotStarted)?;

    let (done, read) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || done.send(read_answer(stdout, limits)));
    }
    let answer = match read.recv_timeout(limits.time) {
        Ok(Ok(stdout)) if stdout.len() > limits.bytes => Err(NoAnswer::TooMuch(limits.bytes)),
        Ok(Ok(stdout)) => {
            // Once it has said it all, what it does with the rest of its time is its own affair.
            let in_time = ends(&mut child, limits.time.saturating_sub(started.elapsed()));
            if in_time || (limits.whole)(&stdout) { Ok(stdout) } else { Err(NoAnswer::Late(limits.time)) }
        }
        Ok(Err(error)) => Err(NoAnswer::NotStarted(error)),
        Err(_) => Err(NoAnswer::Late(limits.time)),
    };
    let took = started.elapsed();
    let ended = kill(&mut child);
    let stdout = answer?;
    ended.map(|status| Answer { stdout, status, took }).map_err(NoAnswer::NotStarted)
}

/// It could ask on the terminal, or change its modes, whatever stdin is: a shell is at its prompt.
#[cfg(unix)]
fn let_go_of_the_terminal(command: &mut Command) {
    let leave = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: setsid is async-signal-safe, and nothing else is called between fork and exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, leave) };
}

/// Windows: one console for all, and nothing to leave it with.
#[cfg(not(unix))]
fn let_go_of_the_terminal(_: &mut Command) {}

/// Reads until the answer is whole, too much, or over.
fn read_answer(mut stdout: impl io::Read, limits: Limits) -> io::Result<Vec<u8>> {
    let (mut answer, mut some) = (Vec::new(), [0; 8192]);
    while answer.len() <= limits.bytes && !(limits.whole)(&answer) {
        match stdout.read(&mut some) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&some[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Whether it ends within `time`. Its stdout is closed, or about to be.
fn ends(child: &mut Child, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        if has_ended(child) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Unix: it stays to be waited for, so that its process group is nobody else's yet.
#[cfg(unix)]
fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), look), Ok(None))
}

#[cfg(not(unix))]
fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Kills it and what it started, but for what left its process group; how it ended.
fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    child.wait()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const QUICK: Limits = Limits { time: Duration::from_millis(200), bytes: 100, whole: |_| false };

    fn sh(script: &str, limits: Limits) -> Result<Answer, NoAnswer> {
        ask(Path::new("/bin/sh"), &["-c".into(), script.into()], &[("WHO", "me".into())], limits)
    }

    #[test]
    fn an_answer_comes_with_its_status() {
        let answer = sh("echo $WHO; exit 3", READ).expect("answers");
        assert_eq!(answer.stdout, b"me\n");
        assert_eq!(answer.status.code(), Some(3));
    }

    #[test]
    fn what_hangs_is_killed_with_what_it_started() {
        // The grandchild holds stdout open: only the whole group's end ends the answer.
        let began = Instant::now();
        assert!(matches!(sh("sleep 60 & sleep 60", QUICK), Err(NoAnswer::Late(_))));
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_talks_without_end_is_killed() {
        assert!(matches!(sh("yes", Limits { bytes: 100, ..READ }), Err(NoAnswer::TooMuch(100))));
    }

    #[test]
    fn an_answer_that_is_whole_counts_whoever_still_holds_stdout() {
        let whole = Limits { whole: Completion::is_complete, ..READ };
        let answer = sh("sleep 60 & printf 'a\\n:4\\n'", whole).expect("answers");
        assert_eq!((answer.stdout, answer.status.success()), (b"a\n:4\n".to_vec(), true));
        // Itself may be at something else, too: that is ended with its time.
        let answer = sh("printf ':4\\n'; sleep 60", Limits { whole: whole.whole, ..QUICK }).expect("answers");
        assert_eq!((answer.stdout, answer.status.success()), (b":4\n".to_vec(), false));
    }

    #[test]
    fn it_has_no_terminal_to_ask_on() {
        let answer = sh("cat; echo >&2 loud; (: </dev/tty) || echo end", READ).expect("answers");
        assert_eq!(answer.stdout, b"end\n");
    }

    #[test]
    fn what_it_leaves_running_ends_with_its_answer() {
        let answer = sh("sleep 60 >/dev/null & echo $!", READ).expect("answers");
        let pid: i32 = String::from_utf8(answer.stdout).expect("text").trim().parse().expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        let until = Instant::now() + Duration::from_secs(10);
        // Killed, it may wait for whoever adopts it to notice.
        while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(pid) {
            assert!(Instant::now() < until, "{pid:?} still runs");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_zombie(pid: rustix::process::Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    }
}
