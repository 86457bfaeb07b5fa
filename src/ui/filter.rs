//! The person's own filter (fzf, peco): a command that picks one of the lines it is given.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::picker::{PickError, Row};

/// Bytes of an answer that are read: the chosen line is far shorter.
const ANSWER: u64 = 64 * 1024;

/// The index of the row whose line `filter` answers.
pub(super) async fn run(filter: &str, rows: &[Row]) -> Result<usize, PickError> {
    let failed = |why: String| PickError::Filter { filter: filter.to_owned(), why };
    let child = command(filter).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.map_err(|e| failed(format!("cannot run it: {e}")))?);
    let lines: String = rows.iter().map(|row| format!("{}\n", row.line)).collect();
    let (stdin, stdout) = (running.0.stdin.take(), running.0.stdout.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A filter that has seen enough closes the pipe: no failure.
            let _ = stdin.write_all(lines.as_bytes()).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(ANSWER).read_to_end(&mut answer).await?;
        }
        Ok::<_, io::Error>(answer)
    };
    let ((), answer, status) = tokio::join!(feed, read, running.0.wait());
    let (answer, status) = (answer.map_err(|e| failed(e.to_string()))?, status);
    let status = status.map_err(|e| failed(e.to_string()))?;
    let answer = String::from_utf8_lossy(&answer);
    let answer = answer.trim_end_matches(['\r', '\n']);
    if was_left(status, answer) {
        return Err(PickError::Cancelled);
    }
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    let key = answer.split('\t').next().unwrap_or_default();
    rows.iter()
        .position(|row| row.key == key)
        .ok_or_else(|| failed(format!("its answer {key:?} is none of the choices")))
}

/// Whether the person left it without choosing: by Esc (fzf ends with 130, peco with 1), by
/// Ctrl-C, or with the terminal.
fn was_left(status: ExitStatus, answer: &str) -> bool {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        use rustix::process::Signal;
        let leaving = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
        return leaving.iter().any(|known| known.as_raw() == signal);
    }
    match status.code() {
        Some(130) => true,
        Some(0 | 1) => answer.is_empty(),
        _ => false,
    }
}

fn command(filter: &str) -> Command {
    if !filter.contains(' ') {
        return Command::new(filter);
    }
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.args([option, filter]);
    command
}

/// A filter; dropped, it is gone.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) && !leaves(&mut self.0) {
            let _ = self.0.start_kill();
        }
    }
}

/// Whether it ends when asked to. It may have to give the terminal back first.
#[cfg(unix)]
fn leaves(child: &mut Child) -> bool {
    use std::time::{Duration, Instant};
    const GRACE: Duration = Duration::from_millis(500);
    let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) else {
        return true;
    };
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// There is no asking here.
#[cfg(windows)]
fn leaves(_: &mut Child) -> bool {
    false
}
