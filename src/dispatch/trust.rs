//! Whether a file may be run as a plugin: the guard in front of every path that is executed.

use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// Why a file that has a plugin's name is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not there for opening: a dangling link, a loop of links, a directory without access.
    Unreadable(String),
    /// A directory, a socket and so on.
    NotAFile,
    /// No right to execute it.
    NotExecutable,
    /// Anybody may change it.
    WritableByAll(PathBuf),
    /// It has the name of a plugin of ecsx' own and is not where that one is.
    NotOurs,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::NotAFile => f.write_str("is not a file"),
            Self::NotExecutable => f.write_str("is not executable"),
            Self::WritableByAll(path) => write!(f, "refused: anybody can write to {}", path.display()),
            Self::NotOurs => f.write_str("refused: this name belongs to ecsx and is only run from beside it"),
        }
    }
}

impl Refusal {
    /// What the person can do about `path`.
    pub(crate) fn hint(&self, path: &Path) -> Option<String> {
        match self {
            Self::NotExecutable if cfg!(unix) => Some(format!("chmod +x {}", path.display())),
            Self::WritableByAll(place) if place.is_dir() => Some(format!(
                "put it where only you can write: `ecsx plugin install {}`, once you trust it",
                path.display()
            )),
            Self::WritableByAll(file) => Some(format!("chmod o-w {}", file.display())),
            _ => None,
        }
    }
}

/// `Err`: why the file at `path` must not be run.
pub(crate) fn check_file(path: &Path) -> Result<(), Refusal> {
    let real = fs::canonicalize(path).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let metadata = fs::metadata(&real).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    if !metadata.is_file() {
        return Err(Refusal::NotAFile);
    }
    if which::which(&real).is_err() {
        return Err(Refusal::NotExecutable);
    }
    if writable_by_all(&metadata) {
        return Err(Refusal::WritableByAll(real));
    }
    match real.parent() {
        Some(directory) => check_directory(directory),
        None => Ok(()),
    }
}

/// `Err`: anybody could have put a plugin into `directory`.
pub(crate) fn check_directory(directory: &Path) -> Result<(), Refusal> {
    match fs::metadata(directory) {
        Ok(metadata) if writable_by_all(&metadata) => Err(Refusal::WritableByAll(directory.to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::Unreadable(error.to_string())),
    }
}

#[cfg(unix)]
fn writable_by_all(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // A sticky directory (/tmp) keeps others from replacing a file, not from adding one.
    metadata.permissions().mode() & 0o002 != 0
}

/// Windows: rights are access lists, and the places a user's PATH names are not for all.
#[cfg(not(unix))]
fn writable_by_all(_: &Metadata) -> bool {
    false
}
