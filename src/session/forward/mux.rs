//! Many local connections over one session: each is an smux stream.
//!
//! A task may have gone while nobody used it, and a byte sent twice is worse than one that waits.
//! So after a pause of the agent's only the SYN of a connection goes out, and nothing is read from
//! its client until the agent has given a sign of life: if none comes, the next session has it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, interval_at};

use crate::ecs::Cloud;
use crate::session::{Event, Session, SessionError};
use crate::ssm::channel::PAYLOAD_SIZE;
use crate::ssm::smux::{self, StreamId};

use super::connection::{Backlog, CHUNK, Connection, Local};
use super::ending::Ending;
use super::line::{Accepted, Course, Line, sleep_until, word};
use super::serve::{End, Place, Trouble};
use super::silence::{Silence, Stake};
use super::status::Status;
use crate::session::fate::{Signs, Watch};

/// Bytes written to the session at once: two messages of the data channel, lest bulk go in
/// frames that an agent may take twice unnoticed (see [`smux`]).
const PIECE: usize = 2 * PAYLOAD_SIZE;
/// Streams remembered whose client left without an answer.
const LEFT: usize = 1024;
/// Local input taken before the session is heard again.
const BATCH: usize = 32;
/// How long ago the agent may have been heard to count as there.
const FRESH: Duration = Duration::from_secs(3);
/// How long a SYN may be on its way before one looks after the task, but for a tick.
const DOUBT: Duration = Duration::from_millis(1500);
/// How often one looks whether all has arrived, once the clients are done.
const GLANCE: Duration = Duration::from_millis(100);
/// For how long nothing may move before a client counts as done that does not close.
const QUIET: Duration = Duration::from_secs(1);
/// How long a client that sends no more may get nothing before one says why.
const WAITS: Duration = Duration::from_secs(30);
/// Backlog of a client that has the session for itself, from which on its server waits.
const SOFT: usize = 4 << 20;
/// Backlog of all clients from which on everything waits. smux version 1 has no window per
/// stream: below this bound a client that does not read costs the others nothing, above it
/// they wait for it. Nothing is ever dropped.
pub const HARD: usize = 64 << 20;

/// Serves local connections over `session` until it ends or the word to stop comes.
pub(super) async fn relay<C: Cloud>(
    session: &mut Session<C>,
    keep_alive: bool,
    place: &Place<'_>,
    watch: &mut Watch<C>,
    line: &mut Line,
) -> End {
    let (up, mut inbox) = mpsc::channel(BATCH);
    let mut mux = Mux {
        client: smux::Client::new(Instant::now(), keep_alive),
        connections: HashMap::new(),
        ending: Ending::default(),
        unproven: VecDeque::new(),
        used: false,
        owing: Vec::new(),
        failures: 0,
        fins: 0,
        left: HashSet::new(),
        reached: false,
        backlog: Arc::default(),
        up,
        holding: false,
        stalled: false,
        explained: false,
        over: None,
    };
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    let mut silence = Silence::default();
    let mut course = line.course();
    // Since when nothing moves, once the clients are done.
    let mut still = None;
    loop {
        mux.prove(session.agent_heard());
        mux.pump(session);
        mux.weigh(session, line);
        let lost = session.lost_since().is_some();
        if !lost {
            mux.ending.settle(Instant::now(), session.unacknowledged_since());
        }
        tokio::select! {
            event = session.next() => match event {
                Event::Data(_, bytes) => {
                    mux.prove(session.agent_heard());
                    mux.receive(bytes, place, line);
                }
                Event::ConnectFailed => mux.failures += 1,
                Event::Publication(false) => watch.paused(session.agent_heard()),
                Event::Lost(why) => line.report(Status::Lost { why, connections: mux.connections() }),
                Event::Retrying(error) => trouble.report(error, line),
                Event::Resumed(after) => {
                    trouble = Trouble::default();
                    line.report(Status::Resumed { after });
                }
                Event::Ended(why) => mux.over = Some(why),
                Event::Ready(_)
                | Event::ExitCode(_)
                | Event::Publication(true)
                | Event::Writable
                | Event::FlagTaken
                | Event::Heard => {}
            },
            Some(local) = inbox.recv() => {
                still = still.map(|_| Instant::now());
                mux.take(local);
                for _ in 1..BATCH {
                    let Ok(local) = inbox.try_recv() else { break };
                    mux.take(local);
                }
                if still.is_some() {
                    mux.close_done();
                }
            }
            accepted = line.next(!lost) => mux.open(accepted, session),
            reason = watch.gone() => {
                mux.over = Some(SessionError::TaskGone { task: place.target.task_id.clone(), reason });
            }
            () = mux.backlog.fell(), if mux.holding => {}
            () = sleep_until(mux.ending.deadline(Instant::now())) => {}
            _ = tick.tick() => {
                let now = Instant::now();
                line.gave_up(mux.give_up(now));
                mux.explain(now, line);
                watch.tick(now, &Signs {
                    silent_since: session.unacknowledged_since().filter(|_| !lost && !mux.holding),
                    heard: session.agent_heard(),
                    waiting: !lost && mux.connections() > 0,
                    doubt: match lost {
                        true => trouble.is_not_the_network(),
                        false => mux.unproven.front().is_some_and(|first| now >= first.since + DOUBT),
                    },
                });
                mux.over = silence.watch(session, mux.stake(), mux.connections(), line);
                if let Some(since) = &mut still {
                    let unsent = mux.unsent(session) + line.waiting();
                    if unsent > 0 {
                        *since = now;
                    }
                    let closed = mux.connections.is_empty() && mux.ending.is_empty() && mux.fins == 0;
                    if unsent == 0 && (closed || now.saturating_duration_since(*since) >= QUIET) {
                        return End::Stopped { unsent };
                    }
                }
            }
            word = word(&mut course, still.is_some()) => {
                if word == Course::Leave {
                    return End::Stopped { unsent: mux.unsent(session) + line.waiting() };
                }
                still = Some(Instant::now());
                mux.close_done();
                tick = interval_at(tokio::time::Instant::now() + GLANCE, GLANCE);
            }
        }
        if let Some(why) = mux.over.take() {
            line.take_back(mux.unproven.drain(..).map(|unproven| unproven.accepted));
            return End::Over { why, reset: mux.reset() };
        }
    }
}

/// A connection whose SYN is all that was sent of it.
struct Unproven {
    id: StreamId,
    accepted: Accepted,
    since: Instant,
}

struct Mux {
    client: smux::Client,
    connections: HashMap<StreamId, Connection>,
    /// Those whose stream is closed at the remote end.
    ending: Ending,
    /// Oldest first; nothing is read from them.
    unproven: VecDeque<Unproven>,
    /// Whether bytes of a client may not have arrived yet.
    used: bool,
    /// Streams whose connection gets a credit back once its data is out.
    owing: Vec<StreamId>,
    /// Flags that said a destination could not be reached, and no FIN yet that says which.
    failures: usize,
    /// Streams that were closed here and are not yet at the remote end.
    fins: usize,
    /// Streams whose client left before anything came: the FIN of one may still explain a flag.
    left: HashSet<StreamId>,
    /// Whether anything ever answered in this session.
    reached: bool,
    backlog: Arc<Backlog>,
    up: mpsc::Sender<Local>,
    holding: bool,
    /// Whether the hard bound was hit and said.
    stalled: bool,
    /// Whether it was said that a half-closed client may wait for ever.
    explained: bool,
    over: Option<SessionError>,
}

impl Mux {
    fn open<C: Cloud>(&mut self, accepted: Accepted, session: &mut Session<C>) {
        let Some(id) = self.client.open() else {
            self.over = Some(SessionError::Broken("all its stream numbers are used".into()));
            return;
        };
        let since = Instant::now();
        if session.agent_heard().is_some_and(|heard| since.saturating_duration_since(heard) < FRESH) {
            return self.start(id, accepted);
        }
        self.unproven.push_back(Unproven { id, accepted, since });
        session.tell_when_heard();
    }

    /// The agent was `heard` then: whoever came before may send.
    fn prove(&mut self, heard: Option<Instant>) {
        while let Some(unproven) = self.unproven.pop_front_if(|unproven| heard > Some(unproven.since)) {
            self.start(unproven.id, unproven.accepted);
        }
    }

    /// Resets connections that have waited for the agent for too long. Says how many.
    fn give_up(&mut self, now: Instant) -> usize {
        let mut late = 0;
        while let Some(unproven) = self.unproven.pop_front_if(|unproven| unproven.accepted.is_late(now)) {
            self.close(unproven.id);
            late += 1;
        }
        late
    }

    fn start(&mut self, id: StreamId, Accepted { stream, peer, .. }: Accepted) {
        let connection = Connection::start(id, stream, peer, self.up.clone(), self.backlog.clone());
        self.connections.insert(id, connection);
    }

    fn connections(&self) -> usize {
        self.connections.len() + self.unproven.len()
    }

    /// Local connection → stream.
    fn take(&mut self, local: Local) {
        match local {
            Local::Data(id, bytes) if self.connections.contains_key(&id) => {
                self.client.write(id, bytes);
                self.used = true;
                self.owing.push(id);
            }
            // A FIN would close both directions and lose the answer: the stream stays open
            // until the remote end closes it, or the client is gone altogether.
            Local::HalfClosed(id) => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.half_closed = Some(Instant::now());
                }
            }
            Local::Data(..) => {}
            Local::Gone(id) => {
                if let Some(connection) = self.connections.remove(&id) {
                    self.close(id);
                    if !connection.answered && self.left.len() < LEFT {
                        self.left.insert(id);
                    }
                }
            }
        }
    }

    fn close(&mut self, id: StreamId) {
        self.client.close(id);
        self.fins += 1;
    }

    /// Closes the streams of clients that send no more: nobody waits for an answer any more.
    fn close_done(&mut self) {
        let done = |(id, connection): (&StreamId, &Connection)| connection.half_closed.map(|_| *id);
        for id in self.connections.iter().filter_map(done).collect::<Vec<_>>() {
            self.take(Local::Gone(id));
        }
    }

    /// Says, once, what a client may wait for that has closed its side.
    fn explain(&mut self, now: Instant, line: &Line) {
        let waits = |since: Instant| now.saturating_duration_since(since) >= WAITS;
        let late = |connection: &&Connection| connection.half_closed.is_some_and(waits);
        if !self.explained
            && let Some(connection) = self.connections.values().find(late)
        {
            self.explained = true;
            line.report(Status::HalfClosed { peer: connection.peer, after: WAITS });
        }
    }

    /// How many connections have sent something that may not have arrived; at least one if any has.
    fn unsent<C: Cloud>(&self, session: &Session<C>) -> usize {
        let arrived = self.unproven.is_empty() && !self.client.wants_transmit() && session.is_drained();
        if arrived { 0 } else { (self.connections() + self.fins).max(1) }
    }

    /// Session → streams → local connections.
    fn receive(&mut self, bytes: Bytes, place: &Place<'_>, line: &Line) {
        self.client.receive(bytes);
        while let Some(event) = self.client.poll_event() {
            match event {
                smux::Event::Data(id, bytes) => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        self.reached = true;
                        connection.send(bytes);
                    }
                }
                smux::Event::Finished(id, unsent) => {
                    self.client.close(id);
                    let Some(connection) = self.connections.remove(&id) else { continue };
                    if connection.answered || self.failures == 0 {
                        // An end is none for a client that was never answered, and not heard out.
                        let whole = unsent == 0 || connection.answered;
                        self.ending.hold(connection, Instant::now(), whole);
                        continue;
                    }
                    self.failures -= 1;
                    line.report(place.refused(connection.peer));
                    connection.reset();
                    // The agent looks a name up once per session: after a failover only a new
                    // session finds the new address.
                    let is_alone = self.connections.is_empty() && self.ending.is_empty();
                    if self.reached && is_alone && place.has_name() {
                        self.over = Some(SessionError::Stale { host: place.remote.to_string() });
                    }
                }
                smux::Event::Closed(id) => {
                    self.fins = self.fins.saturating_sub(1);
                    self.failures -= usize::from(self.left.remove(&id) && self.failures > 0);
                }
                smux::Event::Broken(what) => self.over = Some(SessionError::Broken(what.to_owned())),
            }
        }
    }

    /// Streams → session, as far as the window goes.
    fn pump<C: Cloud>(&mut self, session: &mut Session<C>) {
        let now = Instant::now();
        loop {
            let room = session.capacity();
            if room == 0 {
                break;
            }
            match self.client.poll_transmit(now, room.min(PIECE)) {
                Some(bytes) => session.write(bytes),
                None => break,
            }
        }
        self.used &= self.client.wants_transmit() || !session.is_drained();
        let (client, connections) = (&self.client, &self.connections);
        self.owing.retain(|id| {
            let waits = client.queued(*id) >= CHUNK;
            if !waits && let Some(connection) = connections.get(id) {
                connection.grant();
            }
            waits
        });
    }

    /// Decides whether the session may go on reading.
    fn weigh<C: Cloud>(&mut self, session: &mut Session<C>, line: &Line) {
        let total = self.backlog.total();
        // Once holding, it must fall well below a bound before it counts as kept again.
        let above = |bound: usize| total > if self.holding { bound / 4 * 3 } else { bound };
        let alone = || session.is_drained() && !self.connections.values().any(|c| c.backlog() == 0);
        let hard = above(HARD);
        self.holding = hard || (above(SOFT) && alone());
        session.hold(self.holding);
        if hard && !std::mem::replace(&mut self.stalled, true) {
            let slowest = self.connections.values().max_by_key(|connection| connection.backlog());
            line.report(Status::Stalled { peer: slowest.map(|c| c.peer), backlog: total });
        }
        if total < SOFT {
            self.stalled = false;
        }
    }

    /// What would be lost with the session.
    fn stake(&self) -> Stake {
        match self.used || !self.connections.is_empty() {
            false => Stake::Nothing,
            true if self.owing.is_empty() => Stake::Something,
            true => Stake::Unread,
        }
    }

    /// Resets all connections, and says how many there were.
    fn reset(self) -> usize {
        let count = self.connections.len();
        self.connections.into_values().for_each(Connection::reset);
        count + self.ending.reset()
    }
}
