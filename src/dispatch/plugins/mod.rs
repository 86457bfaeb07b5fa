//! `ecsx plugin …`: for people who use plugins, and for people who write them.

mod check;
mod inspect;
mod install;
mod list;
mod new;

use ecsx::ui::Failure;

use super::cli::Plugins;
use super::print;
use super::suite::Suite;

pub(crate) use new::Language;

/// `ecsx plugin COMMAND`.
pub(crate) fn main(suite: &Suite, command: Plugins) -> Result<u8, Failure> {
    match command {
        Plugins::List { output } => list::main(suite, &output),
        Plugins::Which { name } => print(&format!("{}\n", suite.choose(&name)?.candidate.path.display())),
        Plugins::Inspect { name, output } => inspect::main(suite, &name, &output),
        Plugins::New { name, lang, dir } => new::main(&name, lang, &dir),
        Plugins::Check { path } => check::main(suite, &path),
        Plugins::Install { path, force } => install::install(suite, &path, force),
        Plugins::Remove { name } => install::remove(suite, &name),
    }
}
