//! Local connections on their way to a session: accepted, and waiting for one if there is none.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::connection::distrust;
use super::descriptors::Descriptors;
use super::listen::Listener;
use super::status::{Report, Status};

/// Connections that may wait for a session; further ones wait in the kernel.
const WAITING: usize = 128;
/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long none is accepted that cannot be had now.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a forward goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// For as long as it can.
    On,
    /// Until all that clients have sent has arrived: whoever they were, they are done.
    Finish,
    /// No longer.
    Leave,
}

/// A local connection just accepted. Dropped, it is reset.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    at: Instant,
}

impl Accepted {
    /// Whether it has waited for as long as one may.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= PATIENCE
    }
}

/// What a forward's sessions have in common: the local connections to come, how long to go on, and
/// somebody to tell.
pub(super) struct Line {
    accepted: mpsc::Receiver<Accepted>,
    waiting: VecDeque<Accepted>,
    course: watch::Receiver<Course>,
    report: Report,
    _accepting: JoinSet<()>,
}

impl Line {
    /// Starts to accept on all listeners.
    pub(super) fn new(
        listeners: Vec<Listener>,
        course: watch::Receiver<Course>,
        report: Report,
    ) -> std::io::Result<Self> {
        let (to, accepted) = mpsc::channel(1);
        let mut accepting = JoinSet::new();
        let sockets: Vec<_> = listeners.into_iter().flat_map(|listener| listener.sockets).collect();
        let descriptors = Arc::new(Descriptors::new(sockets.len(), report.clone()));
        for socket in sockets {
            accepting.spawn(accept(TcpListener::from_std(socket)?, to.clone(), descriptors.clone()));
        }
        Ok(Self { accepted, waiting: VecDeque::new(), course, report, _accepting: accepting })
    }

    pub(super) fn report(&self, status: Status) {
        (self.report)(status);
    }

    /// How long to go on.
    pub(super) fn course(&self) -> watch::Receiver<Course> {
        self.course.clone()
    }

    /// The next connection, those that waited first. Without a session (`open` is false) it
    /// takes connections in to wait, and never returns. Cancel-safe.
    pub(super) async fn next(&mut self, open: bool) -> Accepted {
        loop {
            self.expire(Instant::now());
            if open && let Some(accepted) = self.waiting.pop_front() {
                return accepted;
            }
            let expiry = self.waiting.front().map(|first| first.at + PATIENCE);
            let room = self.waiting.len() < WAITING;
            tokio::select! {
                Some(accepted) = self.accepted.recv(), if room => self.waiting.push_back(accepted),
                () = sleep_until(expiry), if expiry.is_some() => {}
                else => std::future::pending().await,
            }
        }
    }

    /// Takes back connections that a session could do nothing for: they are the first to have
    /// another one, in their order.
    pub(super) fn take_back(&mut self, connections: impl DoubleEndedIterator<Item = Accepted>) {
        let at = Instant::now();
        connections.rev().for_each(|accepted| self.waiting.push_front(Accepted { at, ..accepted }));
    }

    /// Connections that wait for a session.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody waits for a session.
    pub(super) fn is_wanted(&self) -> bool {
        !(self.waiting.is_empty() && self.accepted.is_empty())
    }

    /// Waits until somebody wants a session.
    pub(super) async fn wanted(&mut self) {
        while self.waiting.is_empty() {
            match self.accepted.recv().await {
                Some(accepted) => self.waiting.push_back(accepted),
                None => std::future::pending().await,
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let mut connections = 0;
        while self.waiting.pop_front_if(|first| first.is_late(now)).is_some() {
            connections += 1;
        }
        self.gave_up(connections);
    }

    /// Tells of connections that have waited for too long, if there are any.
    pub(super) fn gave_up(&self, connections: usize) {
        if connections > 0 {
            self.report(Status::GaveUp { connections });
        }
    }
}

/// Waits for the word to leave. That nobody is left to say it is one, too.
pub(super) async fn stopped(course: &mut watch::Receiver<Course>) {
    let _ = course.wait_for(|course| *course == Course::Leave).await;
}

/// Waits for the word to leave, or to finish unless that is `known`. Says which.
pub(super) async fn word(course: &mut watch::Receiver<Course>, known: bool) -> Course {
    let news = |course: &Course| *course == Course::Leave || (*course == Course::Finish && !known);
    course.wait_for(news).await.map_or(Course::Leave, |course| *course)
}

/// Waits for an instant, if there is one.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn accept(listener: TcpListener, to: mpsc::Sender<Accepted>, descriptors: Arc<Descriptors>) {
    loop {
        if descriptors.are_short(&listener) {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                distrust(&stream);
                if to.send(Accepted { stream, peer, at: Instant::now() }).await.is_err() {
                    return;
                }
            }
            // Out of memory, or a client gone already: others wait in the kernel.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
