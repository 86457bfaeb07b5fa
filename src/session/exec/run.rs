//! One session with one command, from ExecuteCommand to the end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::ecs::Cloud;
use crate::exec::{Mode, Output, Wrapper};
use crate::session::fate::Fate;
use crate::session::terminal::{Escape, HELP, Key, Raw, Resizes, Signals, size};
use crate::session::{Event, Session, SessionError};
use crate::ssm::channel::Stream;

use super::lines::Lines;
use super::stdio::{self, Local, Writer};
use super::vigil::{Agent, Due, Idle, Sign, Vigil};
use super::{ExecError, Notice, Outcome, Setting};

/// How long the agent and the container's shell may take to start the command.
const START: Duration = Duration::from_secs(30);
/// How long the agent may take to close a session whose command has ended.
const CLOSING: Duration = Duration::from_secs(2);
/// How long ECS may take to end a session that is left while its connection is lost.
const PARTING: Duration = Duration::from_millis(400);
/// A shorter break of the connection is not worth a word.
const BREAK: Duration = Duration::from_secs(2);
/// Keys that may wait for the network, bytes: with less, `~.` would not be seen behind them.
const KEYS: usize = 1 << 20;
/// stdin that may wait for the wrapper, bytes: its largest frame.
const STDIN: usize = 1 << 20;
/// How long a command may go on after Ctrl-C without a word about it.
const INTERRUPT: Duration = Duration::from_secs(1);
/// The signal of Ctrl-C.
const SIGINT: u8 = 2;
/// The size of no terminal, for commands that insist.
const NO_TERMINAL: (u32, u32) = (80, 24);

/// What became of Ctrl-C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupt {
    None,
    /// It was passed on to the command then.
    Passed(Instant),
    /// And the command goes on, which was said.
    Told,
}

/// One session with one command.
pub(super) struct Run<'a, C> {
    setting: &'a Setting<C>,
    session: Session<C>,
    /// `None`: the command runs bare.
    wrapper: Option<Wrapper>,
    /// For the session, as its window allows.
    unsent: VecDeque<Bytes>,
    /// Not yet taken by the wrapper.
    input: VecDeque<Bytes>,
    stdin: Option<mpsc::Receiver<std::io::Result<Bytes>>>,
    /// stdin has ended, behind what is in `input`.
    input_ended: bool,
    /// What was typed to a bare command so far ends within a line.
    within_line: bool,
    escape: Escape,
    /// For the local streams, as their readers allow.
    backlog: VecDeque<(Local, Bytes)>,
    writer: Writer,
    lines: Lines,
    raw: Option<Raw>,
    size: (u32, u32),
    vigil: Vigil<C>,
    agent: Agent,
    idle: Idle,
    started: bool,
    since: Instant,
    lost: Option<String>,
    interrupt: Interrupt,
    exited: Option<u8>,
    /// Nothing more comes.
    over: bool,
    /// The service knows it too.
    closed: bool,
}

impl<'a, C: Cloud> Run<'a, C> {
    /// Asks ECS to run `line`.
    pub(super) async fn start(
        setting: &'a Setting<C>,
        line: &str,
        wrapper: Option<Wrapper>,
    ) -> Result<Self, ExecError> {
        let target = &setting.target;
        let ticket =
            setting.cloud.execute_command(&target.cluster, &target.task_arn, &target.container, line).await?;
        (setting.report)(Notice::Opened(ticket.session_id.clone()), false);
        let (cloud, network) = (setting.cloud.clone(), setting.network.clone());
        let session = Session::new(cloud, network, ticket, target.ssm_target(), false)?;
        let now = Instant::now();
        Ok(Self {
            setting,
            session,
            wrapper,
            unsent: VecDeque::new(),
            input: VecDeque::new(),
            stdin: None,
            input_ended: false,
            within_line: false,
            escape: Escape::default(),
            backlog: VecDeque::new(),
            writer: Writer::start(),
            lines: Lines::default(),
            raw: None,
            size: size().unwrap_or(NO_TERMINAL),
            vigil: Vigil::new(setting.cloud.clone(), target.clone(), now),
            agent: Agent::new(now),
            idle: Idle::new(now, setting.keepalive),
            started: false,
            since: now,
            lost: None,
            interrupt: Interrupt::None,
            exited: None,
            over: false,
            closed: false,
        })
    }

    /// Carries bytes until the command, the session or the person ends it.
    pub(super) async fn finish(mut self, signals: &mut Signals) -> Result<Outcome, ExecError> {
        let mut done = self.carry(signals).await;
        // The terminal first, whatever the network does now.
        self.raw = None;
        self.stdin = None;
        let end = self.lines.end();
        self.backlog.extend((!end.is_empty()).then_some((Local::Stdout, end)));
        let written = tokio::select! {
            biased;
            // Output that nobody reads is no reason to stay.
            signal = signals.next() => {
                done = Ok(Outcome::Signal(signal));
                Ok(())
            }
            written = self.write_out(leaving(&done)) => written,
        };
        let cut_off = self.session.lost_since().is_some() && leaving(&done);
        if cut_off {
            // Nobody waits for a network to leave it.
            let ended = timeout(PARTING, self.session.leave(false)).await.unwrap_or(false);
            (self.setting.report)(Notice::Left { ended }, false);
        } else if !self.closed {
            self.session.leave(false).await;
        }
        match (done?, written) {
            (outcome, Ok(())) => Ok(outcome),
            (_, Err(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(Outcome::Unread),
            (_, Err(e)) => Err(ExecError::Local("cannot write the command's output", e)),
        }
    }

    async fn write_out(&mut self, leaving: bool) -> std::io::Result<()> {
        if leaving {
            // Whoever leaves does not wait for a reader.
            let _ = timeout(Duration::from_millis(200), self.writer.finish()).await;
            return Ok(());
        }
        while !self.backlog.is_empty() && self.writer.take(&mut self.backlog).await {}
        self.writer.finish().await
    }

    async fn carry(&mut self, signals: &mut Signals) -> Result<Outcome, ExecError> {
        let mut resizes = Resizes::new().map_err(|e| ExecError::Local("cannot listen for signals", e))?;
        let mut tick = interval(Duration::from_millis(500));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut closing = None;
        loop {
            self.advance()?;
            if let Some(code) = self.exited {
                let since = *closing.get_or_insert_with(Instant::now);
                if self.over || since.elapsed() >= CLOSING {
                    return Ok(Outcome::Exited(code));
                }
            }
            let wants_input = self.wants_input();
            self.session.hold(!self.backlog.is_empty());
            tokio::select! {
                biased;
                signal = signals.next() => if signal != SIGINT || !self.interrupt() {
                    return Ok(Outcome::Signal(signal));
                },
                () = resizes.next(), if self.setting.mode == Mode::Terminal => self.resized(),
                fate = self.vigil.news() => self.fate(fate)?,
                read = self.writer.take(&mut self.backlog), if !self.backlog.is_empty() => if !read {
                    return Ok(Outcome::Unread);
                },
                bytes = read(&mut self.stdin), if wants_input => if let Some(left) = self.read(bytes)? {
                    return Ok(left);
                },
                event = self.session.next(), if !self.over => if let Some(outcome) = self.event(event)? {
                    return Ok(outcome);
                },
                _ = tick.tick() => self.tick()?,
            }
        }
    }

    /// Moves what can be moved without waiting.
    fn advance(&mut self) -> Result<(), ExecError> {
        self.follow()?;
        match &mut self.wrapper {
            Some(wrapper) => {
                while wrapper.stdin_capacity() > 0 && !self.input.is_empty() {
                    wrapper.stdin(gather(&mut self.input, wrapper.stdin_capacity()));
                }
                if self.input_ended && self.input.is_empty() {
                    wrapper.end_stdin();
                }
            }
            None => {
                if let Some(key) = self.input.back().and_then(|keys| keys.last()) {
                    self.within_line = !matches!(key, b'\r' | b'\n');
                }
                self.unsent.extend(self.input.drain(..));
                // A terminal has no other way to say it.
                if std::mem::take(&mut self.input_ended) {
                    let keys: &[u8] = if self.within_line { b"\x04\x04" } else { b"\x04" };
                    self.unsent.push_back(Bytes::from_static(keys));
                }
            }
        }
        self.follow()?;
        while let Some(front) = self.unsent.front_mut() {
            let room = self.session.capacity().min(front.len());
            if room == 0 {
                break;
            }
            self.session.write(front.split_to(room));
            let now = Instant::now();
            self.agent.active(room, now);
            self.idle.spoke(now);
            if front.is_empty() {
                self.unsent.pop_front();
            }
        }
        Ok(())
    }

    fn wants_input(&self) -> bool {
        let sum = |pieces: &VecDeque<Bytes>| pieces.iter().map(Bytes::len).sum::<usize>();
        match (&self.wrapper, self.setting.mode) {
            _ if self.stdin.is_none() || self.exited.is_some() => false,
            // Keys are looked at even if they cannot be sent: `~.` may be among them.
            (_, Mode::Terminal) => sum(&self.input) + sum(&self.unsent) < KEYS,
            (Some(_), Mode::Piped) => sum(&self.input) < STDIN,
            (None, Mode::Piped) => false,
        }
    }

    /// Ctrl-C, and the keys are not the command's: it is passed on. `false`: it is for us, as
    /// there is nothing to pass it on to, no way there, or it is the second one.
    fn interrupt(&mut self) -> bool {
        let reachable = self.started
            && self.exited.is_none()
            && self.session.lost_since().is_none()
            && !self.agent.is_doubtful();
        if self.raw.is_some() || self.interrupt != Interrupt::None || !reachable {
            return false;
        }
        self.interrupt = Interrupt::Passed(Instant::now());
        match &mut self.wrapper {
            Some(wrapper) => wrapper.interrupt(),
            None => {
                self.unsent.push_back(Bytes::from_static(b"\x03"));
                true
            }
        }
    }

    /// stdin went on with these bytes, or ended.
    fn read(&mut self, bytes: Option<std::io::Result<Bytes>>) -> Result<Option<Outcome>, ExecError> {
        let Some(bytes) = bytes else {
            self.stdin = None;
            self.input_ended = true;
            return Ok(None);
        };
        // To the command it would look like the end of a whole input.
        let bytes = bytes.map_err(|e| ExecError::Local("cannot read stdin", e))?;
        if self.raw.is_none() {
            self.input.push_back(bytes);
            return Ok(None);
        }
        for key in self.escape.feed(&bytes) {
            match key {
                Key::Send(keys) => self.input.push_back(keys.into()),
                Key::Help => self.backlog.push_back((Local::Stderr, Bytes::from_static(HELP.as_bytes()))),
                Key::Leave => return Ok(Some(Outcome::Left)),
            }
        }
        Ok(None)
    }

    /// The session has something to tell.
    fn event(&mut self, event: Event) -> Result<Option<Outcome>, ExecError> {
        match event {
            Event::Ready(ready) => {
                if !ready.message.is_empty() {
                    self.report(Notice::Agent(ready.message));
                }
                self.session.resize(self.size.0, self.size.1);
                self.vigil.heard(Instant::now());
                if self.wrapper.is_none() {
                    self.started()?;
                }
            }
            Event::Data(stream, bytes) => {
                let now = Instant::now();
                self.vigil.heard(now);
                self.agent.active(0, now);
                match stream {
                    Stream::Output => {
                        self.received(bytes);
                        self.follow()?;
                    }
                    Stream::Error => self.backlog.push_back((Local::Stderr, bytes)),
                }
            }
            Event::ExitCode(code) => self.exited = Some(u8::try_from(code).unwrap_or(u8::MAX)),
            Event::Lost(why) => self.lost = Some(why),
            Event::Retrying(error) if error.needs_a_person() => self.report(Notice::Stuck(error)),
            Event::Resumed(after) => {
                self.lost = None;
                self.vigil.heard(Instant::now());
                if after >= BREAK {
                    self.report(Notice::Resumed(after));
                }
            }
            Event::Ended(error) => return self.ended(error),
            Event::Retrying(_)
            | Event::Publication(_)
            | Event::ConnectFailed
            | Event::Writable
            | Event::FlagTaken
            | Event::Heard => {}
        }
        Ok(None)
    }

    fn received(&mut self, bytes: Bytes) {
        match &mut self.wrapper {
            Some(wrapper) => wrapper.received(&bytes),
            None => {
                let bytes = if self.setting.mode == Mode::Piped { self.lines.feed(&bytes) } else { bytes };
                self.backlog.push_back((Local::Stdout, bytes));
            }
        }
    }

    /// Does what the wrapper wants.
    fn follow(&mut self) -> Result<(), ExecError> {
        while let Some(output) = self.wrapper.as_mut().and_then(Wrapper::poll_output) {
            let container = || self.setting.target.container.clone();
            match output {
                Output::Send(bytes) => self.unsent.push_back(bytes),
                Output::Stdout(bytes) => self.backlog.push_back((Local::Stdout, bytes)),
                Output::Stderr(bytes) => self.backlog.push_back((Local::Stderr, bytes)),
                Output::Started => self.started()?,
                Output::Exited(code) => self.exited = Some(code),
                Output::Unrunnable(code) => {
                    let program = self.setting.command.program();
                    return Err(ExecError::Unrunnable { container: container(), program, code });
                }
                Output::Missing(tool) => return Err(ExecError::NoTool { container: container(), tool }),
                Output::Broken(reason) => return Err(ExecError::Damaged(reason)),
            }
        }
        Ok(())
    }

    /// The command runs: the keys are its own now.
    fn started(&mut self) -> Result<(), ExecError> {
        // A late handshake makes a session ready that was taken for ready.
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        if self.setting.raw {
            let raw = Raw::enter().map_err(|e| ExecError::Local("cannot put the terminal in raw mode", e))?;
            self.raw = Some(raw);
        }
        // Bare behind pipes, a command gets none: its terminal would change it.
        if self.setting.stdin && (self.wrapper.is_some() || self.setting.mode == Mode::Terminal) {
            self.stdin = Some(stdio::stdin());
        } else {
            self.input_ended = true;
        }
        Ok(())
    }

    fn ended(&mut self, error: SessionError) -> Result<Option<Outcome>, ExecError> {
        self.over = true;
        self.closed = matches!(error, SessionError::Closed(_) | SessionError::Over);
        if self.exited.is_some() {
            return Ok(None);
        }
        let begun = self.wrapper.as_ref().map_or(self.started, Wrapper::has_begun);
        match &error {
            SessionError::Closed(text) if text.trim().is_empty() && self.wrapper.is_none() => {
                Ok(Some(Outcome::Unknown))
            }
            _ => Err(ExecError::ended(error, &self.setting.target, begun)),
        }
    }

    fn resized(&mut self) {
        let Some(size) = size().filter(|size| *size != self.size) else { return };
        self.size = size;
        self.session.resize(size.0, size.1);
        self.idle.spoke(Instant::now());
    }

    fn fate(&mut self, fate: Fate) -> Result<(), ExecError> {
        match fate {
            // A task may end with its command.
            Fate::Gone(_) if self.exited.is_some() => {}
            Fate::Gone(reason) => {
                let task = self.setting.target.task_id.clone();
                return Err(SessionError::TaskGone { task, reason }.into());
            }
            Fate::Leaving => self.report(Notice::Leaving),
            Fate::Running | Fate::Unknown => {}
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), ExecError> {
        let now = Instant::now();
        if let Interrupt::Passed(at) = self.interrupt
            && now.saturating_duration_since(at) >= INTERRUPT
        {
            self.interrupt = Interrupt::Told;
            let waits = self.wrapper.as_ref().is_some_and(Wrapper::is_interrupting);
            self.report(Notice::Interrupted { waits });
        }
        let lost = self.session.lost_since();
        if lost.is_some_and(|since| now.saturating_duration_since(since) >= BREAK)
            && let Some(why) = self.lost.take()
        {
            self.report(Notice::Lost(why));
        }
        if !self.started && lost.is_none() && now.saturating_duration_since(self.since) >= START {
            let container = self.setting.target.container.clone();
            return Err(match self.wrapper.as_ref().filter(|wrapper| wrapper.has_begun()) {
                Some(wrapper) => ExecError::StrangeShell { container, said: wrapper.preamble() },
                None => SessionError::Silent { container, seconds: START.as_secs() }.into(),
            });
        }
        self.vigil.tick(now, lost.is_some() || self.session.unacknowledged_since().is_some());
        self.sign(now)?;
        match self.idle.tick(now) {
            Due::Nothing => {}
            Due::Warning if self.setting.mode == Mode::Piped => {}
            Due::Warning => self.report(Notice::Idle),
            Due::Keepalive => self.send_size(now),
        }
        Ok(())
    }

    /// Looks for signs of an agent.
    fn sign(&mut self, now: Instant) -> Result<(), ExecError> {
        if !self.started || self.exited.is_some() {
            return Ok(());
        }
        match self.agent.tick(now, self.session.is_drained(), self.session.silent_since()) {
            Sign::Fine => {}
            Sign::Ask => self.send_size(now),
            Sign::Doubtful(silence) => self.report(Notice::Doubtful(silence)),
            Sign::Mute(silence) => return Err(SessionError::Mute { seconds: silence.as_secs() }.into()),
        }
        Ok(())
    }

    /// A message that changes nothing.
    fn send_size(&mut self, now: Instant) {
        self.session.resize(self.size.0, self.size.1);
        self.idle.spoke(now);
    }

    fn report(&self, notice: Notice) {
        (self.setting.report)(notice, self.raw.is_some());
    }
}

/// The first bytes of `pieces`, at most `limit`.
fn gather(pieces: &mut VecDeque<Bytes>, limit: usize) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(front) = pieces.front_mut().filter(|_| all.len() < limit) {
        all.extend_from_slice(&front.split_to(front.len().min(limit - all.len())));
        if front.is_empty() {
            pieces.pop_front();
        }
    }
    all.freeze()
}

fn leaving(done: &Result<Outcome, ExecError>) -> bool {
    matches!(done, Ok(Outcome::Left | Outcome::Signal(_)))
}

async fn read(stdin: &mut Option<mpsc::Receiver<std::io::Result<Bytes>>>) -> Option<std::io::Result<Bytes>> {
    match stdin {
        Some(stdin) => stdin.recv().await,
        None => std::future::pending().await,
    }
}
