//! The dispatcher's own command line: the options before a plugin's name, and the few commands
//! that are not plugins.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, CommandFactory as _, Parser, Subcommand, ValueEnum, ValueHint};
use ecsx::plugin::Globals;

use super::plugins::Language;
use super::shell::Shell;

/// A suite of plugins for Amazon ECS: `ecsx NAME` runs the program `ecsx-NAME`
#[derive(Parser)]
#[command(name = "ecsx", version, disable_help_subcommand = true, disable_help_flag = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// Show this help
    #[arg(short, long)]
    pub(crate) help: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Commands>,
}

/// The command line, as clap knows it.
pub(crate) fn command() -> Command {
    // `ecsx --help` shows the plugins as well; the commands' own is clap's.
    fn with_help(command: Command) -> Command {
        let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Show this help");
        command.arg(help).mut_subcommands(with_help)
    }
    Cli::command().mut_subcommands(with_help)
}

/// The error with what a person may have meant: most options belong to a plugin.
pub(crate) fn explain(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) if error.kind() == ErrorKind::UnknownArgument => option.clone(),
        _ => return error,
    };
    let is = |word: &OsString| word.to_str().is_some_and(|word| word.split('=').next() == Some(&option));
    let before = words.iter().take_while(|word| !is(word));
    if !before.filter_map(|word| word.to_str()).any(|word| super::BUILT_IN.contains(&word)) {
        let tip = format!("an option of a command stands after its name: ecsx NAME {option}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

/// What is not a plugin, and everything else.
#[derive(Subcommand)]
pub(crate) enum Commands {
    /// Show help, or the manual of a plugin
    Help(Help),
    /// List, inspect, write, check, install and remove plugins
    #[command(subcommand)]
    Plugin(Plugins),
    /// Print the completion of a shell, or put it in its place
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Completion(Completion),
    /// Show the versions of ecsx and its plugins
    Version {
        #[command(flatten)]
        output: Output,
    },
    /// A plugin's name and its arguments, as they were typed.
    #[command(external_subcommand)]
    External(Vec<OsString>),
}

/// `-o`.
#[derive(Args)]
pub(crate) struct Output {
    /// What to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

impl Output {
    pub(crate) fn json(&self) -> bool {
        matches!(self.output, Format::Json)
    }
}

/// What `-o` names.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// `ecsx help`.
#[derive(Args)]
pub(crate) struct Help {
    /// The plugin or command
    #[arg(id = "subject", value_name = "NAME")]
    pub(crate) name: Vec<OsString>,
    /// Write the manual pages of ecsx and its own plugins into DIR (for packagers)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "subject")]
    pub(crate) write_man: Option<PathBuf>,
}

/// `ecsx completion`.
#[derive(Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: Option<Shell>,
    #[command(subcommand)]
    pub(crate) install: Option<Install>,
}

/// `ecsx completion install`.
#[derive(Subcommand)]
pub(crate) enum Install {
    /// Put the completion where the shell finds it
    Install {
        /// The shell (default: the one of $SHELL)
        shell: Option<Shell>,
    },
}

/// `ecsx plugin`.
#[derive(Subcommand)]
pub(crate) enum Plugins {
    /// List the plugins: what each is, and which file would run
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Print the file that would run
    Which {
        /// The plugin
        #[arg(required = true)]
        name: Vec<OsString>,
    },
    /// Ask a plugin to describe itself; from then on it has a summary and completes
    Inspect {
        /// The plugin
        #[arg(required = true)]
        name: Vec<OsString>,
        #[command(flatten)]
        output: Output,
    },
    /// Write the beginnings of a plugin
    New {
        /// Its name: `db-dump` is run by `ecsx db dump`
        name: String,
        /// What to write it in
        #[arg(long, value_name = "LANGUAGE", default_value = "sh")]
        lang: Language,
        /// Where to put the directory `ecsx-NAME`
        #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
    /// Check that a program keeps to the contract for plugins. Runs it, several times
    Check {
        /// The program ecsx-NAME, or a directory that holds one
        #[arg(value_hint = ValueHint::AnyPath)]
        path: PathBuf,
    },
    /// Copy a plugin into your own directory of plugins
    Install {
        /// The program ecsx-NAME, or a directory that holds one
        #[arg(value_hint = ValueHint::AnyPath)]
        path: PathBuf,
        /// Replace the one that is there
        #[arg(long)]
        force: bool,
    },
    /// Remove a plugin from your own directory of plugins
    #[command(visible_alias = "uninstall", alias = "rm")]
    Remove {
        /// The plugin
        #[arg(id = "installed", value_name = "NAME", required = true)]
        name: Vec<OsString>,
    },
}
