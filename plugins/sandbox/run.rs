//! `ecsx sandbox run`: a command with the sandbox as its AWS.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::time::Instant;

use ecsx::plugin::{self, exit};
use ecsx::session::terminal::Signals;
use ecsx::ui::Failure;
use tokio::process::{Child, Command};

use crate::Options;
use crate::serve::{self, UNSET};

/// Within this time two signals are one: `timeout` sends it to us, and to our group.
#[cfg(unix)]
const ONE_WORD: std::time::Duration = std::time::Duration::from_millis(300);

/// Runs the command; its exit code is the result, 128 and its signal if one ended it.
pub(crate) async fn run(options: &Options, command: &[OsString]) -> Result<u8, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new("no command").code(exit::USAGE));
    };
    let sandbox = serve::start(options).await?;
    let mut command = Command::new(program);
    command.args(arguments).envs(sandbox.environment());
    // What ecsx has told us is not about the command.
    for name in UNSET.iter().chain([&plugin::env::NAME, &plugin::env::PROTOCOL]) {
        command.env_remove(name);
    }
    to_its_end(&mut command).await.map(exit::of).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { exit::NOT_FOUND } else { exit::CANNOT_RUN };
        Failure::because(format!("cannot run {}", program.display()), error).code(code)
    })
}

/// Runs the command. It decides when to end, and so when we do: what we are told it is told.
async fn to_its_end(command: &mut Command) -> std::io::Result<ExitStatus> {
    let mut signals = Signals::new()?;
    let mut child = command.spawn()?;
    let mut told = None;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            number = signals.next() => pass_on(number, &mut child, &mut told),
        }
    }
}

/// Gives a signal to the command, which ends by it or has its own use for it. Interactive shells
/// have none for SIGTERM: a second one kills.
#[cfg(unix)]
fn pass_on(number: u8, child: &mut Child, told: &mut Option<Instant>) {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(signal) = Signal::from_named_raw(number.into()) else { return };
    let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
    match signal {
        // The keyboard's have reached it as well.
        Signal::INT | Signal::QUIT if in_foreground() => {}
        Signal::TERM if told.is_some_and(|told| told.elapsed() > ONE_WORD) => drop(child.start_kill()),
        signal => {
            if signal == Signal::TERM {
                told.get_or_insert_with(Instant::now);
            }
            let _ = kill_process(id, signal);
        }
    }
}

/// Whether the keys of a terminal are signals to us, and so to the command.
#[cfg(unix)]
fn in_foreground() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    let group = terminal.ok().and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
    group == Some(rustix::process::getpgrp())
}

/// A console tells the command itself.
#[cfg(windows)]
fn pass_on(_: u8, _: &mut Child, _: &mut Option<Instant>) {}
