//! `ecsx portforward`.

mod args;
mod command;
mod locals;
mod presets;
mod signals;
mod teller;
mod words;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ecsx::aws::Aws;
use ecsx::ecs::Target;
use ecsx::footprint;
use ecsx::live;
use ecsx::plugin::{Plugin, exit};
use ecsx::resolve::Wanted;
use ecsx::session::forward::{Course, Retarget, Setting, Status};
use ecsx::session::{Network, SessionError};
use ecsx::ui::{Failure, Ui};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{timeout, timeout_at};

use args::Args;
use locals::Locals;
use signals::{Signals, Word};
use teller::{Printer, Teller};

/// How long all may take from the word to stop to the end. The sessions themselves take less.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long what a command has sent may take to arrive once it has ended.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Sessions that ECS lets into a container at a time.
const SESSIONS: usize = 2;
/// How long a command may take to end that has lost its port.
const GRACE: Duration = Duration::from_secs(5);
/// Interrupts closer than this are one keystroke.
const ONE_KEYSTROKE: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let mut args: Args = live::values(Plugin::new())
        .values("words", live::forwards)
        .values("forwards", live::forwards)
        .parse();
    let ui = args.options.ui();
    let done = (|| {
        if args.list {
            return presets::list(&args.options.project(&ui)?, args.json(), ui);
        }
        let (wishes, flags) = (args.wishes()?, args.flags()?);
        let mut wanted = args.options.read(&ui)?;
        let chosen = presets::choose(wishes, flags, &wanted.project)?;
        chosen.warnings.iter().for_each(|warning| ui.warn(warning));
        wanted.selection.container = chosen.container.or(wanted.selection.container);
        let (locals, wanted) = (locals::bind(chosen.asked)?, Arc::new(wanted));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::because("cannot start", error))?;
        let done = runtime.block_on(run(&args, locals, wanted, ui));
        // A lookup that hangs must not hold the exit up.
        runtime.shutdown_background();
        done
    })();
    let done =
        done.map_err(|failure| match failure.exit_code() == exit::FAILED && !args.command.is_empty() {
            true => failure.code(exit::ECSX_FAILED),
            false => failure,
        });
    let done = if args.json() && !args.list { teller::conclude(done) } else { done };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ui.report(failure),
    }
}

async fn run(args: &Args, locals: Locals, wanted: Arc<Wanted>, ui: Ui) -> Result<u8, Failure> {
    let Locals { forwards, subjects, reachable } = locals;
    let mut signals = Signals::new().map_err(|error| Failure::because("cannot listen for signals", error))?;
    let (aws, target, retarget) = tokio::select! {
        resolved = resolve(&wanted, ui) => resolved?,
        // Nothing was begun, nothing is left behind.
        word = signals.next() => return Ok(word.exit_code()),
    };

    if forwards.len() > SESSIONS {
        ui.warn(&format!(
            "{} destinations need as many sessions, and ECS lets {SESSIONS} at a time into container {}: \
             forward the others through another task (--id) or container (--container)",
            forwards.len(),
            target.container
        ));
    }
    let (teller, mut printer) = Teller::start(ui, args.json(), subjects);
    let (course, followed) = watch::channel(Course::On);
    let (up, ups) = mpsc::unbounded_channel();
    let count = forwards.len();
    let network = Arc::new(Network::from_env(|name| std::env::var(name).ok()));
    let mut running = JoinSet::new();
    for (number, forward) in forwards.into_iter().enumerate() {
        let (teller, up) = (teller.clone(), up.clone());
        let setting = Setting {
            cloud: aws.clone(),
            network: network.clone(),
            retarget: retarget.clone(),
            course: followed.clone(),
            report: Arc::new(move |status| {
                if matches!(status, Status::Ready { .. }) {
                    let _ = up.send(number);
                }
                teller.tell(number, status);
            }),
        };
        let target = target.clone();
        running.spawn(async move { forward.run(&setting, target).await });
    }
    drop(teller);
    drop(up);

    let served = serve(args, &reachable, &mut running, count, ups, &mut signals, &mut printer).await;
    // The command is done, and what it has sent may be on its way.
    let arrived = match &served {
        Ok(End::Command(_)) => {
            let _ = course.send(Course::Finish);
            tokio::select! {
                arrived = timeout(ARRIVAL, all(&mut running)) => arrived.unwrap_or(Ok(())),
                () = impatience(&mut signals) => Ok(()),
            }
        }
        _ => Ok(()),
    };
    let deadline = Instant::now() + FAREWELL;
    let _ = course.send(Course::Leave);
    let left = tokio::select! {
        left = timeout_at(deadline.into(), all(&mut running)) => left.unwrap_or(Ok(())),
        () = impatience(&mut signals) => return Ok(exit::INTERRUPTED),
    };
    let done = match served {
        Ok(End::Command(code)) => arrived.and(left).map(|()| code),
        Ok(End::Word(code)) => Ok(code),
        Err(failure) => Err(failure),
    };
    drop(running);
    let told = printer.finish(deadline);
    done.and_then(|code| told.map(|()| code))
}

async fn resolve(wanted: &Arc<Wanted>, ui: Ui) -> Result<(Arc<Aws>, Target, Retarget), Failure> {
    let aws = Arc::new(Aws::new(&wanted.account()).await?);
    let target = wanted.choose(&*aws, &ui).await?;
    let (cloud, wanted) = (aws.clone(), wanted.clone());
    let retarget: Retarget = Arc::new(move |last| {
        let (cloud, wanted) = (cloud.clone(), wanted.clone());
        Box::pin(async move { wanted.choose_again(&*cloud, &last).await })
    });
    Ok((aws, target, retarget))
}

/// Why serving ended, and the exit code.
enum End {
    /// The command is done.
    Command(u8),
    /// A word to stop came.
    Word(u8),
}

/// Waits for the forwards to end. The first failure of one is told.
async fn all(running: &mut JoinSet<Result<(), SessionError>>) -> Result<(), Failure> {
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        outcome = outcome.and(of_forward(ended));
    }
    outcome
}

fn of_forward(ended: Result<Result<(), SessionError>, JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(ended) => Ok(ended?),
        Err(error) => Err(Failure::because("a forward broke off", error)),
    }
}

/// Until Ctrl-C, the end of the command, or a forward that cannot go on.
async fn serve(
    args: &Args,
    locals: &[SocketAddr],
    running: &mut JoinSet<Result<(), SessionError>>,
    mut missing: usize,
    mut ups: mpsc::UnboundedReceiver<usize>,
    signals: &mut Signals,
    printer: &mut Printer,
) -> Result<End, Failure> {
    let mut child: Option<Child> = None;
    let mut told = false;
    let mut seen = vec![false; missing];
    loop {
        tokio::select! {
            Some(up) = ups.recv() => {
                missing -= usize::from(!std::mem::replace(&mut seen[up], true));
                if missing > 0 {
                    continue;
                }
                if child.is_none() && !args.command.is_empty() {
                    child = Some(command::start(&args.command, locals)?);
                }
                footprint::start_is_over();
            }
            Some(ended) = running.join_next() => {
                let Err(failure) = of_forward(ended) else { continue };
                give_up(&mut child, signals).await;
                return Err(failure);
            }
            failure = printer.failed() => {
                give_up(&mut child, signals).await;
                return Err(failure);
            }
            status = wait(&mut child) => {
                return status
                    .map(|status| End::Command(exit::of(status)))
                    .map_err(|error| Failure::because("lost sight of the command", error));
            }
            word = signals.next() => match (&mut child, word) {
                // Nothing was to be done but this; or there was, and it was not.
                (None, _) if args.command.is_empty() => return Ok(End::Word(exit::DONE)),
                (None, word) => return Ok(End::Word(word.exit_code())),
                // It got Ctrl-C itself, and may have its own use for it.
                (Some(_), Word::Interrupt) => {}
                (Some(child), Word::Terminate(_)) if told => drop(child.start_kill()),
                (Some(child), Word::Terminate(_)) => {
                    signals::terminate(child);
                    told = true;
                }
            },
        }
    }
}

/// Ends the command, whose port goes away.
async fn give_up(child: &mut Option<Child>, signals: &mut Signals) {
    let Some(child) = child else { return };
    signals::terminate(child);
    tokio::select! {
        _ = timeout(GRACE, child.wait()) => {}
        () = impatience(signals) => {}
    }
    let _ = child.start_kill();
}

/// Another Ctrl-C. One keystroke can reach us several times: from the terminal, and again from a
/// wrapper such as npm or make.
async fn impatience(signals: &mut Signals) {
    let began = Instant::now();
    loop {
        if signals.next().await == Word::Interrupt && began.elapsed() > ONE_KEYSTROKE {
            return;
        }
    }
}

async fn wait(child: &mut Option<Child>) -> std::io::Result<std::process::ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}
