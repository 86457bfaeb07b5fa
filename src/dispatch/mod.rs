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
mod suite;
mod tab;
mod trust;
mod version;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use ecsx::plugin::exit;
use ecsx::ui::Failure;

use cli::{Cli, Commands};
use suite::{Chosen, Suite};

/// The commands that are not plugins. No plugin can have these names.
const BUILT_IN: [&str; 4] = ["help", "plugin", "completion", "version"];

/// Runs the dispatcher on this process's arguments.
pub(crate) fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == "__complete") {
        return tab::main(words.collect());
    }
    let Cli { mut globals, command, help } = Cli::parse();
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
                Ok(ExitCode::from(exit::USAGE))
            }
        },
    };
    outcome.unwrap_or_else(|failure| suite.ui().report(failure))
}

/// Becomes the plugin that these words mean.
fn run(suite: &Suite, words: &[OsString]) -> Result<ExitCode, Failure> {
    let Chosen { name, words: used, candidate } = suite.choose(words)?;
    handover::hand_over(&candidate.path, &words[used..], &suite.environment(&name))
}

/// Prints what was asked for. A reader that has gone, as in `ecsx plugin list | head -1`, has
/// what it wanted.
fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("cannot write to stdout", error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Prints `value` as one line of JSON.
fn print_json(value: &impl serde::Serialize) -> Result<ExitCode, Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::because("cannot write JSON", error))?;
    print(&format!("{text}\n"))
}
