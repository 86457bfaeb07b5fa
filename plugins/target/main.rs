//! `ecsx target`: where a session would go.

mod print;

use std::process::ExitCode;

use clap::Parser;
use ecsx::aws::Aws;
use ecsx::live;
use ecsx::plugin::Plugin;
use ecsx::resolve::Options;
use ecsx::session::terminal::Signals;
use ecsx::ui::{Failure, Ui};

use print::Format;

/// Print the SSM target of one container of one running task
///
/// Resolves region, cluster, service, task and container from flags, environment and the
/// ecspresso project of the directory, in this order, exactly as the other ecsx commands do.
#[derive(Parser)]
#[command(name = "ecsx-target", version)]
struct Arguments {
    /// What to print: the target alone, or all that was resolved
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,

    /// Print what the project says, asking nothing of AWS
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let arguments: Arguments = live::values(Plugin::new()).parse();
    let ui = arguments.options.ui();
    match run(arguments, &ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ui.report(failure),
    }
}

fn run(mut arguments: Arguments, ui: &Ui) -> Result<(), Failure> {
    let options = &mut arguments.options;
    if arguments.offline {
        let project = options.project(ui)?;
        let container = options.container.as_ref().or(project.container.as_ref());
        return print::project(&project, container, arguments.output);
    }
    let wanted = options.read(ui)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::because("cannot start", e))?;
    let target = runtime.block_on(async {
        // First, so that Ctrl-C is ours before the picker hides the cursor.
        let mut signals = Signals::new().map_err(|e| Failure::because("cannot listen for signals", e))?;
        let choosing = async {
            let aws = Aws::new(&wanted.account()).await?;
            Ok(wanted.choose(&aws, ui).await?)
        };
        tokio::select! {
            biased;
            number = signals.next() => Err(Failure::new("interrupted").code(128 + number)),
            target = choosing => target,
        }
    });
    // A picker that still waits for a key must not hold the exit up.
    runtime.shutdown_background();
    let target = target?;
    print::target(&target, wanted.project.config.as_deref(), arguments.output)
}
