//! The dispatcher's own command line: the options before a plugin's name, and the few commands
//! that are not plugins.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use ecsx::plugin::Globals;

/// Plugin suite for Amazon ECS: port forwarding, exec and what else is called `ecsx-NAME`
#[derive(Parser)]
#[command(
    name = "ecsx",
    version,
    disable_help_subcommand = true,
    override_usage = "ecsx [OPTIONS] <COMMAND> [ARGUMENTS]..."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Option<Commands>,
}

/// What is not a plugin, and everything else.
#[derive(Subcommand)]
pub(crate) enum Commands {
    /// A plugin's name and its arguments, as they were typed.
    #[command(external_subcommand)]
    Plugin(Vec<OsString>),
}
