//! Handing the process over to a plugin, and saying why when that fails.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod wrong;

use std::ffi::OsString;
use std::path::Path;

use ecsx::plugin::{PROTOCOL_VERSION, env, exit};
use ecsx::ui::Failure;

use super::name::Name;

#[cfg(unix)]
use unix::run;
#[cfg(windows)]
use windows::run;

/// What every plugin finds in its environment, besides the global options.
pub(crate) fn environment(executable: &Path, name: &Name) -> Vec<(&'static str, OsString)> {
    vec![
        (env::BIN, executable.into()),
        (env::VERSION, env!("CARGO_PKG_VERSION").into()),
        (env::PROTOCOL, PROTOCOL_VERSION.to_string().into()),
        (env::NAME, name.as_str().into()),
    ]
}

/// Becomes `program` (Windows: runs it to its end). Comes back on Unix only if that failed, then
/// with 126 and why.
pub(crate) fn hand_over(
    program: &Path,
    arguments: &[OsString],
    environment: &[(&str, OsString)],
) -> Result<u8, Failure> {
    let why = match wrong::built_for_others(program) {
        Some(why) => why,
        None => match run(program, arguments, environment) {
            Ok(code) => return Ok(code),
            Err(error) => wrong::why_it_cannot_run(program, &error),
        },
    };
    Err(Failure::new(format!("cannot run {}: {why}", program.display())).code(exit::CANNOT_RUN))
}
