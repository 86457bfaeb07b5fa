//! `ecsx exec`.

mod args;
mod tell;

use std::process::ExitCode;
use std::sync::Arc;

use ecsx::aws::Aws;
use ecsx::plugin::{Plugin, exit};
use ecsx::session::Network;
use ecsx::session::exec::{self, Outcome, Setting};
use ecsx::session::terminal::Signals;
use ecsx::ui::{Failure, Ui};

use args::Args;

fn main() -> ExitCode {
    let mut args: Args = ecsx::live::values(Plugin::new()).explain(args::explain).parse();
    let ui = args.options.ui();
    match run(&mut args, ui) {
        Ok(code) => ExitCode::from(code),
        // 1 may be the command's own.
        Err(failure) if failure.exit_code() == exit::FAILED => ui.report(failure.code(exit::ECSX_FAILED)),
        Err(failure) => ui.report(failure),
    }
}

fn run(args: &mut Args, ui: Ui) -> Result<u8, Failure> {
    let wanted = args.options.read(&ui)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::because("cannot start", e))?;
    let connection = args.connection();
    let outcome = runtime.block_on(async {
        // First, so that Ctrl-C is ours before the picker hides the cursor.
        let mut signals = Signals::new().map_err(|e| Failure::because("cannot listen for signals", e))?;
        let choosing = async {
            let aws = Aws::new(&wanted.account()).await?;
            let target = wanted.choose(&aws, &ui).await?;
            Ok::<_, Failure>((Arc::new(aws), target))
        };
        let (cloud, target) = tokio::select! {
            biased;
            number = signals.next() => return Ok(Outcome::Signal(number)),
            chosen = choosing => chosen?,
        };
        let setting = Setting {
            cloud,
            network: Arc::new(Network::from_env(|name| std::env::var(name).ok())),
            target,
            command: args.what(),
            mode: connection.mode,
            raw: connection.raw,
            stdin: connection.stdin,
            keepalive: connection.keepalive,
            report: tell::report(ui),
        };
        Ok::<_, Failure>(exec::run(&setting, &mut signals).await?)
    });
    // A lookup that hangs must not hold the exit up.
    runtime.shutdown_background();
    Ok(match outcome? {
        Outcome::Exited(code) => code,
        Outcome::Unknown => exit::UNKNOWN,
        Outcome::Left => exit::INTERRUPTED,
        Outcome::Signal(number) => 128 + number,
        // What SIGPIPE makes of any other program.
        Outcome::Unread => 128 + 13,
    })
}
