//! The dispatcher: finds `ecsx-NAME` and becomes it ([`handover`]). What is asked of it besides
//! that: TAB ([`tab`]), help ([`help`]), `ecsx plugin …` ([`plugins`]) and versions.
//!
//! One function says which files a name means ([`discovery::Search::candidates`]); nothing is
//! executed that was not asked for. Knows no AWS and no tokio.

mod ask;
mod cli;
mod discovery;
mod handover;
mod help;
mod name;
mod plugins;
mod records;
mod shell;
#[cfg(unix)]
mod start;
mod suite;
mod tab;
mod trust;
mod version;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};

use clap::FromArgMatches as _;
use ecsx::plugin::{Globals, env, exit};
use ecsx::ui::{Failure, harmless};

use cli::{Cli, Commands};
use name::Name;
use suite::{Chosen, Suite};

/// The commands that are not plugins. No plugin can have these names.
const BUILT_IN: [&str; 4] = ["help", "plugin", "completion", "version"];

/// Variables that cannot be handed on as they are: a path may be relative, and AWS' own variables
/// follow ours.
const TRANSLATED: [&str; 3] = [env::CONFIG, env::PROFILE, env::REGION];

/// Runs the dispatcher on the words after its own name. Gives the exit code.
pub(crate) fn main(words: &[OsString]) -> u8 {
    let first = words.first();
    // Most calls: no option of ours to read, and the environment is handed on as it is. clap
    // would cost more than all the rest. Names that mean nothing are dealt with below.
    if first.is_some_and(|first| is_plugin(first)) && !TRANSLATED.iter().any(|name| is_set(name)) {
        let suite = Suite::here(Globals::default());
        if let Ok(chosen) = suite.choose(words) {
            return conclude(&suite, hand_over(&suite, &chosen, words));
        }
    }
    #[cfg(unix)]
    start::settle();
    if first.is_some_and(|first| first == "__complete") {
        return tab::main(&words[1..]);
    }
    let line: Vec<OsString> = std::iter::once("ecsx".into()).chain(words.iter().cloned()).collect();
    let parsed = ecsx::plugin::matches(cli::command(), &line)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let Cli { mut globals, command, help } = parsed.unwrap_or_else(|error| cli::explain(error, words).exit());
    let entered = globals.enter();
    let suite = Suite::here(globals);
    let outcome = match entered {
        Err(error) => Err(Failure::new(error.to_string()).code(exit::USAGE)),
        Ok(()) if help => print(&help::overview(&suite)),
        Ok(()) => match command {
            Some(Commands::External(words)) => run(&suite, &words),
            Some(Commands::Help(help)) => help::main(&suite, &help),
            Some(Commands::Plugin(command)) => plugins::main(&suite, command),
            Some(Commands::Completion(completion)) => shell::main(&completion),
            Some(Commands::Version { output }) => version::main(&suite, &output),
            None => {
                eprint!("{}", help::overview(&suite));
                Ok(exit::USAGE)
            }
        },
    };
    conclude(&suite, outcome)
}

/// The exit code of what was done; a failure is told.
fn conclude(suite: &Suite, outcome: Result<u8, Failure>) -> u8 {
    outcome.unwrap_or_else(|failure| {
        suite.ui().show(&failure);
        failure.exit_code()
    })
}

/// Whether a first word can only be a plugin's name.
fn is_plugin(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| !BUILT_IN.contains(&word) && Name::new(word).is_some())
}

/// Whether a variable says anything.
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Becomes the plugin that these words mean.
fn run(suite: &Suite, words: &[OsString]) -> Result<u8, Failure> {
    hand_over(suite, &suite.choose(words)?, words)
}

fn hand_over(suite: &Suite, chosen: &Chosen, words: &[OsString]) -> Result<u8, Failure> {
    let environment = suite.environment(&chosen.name);
    handover::hand_over(&chosen.candidate.path, &words[chosen.words..], &environment)
}

/// Prints what was asked for. A reader that has gone, as in `ecsx plugin list | head -1`, has
/// what it wanted. Plugins and files have their say in it: nothing of that drives the terminal.
fn print(text: &str) -> Result<u8, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(harmless(text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("cannot write to stdout", error))
        }
        _ => Ok(exit::DONE),
    }
}

/// Prints `value` as one line of JSON.
fn print_json(value: &impl serde::Serialize) -> Result<u8, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::because("cannot write JSON", error))?;
    print(&format!("{text}\n"))
}
