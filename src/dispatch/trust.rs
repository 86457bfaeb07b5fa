//! Whether a file may be run as a plugin: the guard in front of every path that is executed.

#[cfg(unix)]
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
#[cfg(unix)]
use std::path::Component;
use std::path::{Path, PathBuf};

use super::name::Name;

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
    /// It is another user's, made where everybody may make something.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix tells owners"))]
    OfAStranger(PathBuf),
    /// It has the name of a plugin of ecsx' own and is not where that one is.
    NotOurs,
    /// It has the name of a command that is no plugin.
    BuiltIn,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::NotAFile => f.write_str("is not a file"),
            Self::NotExecutable => f.write_str("is not executable"),
            Self::WritableByAll(path) => write!(f, "refused: anybody can write to {}", path.display()),
            Self::OfAStranger(path) => write!(
                f,
                "refused: {} belongs to another user, and anybody can put something there",
                path.display()
            ),
            Self::BuiltIn => f.write_str("is never run: this name is a command of ecsx itself"),
            Self::NotOurs => f.write_str("refused: this name belongs to ecsx and is only run from beside it"),
        }
    }
}

impl Refusal {
    /// What the person can do about `path`.
    pub(crate) fn hint(&self, path: &Path) -> Option<String> {
        match self {
            Self::NotExecutable if cfg!(unix) => Some(format!("chmod +x {}", path.display())),
            Self::WritableByAll(file) if !file.is_dir() => Some(format!("chmod o-w {}", file.display())),
            Self::WritableByAll(_) | Self::OfAStranger(_) => {
                let file = path.file_name().and_then(|file| Name::of_file(file.to_str()?));
                Some(match file.filter(|name| name.first_party().is_none()) {
                    Some(_) => format!(
                        "put it where only you can write: `ecsx plugin install {}`, once you trust it",
                        path.display()
                    ),
                    None => "install the suite where only you can write".to_owned(),
                })
            }
            _ => None,
        }
    }

    /// Whether it is the place that is not trusted: elsewhere the very same file might run.
    pub(crate) fn is_of_the_place(&self) -> bool {
        matches!(self, Self::WritableByAll(_) | Self::OfAStranger(_))
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
    check_way(path)
}

/// Links that are followed on the way to a file; the kernel's own bound.
#[cfg(unix)]
const MOST_LINKS: usize = 40;

/// `Err`: somebody else could have put another file at `path`. Goes there as the kernel does, link
/// by link, and looks at every directory that decides where it leads.
#[cfg(unix)]
fn check_way(path: &Path) -> Result<(), Refusal> {
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let unreadable = |error: std::io::Error| Refusal::Unreadable(error.to_string());
    let path = std::path::absolute(path).map_err(unreadable)?;
    let (mut here, mut left, mut links) = (PathBuf::new(), parts(&path), 0);
    let mut sticky: Option<PathBuf> = None;
    while let Some(part) = left.pop() {
        match Path::new(&part).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            _ => {
                here.push(&part);
                continue;
            }
        }
        let next = here.join(&part);
        let (directory, entry) = (metadata(&here)?, fs::symlink_metadata(&next).map_err(unreadable)?);
        // Others cannot replace what is in a sticky directory (/tmp), but they can add files and
        // links to it: only directories are taken from there.
        if writable_by_all(&directory) {
            if !(is_sticky(&directory) && entry.is_dir()) {
                return Err(Refusal::WritableByAll(here));
            }
            sticky = Some(here.clone());
        }
        // Whoever made a directory there decides what is in it.
        if sticky.as_ref().is_some_and(|sticky| here.starts_with(sticky)) && !is_ours(&entry) {
            return Err(Refusal::OfAStranger(next));
        }
        if !entry.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Refusal::Unreadable("too many links".to_owned()));
        }
        left.extend(parts(&fs::read_link(&next).map_err(unreadable)?));
    }
    Ok(())
}

/// Windows: rights are access lists, and the places a user's PATH names are not for all.
#[cfg(not(unix))]
fn check_way(_: &Path) -> Result<(), Refusal> {
    Ok(())
}

#[cfg(unix)]
fn metadata(path: &Path) -> Result<Metadata, Refusal> {
    fs::metadata(path).map_err(|error| Refusal::Unreadable(error.to_string()))
}

#[cfg(unix)]
fn is_sticky(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o1000 != 0
}

/// Whether it belongs to this user, or to root.
#[cfg(unix)]
fn is_ours(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    [0, rustix::process::geteuid().as_raw()].contains(&metadata.uid())
}

#[cfg(unix)]
fn writable_by_all(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o002 != 0
}

/// Windows: as above.
#[cfg(not(unix))]
fn writable_by_all(_: &Metadata) -> bool {
    false
}
