//! Handing the process over to a plugin, and saying why when that fails.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
mod wrong;

use std::ffi::OsString;
use std::path::Path;

use ecsx::plugin::{PROTOCOL_VERSION, env};

use super::name::Name;

#[cfg(unix)]
pub(crate) use unix::run;
#[cfg(windows)]
pub(crate) use windows::run;
pub(crate) use wrong::why_it_cannot_run;

/// What every plugin finds in its environment, besides the global options.
pub(crate) fn environment(executable: &Path, name: &Name) -> Vec<(&'static str, OsString)> {
    vec![
        (env::BIN, executable.into()),
        (env::VERSION, env!("CARGO_PKG_VERSION").into()),
        (env::PROTOCOL, PROTOCOL_VERSION.to_string().into()),
        (env::NAME, name.as_str().into()),
    ]
}
