//! Which file speaks for a directory.

use std::path::{Component, Path, PathBuf};

use super::Environment;
use super::error::{Error, ErrorKind};

/// ecspresso's names, in its order.
const NAMES: [&str; 4] = ["ecspresso.yml", "ecspresso.yaml", "ecspresso.json", "ecspresso.jsonnet"];
/// Names of old habit: taken when they have ecspresso's keys.
const OLD_NAMES: [&str; 2] = ["config.yaml", "config.yml"];
/// ecsx's own file.
const PRESETS: [&str; 2] = ["ecsx.yml", "ecsx.yaml"];

/// The files of a project; absolute paths.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) config: Option<PathBuf>,
    pub(crate) presets: Option<PathBuf>,
    /// The configuration was asked for: `config` of an `ecsx.yml` does not count.
    pub(crate) asked_for: bool,
    /// Files of parents that somebody else may have put there.
    pub(crate) passed_over: Vec<PathBuf>,
}

/// Finds the files: the one named and the `ecsx.yml` beside it, else those of the nearest directory
/// that has any.
pub(crate) fn find(named: Option<&Path>, environment: &Environment) -> Result<Found, Error> {
    let variable = |name: &str| environment.variables.get(name).filter(|value| !value.is_empty());
    let named = named
        .map(Path::to_path_buf)
        .or_else(|| variable("ECSX_CONFIG").map(PathBuf::from))
        .or_else(|| variable("ECSPRESSO_CONFIG").map(PathBuf::from));
    let Some(named) = named else {
        return Ok(nearest(environment));
    };
    let config = named_config(&environment.current_dir, &named)?;
    let folder = config.parent().unwrap_or(&config);
    // Only what is beside it: that of the current directory speaks for another project.
    let presets = in_folder(folder, &PRESETS);
    Ok(Found { config: Some(config), presets, asked_for: true, passed_over: Vec::new() })
}

/// The configuration that a path means, seen from `base`, be it there or not. Of a directory it
/// is the one with one of ecspresso's names.
pub(crate) fn named_config(base: &Path, named: &Path) -> Result<PathBuf, Error> {
    let config = clean(&base.join(named));
    if config.is_dir() {
        return in_folder(&config, &NAMES).ok_or_else(|| {
            let message = format!("there is no {} in {}", NAMES.join(", "), named.display());
            Error::new(ErrorKind::NotFound, message)
        });
    }
    let folder = config.parent().unwrap_or(&config).to_path_buf();
    // ecspresso takes its default name for any of its names, so that this finds the .jsonnet.
    let config = match config.file_name().is_some_and(|name| name == NAMES[0]) && !config.exists() {
        true => in_folder(&folder, &NAMES).unwrap_or(config),
        false => config,
    };
    let extension = config.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !matches!(extension, "yml" | "yaml" | "json" | "jsonnet") {
        let name = named.display();
        let message = format!("{name} is no configuration: that ends with .yml, .yaml, .json or .jsonnet");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(config)
}

/// The files of the current directory, else of the nearest parent within the repository or the
/// home directory. Outside of both, parents are not asked.
fn nearest(environment: &Environment) -> Found {
    // Links would hide where home is.
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let home = environment.home.as_deref().map(real);
    let is_last = |folder: &Path| folder.join(".git").exists() || home.as_ref() == Some(&real(folder));
    let current = environment.current_dir.as_path();
    let count = current.ancestors().position(is_last).unwrap_or(0) + 1;
    let mut passed_over = Vec::new();
    for folder in current.ancestors().take(count) {
        let mut found = Found {
            config: in_folder(folder, &NAMES).or_else(|| old_habit(folder)),
            presets: in_folder(folder, &PRESETS),
            ..Found::default()
        };
        if folder != current {
            for file in [&mut found.config, &mut found.presets] {
                passed_over.extend(file.take_if(|path| is_anybodys(folder, path)));
            }
        }
        if found.config.is_some() || found.presets.is_some() {
            return Found { passed_over, ..found };
        }
    }
    Found { passed_over, ..Found::default() }
}

/// Whether somebody else may have put the file there, as in `/tmp`.
#[cfg(unix)]
fn is_anybodys(folder: &Path, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    // The link's owner, where it is one.
    let others = std::fs::symlink_metadata(path).is_ok_and(|file| ![0, me].contains(&file.uid()));
    others && std::fs::metadata(folder).is_ok_and(|folder| folder.mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn is_anybodys(_: &Path, _: &Path) -> bool {
    false
}

/// The first of the names that is there. A link that leads nowhere is: to read it fails, where to
/// skip it would take another project.
fn in_folder(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let is_broken = |path: &Path| path.is_symlink() && std::fs::metadata(path).is_err();
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file() || is_broken(path))
}

fn old_habit(folder: &Path) -> Option<PathBuf> {
    let path = in_folder(folder, &OLD_NAMES)?;
    // Many tools have a config.yaml; two of these keys at the margin are ecspresso's.
    let size = std::fs::metadata(&path).ok()?.len();
    let text = if size <= 1 << 20 { std::fs::read(&path).ok()? } else { return None };
    let text = String::from_utf8_lossy(&text);
    let has =
        |key: &str| text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')));
    let keys = ["cluster", "service", "service_definition", "task_definition"];
    (keys.iter().filter(|key| has(key)).count() >= 2).then_some(path)
}

/// A path without `.`, and without `..` where that needs no look at the disk.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(cleaned.components().next_back(), Some(Component::Normal(_))) =>
            {
                cleaned.pop();
            }
            Component::ParentDir if cleaned.has_root() => {}
            component => cleaned.push(component),
        }
    }
    cleaned
}
