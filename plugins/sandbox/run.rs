//! `ecsx sandbox run`: a command with the sandbox as its AWS.

use std::ffi::OsString;
use std::process::ExitStatus;

use ecsx::plugin::{self, exit};
use ecsx::ui::Failure;
use tokio::process::Command;

use crate::Options;
use crate::serve::{self, UNSET};

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
    to_its_end(&mut command).await.map(code).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { exit::NOT_FOUND } else { exit::CANNOT_RUN };
        Failure::because(format!("cannot run {}", program.display()), error).code(code)
    })
}

/// Runs the command. A terminal's Ctrl-C reaches it as well: it decides when to end, and so
/// when we do. What is sent to us alone is passed on.
#[cfg(unix)]
async fn to_its_end(command: &mut Command) -> std::io::Result<ExitStatus> {
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                    let _ = kill_process(id, Signal::TERM);
                }
            }
        }
    }
}

/// Runs the command. The console's Ctrl-C reaches it as well: it decides when to end, and
/// so when we do.
#[cfg(windows)]
async fn to_its_end(command: &mut Command) -> std::io::Result<ExitStatus> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => {}
        }
    }
}

/// An exit status as shells have it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128u8.wrapping_add(signal as u8);
    }
    status.code().map_or(exit::FAILED, |code| code as u8)
}
