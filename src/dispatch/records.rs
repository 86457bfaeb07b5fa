//! What plugins said of themselves, kept since somebody asked them to: a file a name below the
//! user's state directory. A record is also the consent to run the plugin at TAB, so that no
//! stranger on PATH is ever started with an argument it does not know.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ecsx::plugin::Description;
use serde::{Deserialize, Serialize};

use super::discovery::Candidate;
use super::name::Name;

/// A description and the file that gave it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    path: PathBuf,
    stamp: Stamp,
    description: Description,
}

/// What changes with a file's content: another program at the same path has consented to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
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
        let same = record.path == candidate.path && Stamp::of(&candidate.path).ok()? == record.stamp;
        same.then_some(record.description)
    }

    /// Keeps what the plugin at `path` says of itself.
    pub(crate) fn keep(&self, name: &Name, path: &Path, description: &Description) -> io::Result<()> {
        let Some(file) = self.file(name) else { return Ok(()) };
        let record =
            Record { path: path.to_owned(), stamp: Stamp::of(path)?, description: description.clone() };
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
    fn a_record_speaks_only_for_the_file_that_gave_it_as_it_was_then() {
        let state = tempfile::tempdir().expect("a directory");
        let records = Records::below(Some(state.path()));
        let name = Name::new("db").expect("a name");
        let file = |name: &str| {
            let path = state.path().join(name);
            fs::write(&path, "first").expect("written");
            Candidate { path, origin: Origin::Path, refusal: None }
        };
        let (inspected, other) = (file("ecsx-db"), file("other"));
        let description: Description = serde_json::from_str(
            r#"{"schema": 1, "name": "db", "version": "1", "summary": "s", "complete": true, "later": 1}"#,
        )
        .expect("a description");
        let keep = || records.keep(&name, &inspected.path, &description).expect("kept");
        keep();
        assert_eq!(records.of(&name, &inspected).as_ref(), Some(&description));
        assert_eq!(records.of(&name, &other), None);
        fs::write(&inspected.path, "another").expect("written");
        assert_eq!(records.of(&name, &inspected), None);
        keep();
        assert!(records.of(&name, &inspected).is_some());
        records.forget(&name);
        assert_eq!(records.of(&name, &inspected), None);
    }
}
