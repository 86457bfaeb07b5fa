//! Port forwarding with agents up to 3.0.196.0: one connection at a time, raw bytes.
//!
//! The agent connects to its destination when the session starts, and again when the first
//! bytes come after a disconnection. So the second connection to a server that speaks first
//! waits for ever, and that a server closed is never told: both only a newer agent can heal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::ecs::Cloud;
use crate::session::{Event, Session, SessionError};
use crate::ssm::channel::Flag;

use super::connection::{Backlog, Connection, Local};
use super::line::{Line, stopped};
use super::serve::{End, Place, Trouble};
use super::status::Status;
use crate::session::fate::{Signs, Watch};

/// Pieces of local data that wait for the session.
const BATCH: usize = 4;
/// Backlog of the client from which on its server waits.
const BOUND: usize = 1 << 20;
/// What a server may say before the first client comes.
const GREETING: usize = 64 * 1024;
/// How long the answer may pause after the client has closed its side. The end of the server
/// is not told, so something must end the connection, for the next one's sake.
const QUIET: Duration = Duration::from_secs(3);

/// Serves local connections, one after the other.
pub(super) async fn relay<C: Cloud>(
    session: &mut Session<C>,
    place: &Place<'_>,
    watch: &mut Watch<C>,
    line: &mut Line,
) -> End {
    let (up, mut inbox) = mpsc::channel(BATCH);
    let backlog = Arc::<Backlog>::default();
    let mut basic =
        Basic { id: 0, state: State::Free, outgoing: VecDeque::new(), greeting: Some(Vec::new()) };
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    let mut stop = line.stop();
    loop {
        basic.pump(session);
        let holding = backlog.total() > BOUND || basic.greeting_size() > GREETING;
        session.hold(holding);
        let lost = session.lost_since().is_some();
        let free = matches!(basic.state, State::Free);
        let over = tokio::select! {
            event = session.next() => match event {
                Event::Data(_, bytes) => { basic.receive(bytes); None }
                Event::ConnectFailed => {
                    if let Some(connection) = basic.end() {
                        line.report(place.refused(connection.peer));
                        connection.reset();
                    }
                    None
                }
                Event::Publication(false) => { watch.paused(session.agent_heard()); None }
                Event::Lost(why) => {
                    line.report(Status::Lost { why, connections: usize::from(!free) });
                    None
                }
                Event::Retrying(error) => { trouble.report(error, line); None }
                Event::Resumed(after) => {
                    trouble = Trouble::default();
                    line.report(Status::Resumed { after });
                    None
                }
                Event::Ended(why) => Some(why),
                Event::Ready(_) | Event::ExitCode(_) | Event::Publication(true) | Event::Writable | Event::FlagTaken => None,
            },
            Some(local) = inbox.recv() => {
                basic.take(local, session);
                None
            }
            accepted = line.next(free && !lost), if free || lost => {
                basic.id += 1;
                let mut connection =
                    Connection::start(basic.id, accepted.stream, accepted.peer, up.clone(), backlog.clone());
                for bytes in basic.greeting.take().unwrap_or_default() {
                    connection.send(bytes);
                }
                basic.state = State::Taken { connection, closing: None };
                None
            }
            reason = watch.gone() => Some(SessionError::TaskGone { task: place.target.task_id.clone(), reason }),
            () = backlog.fell(), if holding => None,
            _ = tick.tick() => {
                watch.tick(Instant::now(), &Signs {
                    silent_since: session.unacknowledged_since().filter(|_| !lost && !holding),
                    heard: session.agent_heard(),
                    waiting: !lost && !free,
                    doubt: lost && trouble.is_not_the_network(),
                });
                basic.tick(session);
                None
            }
            () = stopped(&mut stop) => return End::Stopped,
        };
        if let Some(why) = over {
            let connection = basic.end();
            let reset = usize::from(connection.is_some());
            if let Some(connection) = connection {
                connection.reset();
            }
            return End::Over { why, reset };
        }
    }
}

struct Basic {
    id: u32,
    state: State,
    /// Read from the client, not yet written to the session.
    outgoing: VecDeque<Bytes>,
    /// What the server said before there was a client; `None` once there was one.
    greeting: Option<Vec<Bytes>>,
}

enum State {
    /// The next client may come.
    Free,
    /// `closing`: since when the client sends no more and nothing came for it.
    Taken { connection: Connection, closing: Option<Instant> },
    /// The client is gone; what was read from it goes out, then the flag.
    Draining,
    /// The agent was told; what it sends before it has heard belongs to nobody.
    Told,
}

impl Basic {
    fn greeting_size(&self) -> usize {
        self.greeting.iter().flatten().map(Bytes::len).sum()
    }

    fn receive(&mut self, bytes: Bytes) {
        match (&mut self.state, &mut self.greeting) {
            (State::Taken { connection, closing }, _) => {
                if closing.is_some() {
                    *closing = Some(Instant::now());
                }
                connection.send(bytes);
            }
            (State::Free, Some(greeting)) => greeting.push(bytes),
            _ => {}
        }
    }

    fn take<C: Cloud>(&mut self, local: Local, session: &mut Session<C>) {
        let State::Taken { closing, .. } = &mut self.state else { return };
        match local {
            Local::Data(id, bytes) if id == self.id => self.outgoing.push_back(bytes),
            Local::HalfClosed(id) if id == self.id => *closing = Some(Instant::now()),
            Local::Gone(id) if id == self.id => {
                self.state = State::Draining;
                self.pump(session);
            }
            _ => {}
        }
    }

    fn pump<C: Cloud>(&mut self, session: &mut Session<C>) {
        while let Some(mut bytes) = self.outgoing.pop_front() {
            let room = session.capacity();
            if room < bytes.len() {
                let rest = bytes.split_off(room);
                self.outgoing.push_front(rest);
                if !bytes.is_empty() {
                    session.write(bytes);
                }
                return;
            }
            session.write(bytes);
            if let State::Taken { connection, .. } = &self.state {
                connection.grant();
            }
        }
        if matches!(self.state, State::Draining) {
            session.flag(Flag::DisconnectToPort);
            self.state = State::Told;
        }
        if matches!(self.state, State::Told) && session.is_drained() {
            self.state = State::Free;
        }
    }

    fn tick<C: Cloud>(&mut self, session: &mut Session<C>) {
        if let State::Taken { closing: Some(since), connection } = &self.state
            && since.elapsed() >= QUIET
            && connection.backlog() == 0
        {
            if let State::Taken { connection, .. } = std::mem::replace(&mut self.state, State::Draining) {
                connection.finish();
            }
            self.pump(session);
        }
    }

    fn end(&mut self) -> Option<Connection> {
        match std::mem::replace(&mut self.state, State::Draining) {
            State::Taken { connection, .. } => Some(connection),
            state => {
                self.state = state;
                None
            }
        }
    }
}
