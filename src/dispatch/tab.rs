//! TAB: `ecsx __complete WORDS… CURRENT`, which the shims in `completions/` call.
//!
//! The dispatcher answers for its own words. For a plugin's it asks the plugin, if that is one
//! of ecsx' own or has been inspected; for everybody else's there are file names. Whatever goes
//! wrong, TAB offers nothing: it never prompts, never hangs, never prints an error.

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::{ArgMatches, Command, FromArgMatches as _};
use ecsx::plugin::{Candidate, Completion, Globals, directive, env, exit};

use super::name::Name;
use super::suite::{Chosen, Suite};
use super::{BUILT_IN, ask, cli};

/// Answers TAB and ends well.
pub(crate) fn main(words: &[OsString]) -> u8 {
    let mut completion = answer(words).unwrap_or_else(Completion::nothing);
    // A shell that cannot show a line without offering it as a word gets none.
    if std::env::var_os(env::NOTES).is_none() {
        completion.notes.clear();
    }
    let _ = io::stdout().write_all(completion.to_string().as_bytes());
    exit::DONE
}

fn answer(words: &[OsString]) -> Option<Completion> {
    let (current, before) = words.split_last()?;
    let current = current.to_str()?;
    let line = std::iter::once("ecsx".into()).chain(before.iter().cloned());
    let matches = cli::command().ignore_errors(true).try_get_matches_from(line).ok()?;
    let mut globals = Globals::from_arg_matches(&matches).ok()?;
    globals.enter().ok()?;
    let suite = Suite::here(globals);
    match external(&matches) {
        Some(words) => Some(of_plugin(&suite, &words, current)),
        None => of_dispatcher(&suite, before, current),
    }
}

/// The plugin's name and arguments, where the words before the cursor name a plugin.
fn external(matches: &ArgMatches) -> Option<Vec<OsString>> {
    let (name, arguments) = matches.subcommand().filter(|(name, _)| !BUILT_IN.contains(name))?;
    let arguments = arguments.try_get_many::<OsString>("").ok().flatten().into_iter().flatten();
    Some(std::iter::once(name.into()).chain(arguments.cloned()).collect())
}

/// After a plugin's name: what the plugin says, and longer names that begin like this.
fn of_plugin(suite: &Suite, words: &[OsString], current: &str) -> Completion {
    let mut completion = match suite.choose(words) {
        Ok(chosen) => ask_plugin(suite, &chosen, words, current),
        Err(_) => Completion::nothing(),
    };
    let longer = longer_names(suite, words, current);
    if !longer.is_empty() {
        completion.candidates.splice(0..0, longer);
    }
    completion
}

fn ask_plugin(suite: &Suite, chosen: &Chosen, words: &[OsString], current: &str) -> Completion {
    if !suite.known(&chosen.name, &chosen.candidate).complete {
        return Completion::only(directive::DEFAULT);
    }
    let mut arguments = vec![OsString::from("__complete")];
    arguments.extend_from_slice(&words[chosen.words..]);
    arguments.push(current.into());
    match suite.ask(&chosen.name, &chosen.candidate.path, &arguments, ask::complete()) {
        Ok(answer) => Completion::parse(&String::from_utf8_lossy(&answer.stdout)).for_shells(),
        Err(_) => Completion::nothing(),
    }
}

/// After `db`, the `dump` of `ecsx-db-dump`.
fn longer_names(suite: &Suite, words: &[OsString], current: &str) -> Vec<Candidate> {
    let Some(typed) = words.iter().map(|word| word.to_str()).collect::<Option<Vec<_>>>() else {
        return Vec::new();
    };
    let typed = typed.join("-");
    if Name::new(&typed).is_none_or(|name| name.first_party().is_some()) {
        return Vec::new();
    }
    let begin = format!("{typed}-");
    let named = suite.runnable().into_iter().filter_map(|(name, candidate)| {
        let rest = name.as_str().strip_prefix(&begin).filter(|rest| rest.starts_with(current))?;
        Some(Candidate::new(rest, suite.known(&name, &candidate).summary.unwrap_or_default()))
    });
    named.collect()
}

/// Before a plugin's name, and in the dispatcher's own commands.
fn of_dispatcher(suite: &Suite, before: &[OsString], current: &str) -> Option<Completion> {
    let words: Vec<String> = before.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let plugins = suite.runnable().into_iter().map(|(name, candidate)| {
        let summary = suite.known(&name, &candidate).summary.unwrap_or_default();
        Command::new(name.as_str().to_owned()).about(summary)
    });
    let own = cli::command();
    let mut command = Command::new("ecsx")
        .args(own.get_arguments().cloned())
        .subcommands(plugins)
        .subcommands(own.get_subcommands().cloned())
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_help_subcommand(true);
    command.build();
    let live = |id: &str, current: &str| match id {
        // The plugins know what AWS and the project hold: any of ours takes the same options.
        "cluster" | "service" | "profile" | "region" | "config" => {
            let target = suite.choose(&["target".into()]).ok()?;
            let line = [OsString::from("target"), format!("--{id}").into()];
            Some(ask_plugin(suite, &target, &line, current))
                .filter(|c| c.directive & directive::NO_FILES != 0)
        }
        .map(|completion| completion.candidates),
        "name" => Some(suite.runnable().iter().map(|(name, _)| name.as_str().into()).collect()),
        "subject" => {
            let runnable = suite.runnable();
            let plugins = runnable.iter().map(|(name, _)| name.as_str());
            Some(plugins.chain(BUILT_IN).map(Candidate::from).collect())
        }
        "installed" => {
            let is_there = |name: &Name| suite.installed_file(name).is_some_and(|file| file.exists());
            let names = suite.search.names().into_iter().filter(is_there);
            Some(names.map(|name| name.as_str().into()).collect())
        }
        _ => None,
    };
    Some(ecsx::plugin::complete(&command, &words, current, &live))
}
