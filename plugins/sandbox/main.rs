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

use ecsx::plugin::exit;

/// A local ECS with ECS Exec: APIs, message gateway and agents on loopback.
#[derive(Debug, Parser)]
#[command(name = "ecsx sandbox", bin_name = "ecsx sandbox", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job: a tunnel from an ecspresso project into a pretend VPC.
    Demo,
    /// Run a command with the sandbox as its AWS; its exit code is ours.
    Run {
        #[command(flatten)]
        options: Options,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Run until interrupted; print the environment that leads programs here.
    Serve {
        #[command(flatten)]
        options: Options,
        /// How to print the environment.
        #[arg(short, long, value_enum, default_value = "sh")]
        output: Output,
    },
    /// Become a command whose controlling terminal is stdin; agents start commands so.
    #[cfg(unix)]
    #[command(name = agent::terminal::SUBCOMMAND, hide = true)]
    OnTerminal {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
}

/// What a sandbox is like.
#[derive(Debug, Args)]
struct Options {
    /// Port to listen on, on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// YAML that describes clusters, services, tasks and names.
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// A fault to start with, as JSON (`{"to_client":{"drop":0.1}}`); fields as in a fixture's `faults`.
    #[arg(long, value_name = "JSON")]
    fault: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Lines for a shell to evaluate.
    Sh,
    /// One line of JSON.
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Err(error) => Err(format!("cannot start: {error}")),
        Ok(runtime) => runtime.block_on(async {
            match arguments.command {
                Command::Demo => demo::demo().await,
                Command::Run { options, command } => run::run(&options, &command).await,
                Command::Serve { options, output } => serve::serve(&options, output).await,
                #[cfg(unix)]
                Command::OnTerminal { words } => Err(agent::terminal::on_terminal(&words).to_string()),
            }
        }),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ecsx sandbox: {error}");
            ExitCode::from(exit::FAILED)
        }
    }
}
