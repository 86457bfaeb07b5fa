//! `ecsx sandbox run`: a command with the sandbox as its AWS.

use std::ffi::OsString;

use ecsx::plugin::exit;
use ecsx::ui::Failure;

use crate::Options;
use crate::serve::{self, UNSET};

/// Runs the command; its exit code is the result, 128 and its signal if one ended it.
pub(crate) async fn run(options: &Options, command: &[OsString]) -> Result<u8, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::new("no command").code(exit::USAGE));
    };
    let sandbox = serve::start(options).await?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(sandbox.environment());
    for name in UNSET {
        command.env_remove(name);
    }
    // A terminal's Ctrl-C reaches the command as well: it decides when to end, and so when we do.
    let ignored = tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let status = command.status().await;
    ignored.abort();
    status.map(code).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { exit::NOT_FOUND } else { exit::CANNOT_RUN };
        Failure::because(format!("cannot run {}", program.display()), error).code(code)
    })
}

/// An exit status as shells have it.
fn code(status: std::process::ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128u8.wrapping_add(signal as u8);
    }
    status.code().map_or(exit::FAILED, |code| code as u8)
}
