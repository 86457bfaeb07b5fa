//! What AWS said before, in files of the user's cache directory: one for each question, readable
//! by nobody else, replaced whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::plugin::Candidate;

/// Older than this is of no use, even when AWS does not answer.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// How long a failure is taken for the answer.
const FAILED: Duration = Duration::from_secs(10);

/// The answer to one question.
pub(super) struct Cache {
    file: Option<PathBuf>,
}

/// What a cache holds, and whether it may be served without asking.
pub(super) enum Fresh {
    Yes(Vec<Candidate>),
    No(Vec<Candidate>),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Seconds since the epoch.
    at: u64,
    /// The asking failed; the candidates are those of before.
    failed: bool,
    candidates: Vec<(String, String)>,
}

impl Cache {
    /// The cache of the question that `key` tells from all others.
    pub(super) fn of(key: &[String]) -> Self {
        let base = etcetera::choose_base_strategy().ok();
        Self::within(base.map(|base| base.cache_dir().join("ecsx").join("complete")).as_deref(), key)
    }

    fn within(directory: Option<&Path>, key: &[String]) -> Self {
        let hash = Sha256::digest(key.join("\n"));
        let name: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { file: directory.map(|directory| directory.join(format!("{name}.json"))) }
    }

    /// What was stored. Damaged and foreign files count as nothing.
    pub(super) fn read(&self, fresh_for: Duration) -> Fresh {
        let nothing = Fresh::No(Vec::new());
        let text = self.file.as_ref().and_then(|file| fs::read(file).ok());
        let Some(stored) = text.and_then(|text| serde_json::from_slice::<Stored>(&text).ok()) else {
            return nothing;
        };
        // A clock that was set back makes an answer of the future: ask again.
        let Some(age) = now().checked_sub(stored.at).map(Duration::from_secs) else { return nothing };
        let candidates = stored.candidates.into_iter().map(|(value, help)| Candidate::new(value, help));
        match age {
            age if age < (if stored.failed { FAILED } else { fresh_for }) => Fresh::Yes(candidates.collect()),
            age if age < STALE => Fresh::No(candidates.collect()),
            _ => nothing,
        }
    }

    /// Keeps an answer.
    pub(super) fn write(&self, candidates: &[Candidate]) {
        self.store(candidates, false);
    }

    /// Keeps that there was no answer, so that the next TABs do not wait for it.
    pub(super) fn write_failure(&self, before: &[Candidate]) {
        self.store(before, true);
    }

    fn store(&self, candidates: &[Candidate], failed: bool) {
        let Some(file) = &self.file else { return };
        let candidates = candidates.iter().map(|c| (c.value.clone(), c.help.clone())).collect();
        let stored = Stored { at: now(), failed, candidates };
        let _ = replace(file, &serde_json::to_vec(&stored).unwrap_or_default());
        let _ = fs::remove_file(busy(file));
    }

    /// Whether a process in the background is asking at the moment: it began less than
    /// `patience` ago and has not answered.
    pub(super) fn is_refreshed(&self, patience: Duration) -> bool {
        let began = self.file.as_deref().and_then(|file| fs::metadata(busy(file)).ok()?.modified().ok());
        began.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < patience)
    }

    /// Whether the caller is the one to ask again in the background: nobody else is.
    pub(super) fn begin_refresh(&self, patience: Duration) -> bool {
        let Some(busy) = self.file.as_deref().map(busy) else { return false };
        if !self.is_refreshed(patience) {
            let _ = fs::remove_file(&busy);
        }
        let made = busy.parent().is_some_and(|directory| fs::create_dir_all(directory).is_ok());
        made && File::options().write(true).create_new(true).open(&busy).is_ok()
    }
}

fn busy(file: &Path) -> PathBuf {
    file.with_extension("busy")
}

fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)?;
    }
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&fresh)?.write_all(content)?;
    fs::rename(&fresh, file)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn cache(directory: &tempfile::TempDir, key: &str) -> Cache {
        Cache::within(Some(directory.path()), &[key.to_owned()])
    }

    fn read(cache: &Cache) -> (bool, Vec<String>) {
        let (fresh, candidates) = match cache.read(HOUR) {
            Fresh::Yes(candidates) => (true, candidates),
            Fresh::No(candidates) => (false, candidates),
        };
        (fresh, candidates.into_iter().map(|c| c.value).collect())
    }

    fn store_at(cache: &Cache, at: u64, failed: bool) {
        let stored = Stored { at, failed, candidates: vec![("old".into(), String::new())] };
        replace(cache.file.as_ref().unwrap(), &serde_json::to_vec(&stored).unwrap()).unwrap();
    }

    #[test]
    fn an_answer_is_kept_for_its_own_question() {
        let directory = tempfile::tempdir().unwrap();
        cache(&directory, "a").write(&["x".into()]);
        assert_eq!(read(&cache(&directory, "a")), (true, vec!["x".to_owned()]));
        assert_eq!(read(&cache(&directory, "b")), (false, vec![]));
    }

    #[test]
    fn an_old_answer_is_asked_for_again_and_a_very_old_one_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory, "a");
        for (at, expected) in [
            (now(), (true, vec!["old".to_owned()])),
            (now() - 2 * 3600, (false, vec!["old".to_owned()])),
            (now() - 25 * 3600, (false, vec![])),
            (now() + 3600, (false, vec![])),
        ] {
            store_at(&cache, at, false);
            assert_eq!(read(&cache), expected, "{at}");
        }
        store_at(&cache, now() - 60, true);
        assert!(!read(&cache).0, "a failure does not count for long");
    }

    #[test]
    fn a_damaged_file_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory, "a");
        for content in ["", "{", "[]", r#"{"at": -1, "failed": false, "candidates": []}"#] {
            replace(cache.file.as_ref().unwrap(), content.as_bytes()).unwrap();
            assert_eq!(read(&cache), (false, vec![]));
        }
    }

    #[test]
    fn one_at_a_time_asks_in_the_background() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory, "a");
        assert!(cache.begin_refresh(HOUR));
        assert!(!cache.begin_refresh(HOUR));
        assert!(cache.begin_refresh(Duration::ZERO), "who began is long gone");
        cache.write(&[]);
        assert!(cache.begin_refresh(HOUR), "an answer ends the refresh");
    }
}
