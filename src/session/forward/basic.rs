//! Port forwarding with agents up to 3.0.196.0: one connection at a time, raw bytes.
//!
//! The agent connects to its destination when the session starts, and again when the first
//! bytes come after a disconnection. So the second connection to a server that speaks first
//! waits for ever, and that a server closed is never told: both only a newer agent can heal.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::ecs::Cloud;
use crate::session::{Event, Session, SessionError};
use crate::ssm::channel::Flag;

use super::connection::{Backlog, Connection, Local};
use super::line::{Course, Line, word};
use super::serve::{End, Place, Trouble};
use super::silence::{Silence, Stake};
use super::status::Status;
use crate::session::fate::{Signs, Watch};

/// Pieces of local data that wait for the session.
const BATCH: usize = 4;
/// Backlog of the client from which on its server waits.
const BOUND: usize = 1 << 20;
/// What a server may say before the first client comes.
const GREETING: usize = 64 * 1024;
/// How long the answer may pause after the client has closed its side: as nobody tells whether
/// the server is done, the connection must end some time, and then with a reset.
const QUIET: Duration = Duration::from_secs(30);
/// The same while the next client waits.
const QUIET_IN_LINE: Duration = Duration::from_secs(3);
/// How long nothing of a connection must have come since the agent has let go of it.
const SETTLED: Duration = Duration::from_millis(500);

/// Serves local connections, one after the other.
pub(super) async fn relay<C: Cloud>(
    session: &mut Session<C>,
    place: &Place<'_>,
    watch: &mut Watch<C>,
    line: &mut Line,
) -> End {
    let (up, mut inbox) = mpsc::channel(BATCH);
    let backlog = Arc::<Backlog>::default();
    let mut basic = Basic {
        id: 0,
        state: State::Free,
        outgoing: VecDeque::new(),
        greeting: Some(Vec::new()),
        doubtful: false,
    };
    let mut tick = interval(SETTLED);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    let mut silence = Silence::default();
    let mut course = line.course();
    let mut finish = false;
    loop {
        basic.pump(session);
        let holding = backlog.total() > BOUND || basic.greeting_size() > GREETING;
        session.hold(holding);
        let lost = session.lost_since().is_some();
        let free = matches!(basic.state, State::Free);
        let taken = matches!(basic.state, State::Taken(_));
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
                    basic.doubtful |= !free;
                    line.report(Status::Lost { why, connections: usize::from(taken) });
                    None
                }
                Event::Retrying(error) => { trouble.report(error, line); None }
                Event::Resumed(after) => {
                    trouble = Trouble::default();
                    line.report(Status::Resumed { after });
                    None
                }
                Event::Ended(why) => Some(why),
                Event::Ready(_)
                | Event::ExitCode(_)
                | Event::Publication(true)
                | Event::Writable
                | Event::FlagTaken
                | Event::Heard => None,
            },
            Some(local) = inbox.recv() => {
                basic.take(local, session);
                None
            }
            accepted = line.next(free && !lost), if free || lost => {
                basic.id += 1;
                let connection =
                    Connection::start(basic.id, accepted.stream, accepted.peer, up.clone(), backlog.clone());
                basic.serve(connection);
                None
            }
            reason = watch.gone() => Some(SessionError::TaskGone { task: place.target.task_id.clone(), reason }),
            () = backlog.fell(), if holding => None,
            _ = tick.tick() => {
                watch.tick(Instant::now(), &Signs {
                    silent_since: session.unacknowledged_since().filter(|_| !lost && !holding),
                    heard: session.agent_heard(),
                    waiting: !lost && taken,
                    doubt: lost && trouble.is_not_the_network(),
                });
                let patience = if line.is_wanted() { QUIET_IN_LINE } else { QUIET };
                if let Some(peer) = basic.give_up(Instant::now(), patience, session.is_drained()) {
                    line.report(Status::Unanswered { peer, after: patience });
                }
                let stake = if basic.outgoing.is_empty() { Stake::Something } else { Stake::Unread };
                silence.watch(session, stake, usize::from(taken), line)
            }
            word = word(&mut course, finish) => {
                if word == Course::Leave {
                    return End::Stopped { unsent: basic.unsent(session) + line.waiting() };
                }
                finish = true;
                None
            }
        };
        if finish {
            basic.close_done(session);
            if basic.is_idle() && !line.is_wanted() {
                return End::Stopped { unsent: 0 };
            }
        }
        let over = over.or_else(|| basic.is_used_up().then_some(SessionError::Mixed));
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
    /// Whether bytes of the last connection may come however late.
    doubtful: bool,
}

enum State {
    /// The next client may come.
    Free,
    Taken(Client),
    /// The client is gone; what was read from it goes out, then the flag.
    Draining,
    /// The agent was told; what it sends before it has heard belongs to nobody.
    Told,
    /// It has heard. Since when nothing has come.
    Settling(Instant),
}

struct Client {
    connection: Connection,
    /// Whether the agent has connected for this client: what comes before is another's.
    connected: bool,
    /// Since when it sends no more and nothing came for it.
    closing: Option<Instant>,
}

impl Basic {
    fn greeting_size(&self) -> usize {
        self.greeting.iter().flatten().map(Bytes::len).sum()
    }

    /// Whether no client is there, and the agent has heard of the last one's end.
    fn is_idle(&self) -> bool {
        matches!(self.state, State::Free | State::Settling(_))
    }

    /// Lets go of a client that sends no more: nobody waits for an answer any more.
    fn close_done<C: Cloud>(&mut self, session: &mut Session<C>) {
        if matches!(&self.state, State::Taken(Client { closing: Some(_), .. })) && self.outgoing.is_empty() {
            drop(self.end());
            self.pump(session);
        }
    }

    /// 1 if a client has sent something that may not have arrived.
    fn unsent<C: Cloud>(&self, session: &Session<C>) -> usize {
        usize::from(!self.outgoing.is_empty() || !session.is_drained())
    }

    fn serve(&mut self, mut connection: Connection) {
        // The first time the agent connects by itself, later with the first bytes.
        let connected = self.greeting.is_some();
        for bytes in self.greeting.take().unwrap_or_default() {
            connection.send(bytes);
        }
        self.state = State::Taken(Client { connection, connected, closing: None });
    }

    fn receive(&mut self, bytes: Bytes) {
        match (&mut self.state, &mut self.greeting) {
            (State::Taken(client), _) if client.connected => {
                if client.closing.is_some() {
                    client.closing = Some(Instant::now());
                }
                client.connection.send(bytes);
            }
            (State::Settling(since), _) => *since = Instant::now(),
            (State::Free, Some(greeting)) => greeting.push(bytes),
            _ => {}
        }
    }

    fn take<C: Cloud>(&mut self, local: Local, session: &mut Session<C>) {
        let State::Taken(client) = &mut self.state else { return };
        match local {
            Local::Data(id, bytes) if id == self.id => self.outgoing.push_back(bytes),
            Local::HalfClosed(id) if id == self.id => client.closing = Some(Instant::now()),
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
            let rest = (room < bytes.len()).then(|| bytes.split_off(room));
            if let State::Taken(client) = &mut self.state {
                client.connected |= !bytes.is_empty();
            }
            if !bytes.is_empty() {
                session.write(bytes);
            }
            if let Some(rest) = rest {
                self.outgoing.push_front(rest);
                return;
            }
            if let State::Taken(client) = &self.state {
                client.connection.grant();
            }
        }
        if matches!(self.state, State::Draining) {
            session.flag(Flag::DisconnectToPort);
            self.state = State::Told;
        }
        if matches!(self.state, State::Told) && session.is_drained() {
            self.state = State::Settling(Instant::now());
        }
        if matches!(self.state, State::Settling(since) if since.elapsed() >= SETTLED) {
            self.state = State::Free;
        }
    }

    /// Whether nobody may be served any more: after a loss the agent repeats what it takes for
    /// lost, however late.
    fn is_used_up(&self) -> bool {
        self.doubtful && matches!(self.state, State::Settling(_) | State::Free)
    }

    /// Resets a client that has closed its side, and got nothing for longer than `patience` since
    /// all that it sent has arrived (`drained`).
    fn give_up(&mut self, now: Instant, patience: Duration, drained: bool) -> Option<SocketAddr> {
        let State::Taken(Client { connection, closing: Some(since), .. }) = &mut self.state else {
            return None;
        };
        if !drained || !self.outgoing.is_empty() || connection.backlog() > 0 {
            *since = now;
        }
        if now.saturating_duration_since(*since) < patience {
            return None;
        }
        let client = self.end()?;
        let peer = client.peer;
        client.reset();
        Some(peer)
    }

    fn end(&mut self) -> Option<Connection> {
        match std::mem::replace(&mut self.state, State::Draining) {
            State::Taken(client) => Some(client.connection),
            state => {
                self.state = state;
                None
            }
        }
    }
}
