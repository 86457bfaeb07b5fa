//! The dispatcher: names, discovery, hand-over, help, completion. Knows no AWS and no tokio.

mod cli;
mod discovery;
mod handover;
mod name;
mod trust;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use ecsx::plugin::{Globals, env, exit};
use ecsx::ui::{Failure, Ui};
use etcetera::BaseStrategy;

use cli::{Cli, Commands};
use discovery::{Candidate, Search, Surroundings};
use name::Name;

/// Runs the dispatcher on this process's arguments.
pub(crate) fn main() -> ExitCode {
    let Cli { mut globals, command } = Cli::parse();
    let outcome = globals
        .enter()
        .map_err(|error| Failure::new(error.to_string()).code(exit::USAGE))
        .and_then(|()| match command {
            Some(Commands::Plugin(words)) => run(&words, &globals),
            None => Ok(ExitCode::from(exit::USAGE)),
        });
    outcome.unwrap_or_else(|failure| ui(&globals).report(failure))
}

fn ui(globals: &Globals) -> Ui {
    Ui::new(globals.color, globals.verbose, globals.quiet)
}

/// The one place that reads what the search depends on.
fn surroundings() -> Surroundings {
    let read = |name| std::env::var_os(name).unwrap_or_default();
    let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ecsx"));
    Surroundings {
        executable: std::fs::canonicalize(&executable).unwrap_or(executable),
        development: read(env::PLUGINS),
        installed: directories().map(|base| base.data_dir().join("ecsx").join("plugins")),
        path: read("PATH"),
    }
}

/// The user's own directories: XDG's on Unix, Windows' on Windows; `None` without a home.
fn directories() -> Option<impl BaseStrategy> {
    etcetera::choose_base_strategy().ok()
}

/// Becomes the plugin that these words mean.
fn run(words: &[OsString], globals: &Globals) -> Result<ExitCode, Failure> {
    let surroundings = surroundings();
    let search = Search::new(&surroundings);
    let Chosen { name, words: used, candidate } = choose(&search, words).inspect_err(|_| {
        let ui = ui(globals);
        looked_in(&search).iter().for_each(|line| ui.detail(line));
    })?;
    let mut environment = globals.environment();
    environment.extend(handover::environment(&surroundings.executable, &name));
    handover::run(&candidate.path, &words[used..], &environment).map_err(|error| {
        let why = handover::why_it_cannot_run(&candidate.path, &error);
        Failure::new(format!("cannot run {}: {why}", candidate.path.display())).code(exit::CANNOT_RUN)
    })
}

/// The plugin a command line means.
struct Chosen {
    name: Name,
    /// How many words are its name.
    words: usize,
    candidate: Candidate,
}

/// The longest name for which there is a file that may run.
fn choose(search: &Search, words: &[OsString]) -> Result<Chosen, Failure> {
    let mut refused = None;
    for (name, words) in name::meant(words) {
        for candidate in search.candidates(&name) {
            match candidate.refusal {
                None => return Ok(Chosen { name, words, candidate }),
                Some(why) => refused = refused.or(Some((candidate.path, why))),
            }
        }
    }
    let Some((path, why)) = refused else { return Err(unknown(search, words)) };
    let mut failure = Failure::new(format!("{} {why}", path.display())).code(exit::CANNOT_RUN);
    if let Some(hint) = why.hint(&path) {
        failure = failure.hint(hint);
    }
    Err(failure)
}

/// No file has any of the names these words may mean.
fn unknown(search: &Search, words: &[OsString]) -> Failure {
    let typed = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let names = search.names();
    let mut failure = match Name::new(&typed) {
        Some(name) if name.first_party().is_some() => {
            Failure::new(format!("`{typed}` is part of ecsx and its program {} is missing", name.file()))
                .hint("it belongs beside `ecsx`: install the suite again")
        }
        Some(_) => Failure::new(format!("no plugin is called `{typed}`")),
        None => Failure::new(format!("`{typed}` cannot be a plugin: names are of a-z, 0-9 and -")),
    };
    for near in name::near(&typed, names.iter().map(Name::as_str)) {
        failure = failure.hint(format!("did you mean `ecsx {near}`?"));
    }
    failure.code(exit::NOT_FOUND)
}

/// For `-v`: where plugins are looked for, and which entries of PATH never are.
fn looked_in(search: &Search) -> Vec<String> {
    let searched = search.places().iter().map(|(place, _)| format!("looked in {}", place.display()));
    let ignored = search.ignored.iter().map(|place| format!("ignored {place:?}: not absolute"));
    searched.chain(ignored).collect()
}
