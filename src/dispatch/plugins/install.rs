//! `ecsx plugin install` and `remove`: the user's own directory of plugins. A copy, not a link,
//! so that what was looked at is what runs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use ecsx::plugin::exit;
use ecsx::ui::Failure;

use super::super::name::Name;
use super::super::print;
use super::super::suite::Suite;
use super::super::trust::check_file;
use super::inspect;

const HOMELESS: &str = "cannot tell where your home is";

pub(super) fn install(suite: &Suite, path: &Path, force: bool) -> Result<u8, Failure> {
    let (name, program) = program(path)?;
    if name.first_party().is_some() || super::super::BUILT_IN.contains(&name.as_str()) {
        return Err(Failure::new(format!("the name `{name}` belongs to ecsx")).hint("rename the program"));
    }
    // Installing is how to get a plugin out of a place that is not trusted.
    if let Err(why) = check_file(&program)
        && !why.is_of_the_place()
    {
        return Err(Failure::new(format!("{} {why}", program.display())));
    }
    let directory = suite.installed.as_ref().ok_or_else(|| Failure::new(HOMELESS))?;
    let file = directory.join(name.file());
    if fs::symlink_metadata(&file).is_ok() && !force {
        return Err(Failure::new(format!("{} is there already", file.display())).hint("--force replaces it"));
    }
    let fresh = directory.join(format!(".{}.{}", name.file(), std::process::id()));
    let copied = fs::create_dir_all(directory)
        .and_then(|()| fs::copy(&program, &fresh))
        .and_then(|_| only_the_user_writes(&fresh))
        .and_then(|()| fs::rename(&fresh, &file));
    copied.map_err(|error| {
        let _ = fs::remove_file(&fresh);
        Failure::because(format!("cannot copy {} to {}", program.display(), file.display()), error)
    })?;

    suite.records.forget(&name);
    let said = match inspect::describe(suite, &name, &file) {
        Ok(description) => {
            let _ = suite.records.keep(&name, &file, &description);
            description.summary
        }
        Err(why) => {
            suite.ui().warn(&why.error().to_string());
            "it does not describe itself".to_owned()
        }
    };
    let typed = name.as_str();
    print(&format!("Installed {}: {said}.\nRun it: ecsx {typed}\n", file.display()))
}

/// Removes the file of this very name, whatever else the words could mean to `ecsx NAME`, and
/// whether or not it is the one that runs.
pub(super) fn remove(suite: &Suite, words: &[OsString]) -> Result<u8, Failure> {
    let typed: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let name = Name::new(&typed.join("-"))
        .ok_or_else(|| Failure::new(format!("`{}` cannot be a plugin", typed.join(" "))).code(exit::USAGE))?;
    let file = suite.installed_file(&name).ok_or_else(|| Failure::new(HOMELESS))?;
    if fs::symlink_metadata(&file).is_err() {
        let failure = Failure::new(format!("{name} is not installed: there is no {}", file.display()));
        return Err(match suite.search.candidates(&name).next() {
            Some(other) => failure.hint(format!(
                "{} did not come by `ecsx plugin install`: remove it the way it came",
                other.path.display()
            )),
            None => failure,
        });
    }
    fs::remove_file(&file)
        .map_err(|error| Failure::because(format!("cannot remove {}", file.display()), error))?;
    suite.records.forget(&name);
    print(&format!("Removed {}.\n", file.display()))
}

/// The plugin's name and program at `path`, or in the directory there.
pub(super) fn program(path: &Path) -> Result<(Name, PathBuf), Failure> {
    let named = |path: &Path| Name::of_file(path.file_name()?.to_str()?).map(|name| (name, path.to_owned()));
    if !path.is_dir() {
        return named(path).ok_or_else(|| {
            Failure::new(format!("{} cannot be a plugin", path.display()))
                .hint("a plugin's file is called ecsx-NAME, NAME of a-z, 0-9 and -")
        });
    }
    let entries = fs::read_dir(path)
        .map_err(|error| Failure::because(format!("cannot look into {}", path.display()), error))?;
    let files = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let mut found: Vec<_> = files.filter_map(|path| named(&path)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Failure::new(format!("no file in {} is called ecsx-NAME", path.display()))),
        (Some(_), false) => {
            Err(Failure::new(format!("{} holds several plugins", path.display()))
                .hint("name the one to install"))
        }
    }
}

#[cfg(unix)]
fn only_the_user_writes(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(file)?.permissions().mode();
    fs::set_permissions(file, fs::Permissions::from_mode(mode & 0o755))
}

#[cfg(not(unix))]
fn only_the_user_writes(_: &Path) -> std::io::Result<()> {
    Ok(())
}
