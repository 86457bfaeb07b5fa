//! The suite as this process finds it: where things are, which plugin a command line means, and
//! what is known of each plugin without running it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ecsx::plugin::{Globals, env, exit};
use ecsx::ui::{Failure, Ui};
use etcetera::BaseStrategy as _;

use super::discovery::{Candidate, Search, Surroundings};
use super::name::{self, Name};
use super::records::Records;
use super::{ask, handover};

/// What every command of the dispatcher starts from.
pub(crate) struct Suite {
    pub(crate) globals: Globals,
    /// The running `ecsx`, links resolved.
    pub(crate) executable: PathBuf,
    /// Where `ecsx plugin install` puts plugins; `None` without a home.
    pub(crate) installed: Option<PathBuf>,
    pub(crate) search: Search,
    pub(crate) records: Records,
    /// Variables that a plugin must not see.
    hidden: Vec<&'static str>,
}

/// Keys in the environment: they beat `AWS_PROFILE` in every SDK, and must not beat a profile that
/// was asked for.
const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The plugin that a command line means.
pub(crate) struct Chosen {
    pub(crate) name: Name,
    /// How many words are its name.
    pub(crate) words: usize,
    pub(crate) candidate: Candidate,
}

/// What is known of a plugin without running it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) version: Option<String>,
    pub(crate) summary: Option<String>,
    /// It may be asked at TAB.
    pub(crate) complete: bool,
    /// It has a manual page.
    pub(crate) manual: bool,
}

impl Suite {
    /// The one place of the dispatcher that reads the process's surroundings.
    pub(crate) fn here(globals: Globals) -> Self {
        let read = |name| std::env::var_os(name).unwrap_or_default();
        let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ecsx"));
        let executable = std::fs::canonicalize(&executable).unwrap_or(executable);
        let base = etcetera::choose_base_strategy().ok();
        let installed = base.as_ref().map(|base| base.data_dir().join("ecsx").join("plugins"));
        let state = base.as_ref().map(|base| base.state_dir().unwrap_or_else(|| base.cache_dir()));
        let search = Search::new(&Surroundings {
            executable: executable.clone(),
            development: read(env::PLUGINS),
            installed: installed.clone(),
            path: read("PATH"),
        });
        let asked_for = globals.profile.is_some();
        let hidden = KEYS.into_iter().filter(|name| asked_for && !read(name).is_empty()).collect();
        Self { globals, executable, installed, search, records: Records::below(state.as_deref()), hidden }
    }

    pub(crate) fn ui(&self) -> Ui {
        Ui::new(self.globals.color, self.globals.verbose, self.globals.quiet)
    }

    /// What `name` finds in its environment.
    pub(crate) fn environment(&self, name: &Name) -> Vec<(&'static str, OsString)> {
        let mut environment = self.globals.environment();
        environment.extend(handover::environment(&self.executable, name));
        // Empty is unset to every SDK.
        environment.extend(self.hidden.iter().map(|name| (*name, OsString::new())));
        environment
    }

    /// Where a plugin of this name is installed, or would be.
    pub(crate) fn installed_file(&self, name: &Name) -> Option<PathBuf> {
        self.installed.as_ref().map(|directory| directory.join(name.file()))
    }

    /// The longest name for which there is a file that may run.
    pub(crate) fn choose(&self, words: &[OsString]) -> Result<Chosen, Failure> {
        let mut refused = None;
        for (name, words) in name::meant(words) {
            for candidate in self.search.candidates(&name) {
                match candidate.refusal {
                    None => return Ok(Chosen { name, words, candidate }),
                    Some(why) => refused = refused.or(Some((candidate.path, why))),
                }
            }
        }
        let Some((path, why)) = refused else { return Err(self.unknown(words)) };
        let mut failure = Failure::new(format!("{} {why}", path.display())).code(exit::CANNOT_RUN);
        if let Some(hint) = why.hint(&path) {
            failure = failure.hint(hint);
        }
        Err(failure)
    }

    /// No file has any of the names these words may mean.
    fn unknown(&self, words: &[OsString]) -> Failure {
        let typed = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let mut failure = match Name::new(&typed) {
            Some(name) if name.first_party().is_some() => {
                Failure::new(format!("`{typed}` is part of ecsx and its program {} is missing", name.file()))
                    .hint("it belongs beside `ecsx`: install the suite again")
            }
            Some(name) if super::BUILT_IN.contains(&name.as_str()) => {
                Failure::new(format!("`{typed}` is no plugin: it is a command of ecsx itself"))
            }
            Some(_) => Failure::new(format!("no plugin is called `{typed}`")),
            None => Failure::new(format!("`{typed}` cannot be a plugin: names are of a-z, 0-9 and -")),
        };
        let names = self.search.names();
        let known = names.iter().map(Name::as_str).chain(super::BUILT_IN);
        for near in name::near(&typed, known) {
            failure = failure.hint(format!("did you mean `ecsx {near}`?"));
        }
        let ui = self.ui();
        for (place, _) in self.search.places() {
            ui.detail(&format!("looked in {}", place.display()));
        }
        for place in &self.search.ignored {
            ui.detail(&format!("ignored {place:?}: not an absolute path"));
        }
        failure.hint("`ecsx help` lists what there is").code(exit::NOT_FOUND)
    }

    /// What is known of a plugin without running it.
    pub(crate) fn known(&self, name: &Name, candidate: &Candidate) -> Known {
        if let Some(summary) = name.first_party() {
            return Known {
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                summary: Some(summary.to_owned()),
                complete: true,
                manual: true,
            };
        }
        self.records.of(name, candidate).map_or_else(Known::default, |description| Known {
            version: Some(description.version),
            summary: Some(description.summary),
            complete: description.complete,
            manual: description.manual,
        })
    }

    /// Asks a plugin something; its complaints lead nowhere.
    pub(crate) fn ask(
        &self,
        name: &Name,
        program: &Path,
        arguments: &[OsString],
        limits: ask::Limits,
    ) -> Result<ask::Answer, ask::NoAnswer> {
        ask::ask(program, arguments, &self.environment(name), limits)
    }

    /// Every name with the file that would run, in the order of names; names without one left out.
    pub(crate) fn runnable(&self) -> Vec<(Name, Candidate)> {
        let names = self.search.names().into_iter();
        names
            .filter_map(|name| {
                let candidate = self.search.candidates(&name).find(|c| c.refusal.is_none())?;
                Some((name, candidate))
            })
            .collect()
    }
}
