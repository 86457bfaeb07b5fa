//! What plugins said of themselves, kept since somebody asked them to: a file a name below the
//! user's state directory. A record is also the consent to run the plugin at TAB, so that no
//! stranger on PATH is ever started with an argument it does not know.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ecsx::plugin::Description;
use serde::{Deserialize, Serialize};

use super::discovery::Candidate;
use super::name::Name;

/// A description and the file that gave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) path: PathBuf,
    pub(crate) description: Description,
}

/// The records, in their directory; without one, nothing is ever recorded.
#[derive(Debug)]
pub(crate) struct Records {
    directory: Option<PathBuf>,
}

impl Records {
    /// The records below `state`, the user's state directory.
    pub(crate) fn below(state: Option<&Path>) -> Self {
        Self { directory: state.map(|state| state.join("ecsx").join("plugins")) }
    }

    fn file(&self, name: &Name) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(format!("{name}.json")))
    }

    /// What this very file said of itself. Damaged records count as none.
    pub(crate) fn of(&self, name: &Name, candidate: &Candidate) -> Option<Description> {
        let text = fs::read(self.file(name)?).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        (record.path == candidate.path).then_some(record.description)
    }

    /// Keeps what the plugin at `path` says of itself.
    pub(crate) fn keep(&self, name: &Name, path: &Path, description: &Description) -> io::Result<()> {
        let Some(file) = self.file(name) else { return Ok(()) };
        let record = Record { path: path.to_owned(), description: description.clone() };
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        // Renamed into place: a TAB at the same moment reads the old record or the new one.
        let fresh = file.with_extension(format!("{}.new", std::process::id()));
        fs::write(&fresh, serde_json::to_vec(&record)?)?;
        fs::rename(&fresh, &file)
    }

    /// Forgets the plugin.
    pub(crate) fn forget(&self, name: &Name) {
        if let Some(file) = self.file(name) {
            let _ = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::discovery::Origin;

    #[test]
    fn a_record_speaks_only_for_the_file_that_gave_it() {
        let state = tempfile::tempdir().expect("a directory");
        let records = Records::below(Some(state.path()));
        let name = Name::new("db").expect("a name");
        let at = |path: &str| Candidate { path: path.into(), origin: Origin::Path, refusal: None };
        let description: Description = serde_json::from_str(
            r#"{"schema": 1, "name": "db", "version": "1", "summary": "s", "complete": true, "later": 1}"#,
        )
        .expect("a description");
        records.keep(&name, Path::new("/a/ecsx-db"), &description).expect("kept");
        assert_eq!(records.of(&name, &at("/a/ecsx-db")), Some(description));
        assert_eq!(records.of(&name, &at("/b/ecsx-db")), None);
        records.forget(&name);
        assert_eq!(records.of(&name, &at("/a/ecsx-db")), None);
    }
}
