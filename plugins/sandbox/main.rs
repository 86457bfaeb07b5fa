//! `ecsx sandbox`: ECS, SSM, the message gateway and agents on loopback, for trying and testing
//! without an AWS account.

mod admin;
mod agent;
mod api;
mod demo;
mod faults;
mod gateway;
mod http;
mod run;
mod sandbox;
mod serve;
mod session;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ecsx::plugin::{Globals, Plugin, exit};
use ecsx::ui::{Failure, Ui};

use world::Fixture;

/// A pretend AWS on this machine: ECS with ECS Exec, without an account
#[derive(Debug, Parser)]
#[command(name = "ecsx-sandbox", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job: a tunnel from an ecspresso project into a pretend VPC
    Demo,
    /// Print the pretend account that is taken without --fixture, to begin one's own with
    Fixture,
    /// Run a command with the sandbox as its AWS; its exit code becomes ours
    ///
    /// Its clusters and services are those that `ecsx sandbox fixture` prints, or yours (--fixture).
    ///
    ///   ecsx sandbox run -- ecsx exec --cluster demo --service worker
    Run {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Run until interrupted; print the environment that leads programs here
    Serve {
        #[command(flatten)]
        options: Options,
        /// How to print the environment
        #[arg(short, long, value_enum, default_value = "sh")]
        output: Output,
    },
}

/// What a sandbox is like.
#[derive(Debug, Args)]
struct Options {
    /// Port to listen on, on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// YAML that describes clusters, services, tasks and names (docs/sandbox.md)
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// What misbehaves from the start, as JSON: {"to_client":{"drop":0.1}} (docs/sandbox.md)
    #[arg(long, value_name = "JSON")]
    fault: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Lines for a shell to evaluate
    Sh,
    /// One line of JSON
    Json,
}

fn main() -> ExitCode {
    // Before anything else: an agent's child is to become its command, nothing more.
    #[cfg(unix)]
    if let Some(words) = agent::terminal::words(std::env::args_os()) {
        eprintln!("{}", agent::terminal::on_terminal(&words));
        return ExitCode::from(exit::CANNOT_RUN);
    }
    let mut arguments: Arguments = Plugin::new().parse();
    let globals = &mut arguments.globals;
    let ui = Ui::new(globals.color, globals.verbose, globals.quiet);
    let done = globals.enter().map_err(|error| Failure::new(error.to_string()).code(exit::USAGE));
    match done.and_then(|()| run(arguments.command, ui)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ui.report(failure),
    }
}

fn run(command: Command, ui: Ui) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::because("cannot start", error))?;
    runtime.block_on(async {
        match command {
            Command::Demo => demo::demo().await,
            Command::Fixture => serve::print(Fixture::DEFAULT).map(|()| 0),
            Command::Run { options, command } => run::run(&options, &command).await,
            Command::Serve { options, output } => serve::serve(&options, output, ui).await,
        }
    })
}
