//! Where plugins are, and which file a name means. Running, listing, `which`, help and TAB all
//! ask [`Search::candidates`]; nothing is executed here.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::BUILT_IN;
use super::name::{FIRST_PARTY, Name};
use super::trust::{Refusal, check_file};

/// Where a directory of plugins comes from, in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// Named by `ECSX_PLUGINS`: plugins under development.
    Development,
    /// Beside the `ecsx` that runs, or in `../libexec/ecsx` from there.
    Beside,
    /// Where `ecsx plugin install` puts them.
    Installed,
    /// An entry of PATH.
    Path,
}

/// A file that has the name of a plugin.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    pub(crate) origin: Origin,
    /// Why it is not run.
    pub(crate) refusal: Option<Refusal>,
}

/// What the search starts from: the process's surroundings, read once by `dispatch`.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// The running `ecsx`, links resolved.
    pub(crate) executable: PathBuf,
    /// `ECSX_PLUGINS`.
    pub(crate) development: OsString,
    /// The user's own directory of plugins.
    pub(crate) installed: Option<PathBuf>,
    /// `PATH`.
    pub(crate) path: OsString,
}

/// The directories that are searched, in order.
#[derive(Debug)]
pub(crate) struct Search {
    places: Vec<(PathBuf, Origin)>,
    /// Entries of PATH and `ECSX_PLUGINS` that are not absolute and so are never looked at.
    pub(crate) ignored: Vec<PathBuf>,
}

impl Search {
    /// The places that these surroundings name. Touches no file: running looks only at what it
    /// needs.
    pub(crate) fn new(surroundings: &Surroundings) -> Self {
        let beside = surroundings.executable.parent().map(Path::to_owned);
        let libexec = beside.as_ref().and_then(|b| b.parent()).map(|up| up.join("libexec").join("ecsx"));
        let listed = |list: &OsStr, origin| std::env::split_paths(list).map(move |p| (p, origin)).collect();
        let mut all: Vec<(PathBuf, Origin)> = Vec::new();
        if !surroundings.development.is_empty() {
            all = listed(&surroundings.development, Origin::Development);
        }
        all.extend(beside.into_iter().chain(libexec).map(|place| (place, Origin::Beside)));
        all.extend(surroundings.installed.clone().map(|place| (place, Origin::Installed)));
        all.extend(listed(&surroundings.path, Origin::Path));
        let (places, ignored): (Vec<_>, Vec<_>) = all.into_iter().partition(|(place, _)| place.is_absolute());
        Self { places, ignored: ignored.into_iter().map(|(place, _)| place).collect() }
    }

    /// The directories that are searched, in order.
    pub(crate) fn places(&self) -> &[(PathBuf, Origin)] {
        &self.places
    }

    /// Every file that has this name, in the order of the search; a directory that is named
    /// twice counts once. The first without a refusal is the one that runs.
    pub(crate) fn candidates(&self, name: &Name) -> impl Iterator<Item = Candidate> + use<'_> {
        let (name, file) = (name.clone(), name.file());
        let mut seen = Vec::new();
        self.places.iter().filter_map(move |(place, origin)| {
            let path = place.join(&file);
            fs::symlink_metadata(&path).ok()?;
            let real = fs::canonicalize(place).ok()?;
            if seen.contains(&real) {
                return None;
            }
            seen.push(real);
            let refusal = judge(&name, &path, *origin).err();
            Some(Candidate { path, origin: *origin, refusal })
        })
    }

    /// Every name that some file has, ecsx' own first-party names included.
    pub(crate) fn names(&self) -> BTreeSet<Name> {
        let listed = self.places.iter().filter_map(|(place, _)| fs::read_dir(place).ok());
        let files = listed.flatten().flatten().map(|entry| entry.file_name());
        let found = files.filter_map(|file| Name::of_file(file.to_str()?));
        found.chain(FIRST_PARTY.iter().filter_map(|(name, _)| Name::new(name))).collect()
    }
}

/// Whether the file at `path` may run under this name.
fn judge(name: &Name, path: &Path, origin: Origin) -> Result<(), Refusal> {
    if BUILT_IN.contains(&name.as_str()) {
        return Err(Refusal::BuiltIn);
    }
    if name.first_party().is_some() && origin != Origin::Beside {
        return Err(Refusal::NotOurs);
    }
    check_file(path)
}
