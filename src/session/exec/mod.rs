//! A command in a container, connected to the local terminal or to pipes.
//!
//! [`run()`] starts it in its wrapper ([`exec`](crate::exec)); where the container has no shell
//! for that, the command itself, with what is lost that way said. [`run::Run`] carries the
//! bytes, [`vigil`] makes something of silence, [`stdio`] holds the local ends.

mod lines;
mod run;
mod stdio;
mod trouble;
mod vigil;

use std::sync::Arc;
use std::time::Duration;

use crate::ecs::{Cloud, Target};
use crate::exec::{Command, Mode, Wrapper};

use super::terminal::Signals;
use super::{Network, SessionError};

pub use trouble::ExecError;

/// What is to be done, and where.
pub struct Setting<C> {
    /// AWS.
    pub cloud: Arc<C>,
    /// The way there.
    pub network: Arc<Network>,
    /// The container.
    pub target: Target,
    /// What to run.
    pub command: Command,
    /// On a terminal, or with pipes.
    pub mode: Mode,
    /// Whether the local terminal is to be in raw mode, with escapes: it is on stdin.
    pub raw: bool,
    /// Whether stdin is passed on.
    pub stdin: bool,
    /// Whether the size is sent again and again so that ECS does not end the session as idle.
    pub keepalive: bool,
    /// Is told how it goes.
    pub report: Report,
}

/// Told how it goes, and whether the terminal is raw.
pub type Report = Arc<dyn Fn(Notice, bool) + Send + Sync>;

/// Something for the person at the keyboard.
#[derive(Debug)]
pub enum Notice {
    /// The session is open, with this id.
    Opened(String),
    /// The container has no shell: what is lost.
    Bare,
    /// Words of the agent ("This session is encrypted using AWS KMS.").
    Agent(String),
    /// The connection is gone, this is why; it is being made anew.
    Lost(String),
    /// It cannot be made anew without a person.
    Stuck(SessionError),
    /// The connection is there, and the agent has not answered for so long.
    Doubtful(Duration),
    /// It is back, after so long.
    Resumed(Duration),
    /// The session is left while its connection is lost. `ended`: ECS knows.
    Left {
        /// Whether ECS ended the session.
        ended: bool,
    },
    /// The task is about to be stopped.
    Leaving,
    /// Ctrl-C was passed on, and the command goes on. `waits`: it is behind stdin that the command
    /// does not read.
    Interrupted {
        /// Whether it has not arrived.
        waits: bool,
    },
    /// ECS ends the session in two minutes unless something is typed.
    Idle,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit code.
    Exited(u8),
    /// Without one: there was no shell to say it.
    Unknown,
    /// `~.`
    Left,
    /// This signal ended ecsx.
    Signal(u8),
    /// Nobody reads stdout any more.
    Unread,
}

/// Runs the command to its end, or a signal's.
pub async fn run<C: Cloud>(setting: &Setting<C>, signals: &mut Signals) -> Result<Outcome, ExecError> {
    let mut random = [[0; 8]; 2];
    getrandom::fill(random.as_flattened_mut())
        .map_err(|e| SessionError::Broken(format!("no random numbers: {e}")))?;
    let wrapper = Wrapper::new(&setting.command, setting.mode, random);
    let line = wrapper.command_line().to_owned();
    let error = match attempt(setting, &line, Some(wrapper), signals).await {
        Err(error) if error.is_not_found() => error,
        done => return done,
    };
    // There is no shell. Nothing was run yet.
    let no_shell = || ExecError::NoShell { container: setting.target.container.clone() };
    let line = match &setting.command {
        Command::Shell => return Err(no_shell()),
        Command::Argv(words) if words.first().is_some_and(|word| word == b"sh") => return Err(no_shell()),
        command => command.direct_line().ok_or(error)?,
    };
    (setting.report)(Notice::Bare, false);
    attempt(setting, &line, None, signals).await
}

async fn attempt<C: Cloud>(
    setting: &Setting<C>,
    line: &str,
    wrapper: Option<Wrapper>,
    signals: &mut Signals,
) -> Result<Outcome, ExecError> {
    let run = tokio::select! {
        biased;
        signal = signals.next() => return Ok(Outcome::Signal(signal)),
        run = run::Run::start(setting, line, wrapper) => run?,
    };
    run.finish(signals).await
}
