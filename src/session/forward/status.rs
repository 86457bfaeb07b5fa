//! What a forward tells of itself while it runs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::ecs::Target;
use crate::session::SessionError;

use super::spec::Destination;

/// Takes what a forward tells. It must not block: everything waits for it.
pub type Report = Arc<dyn Fn(Status) + Send + Sync>;

/// What a forward tells of itself.
#[derive(Debug, Clone)]
pub enum Status {
    /// A session is up, for the first time or again.
    Ready {
        /// Where it leads.
        target: Target,
        /// Its id.
        session_id: String,
        /// The agent's version, where it says.
        agent_version: Option<String>,
    },
    /// The agent's version brings a known trouble.
    OldAgent(String),
    /// The connection to the service is gone and is being brought back.
    Lost {
        /// Why.
        why: String,
        /// Local connections that wait for it.
        connections: usize,
    },
    /// An attempt to bring it back failed; more follow.
    Retrying(Arc<SessionError>),
    /// The agent says nothing though the connection to the service is there.
    Silent {
        /// For how long.
        after: Duration,
        /// Local connections that wait for it.
        connections: usize,
    },
    /// It is back, and the session went on.
    Resumed {
        /// How long it was away.
        after: Duration,
    },
    /// The session is over. The local port stays; another session follows when there is need.
    Ended {
        /// Why.
        why: Arc<SessionError>,
        /// Local connections that were reset with it.
        reset: usize,
        /// Local connections that nothing was sent for, and that another session serves.
        kept: usize,
    },
    /// Sessions go to another task from now on.
    Retargeted(Target),
    /// The destination could not be reached.
    Refused {
        /// Where to.
        remote: Destination,
        /// Seen from which task.
        task: String,
        /// The client whose connection was reset for it.
        peer: SocketAddr,
    },
    /// A client does not read; from now on everything in this session waits for it.
    Stalled {
        /// The client, if it is still known which.
        peer: Option<SocketAddr>,
        /// Bytes that wait for it.
        backlog: usize,
    },
    /// A client that sends no more, and to which nothing came for so long, was reset: its agent does
    /// not tell when the remote end is done.
    Unanswered {
        /// The client.
        peer: SocketAddr,
        /// How long nothing came.
        after: Duration,
    },
    /// A client that sends no more has waited for so long for what the remote end has to say, which
    /// cannot be told that it is done.
    HalfClosed {
        /// The client.
        peer: SocketAddr,
        /// How long nothing came.
        after: Duration,
    },
    /// Connections have taken all file descriptors that they may: further ones wait.
    Crowded {
        /// How many descriptors this process may have.
        limit: u64,
    },
    /// A session was left, and the service may not know.
    LeftOpen {
        /// Its id.
        session_id: String,
    },
    /// Clients that had waited too long for a session were reset.
    GaveUp {
        /// How many.
        connections: usize,
    },
}

impl Status {
    /// The name of this event in machine-readable output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::OldAgent(_) => "old_agent",
            Self::Lost { .. } => "reconnecting",
            Self::Retrying(_) => "retrying",
            Self::Silent { .. } => "silent",
            Self::Resumed { .. } => "resumed",
            Self::Ended { .. } => "ended",
            Self::Retargeted(_) => "retargeted",
            Self::Refused { .. } => "refused",
            Self::Stalled { .. } => "stalled",
            Self::Unanswered { .. } => "unanswered",
            Self::HalfClosed { .. } => "half_closed",
            Self::Crowded { .. } => "crowded",
            Self::LeftOpen { .. } => "left_open",
            Self::GaveUp { .. } => "gave_up",
        }
    }
}

fn count(connections: usize) -> String {
    match connections {
        1 => "1 connection".into(),
        n => format!("{n} connections"),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { target, session_id, .. } => {
                write!(f, "session {session_id} to {} is up", place(target))
            }
            Self::OldAgent(advice) => f.write_str(advice),
            Self::Lost { why, connections: 0 } => {
                write!(f, "connection to the service lost ({why}), reconnecting")
            }
            Self::Lost { why, connections } => {
                write!(
                    f,
                    "connection to the service lost ({why}), reconnecting; {} held",
                    count(*connections)
                )
            }
            Self::Retrying(error) => write!(f, "still reconnecting: {error}"),
            Self::Silent { after, connections } => write!(
                f,
                "the agent has acknowledged nothing for {} s; {} held",
                after.as_secs(),
                count(*connections)
            ),
            Self::Resumed { after } => write!(f, "resumed after {:.1} s", after.as_secs_f64()),
            Self::Ended { why, reset: 0, kept: 0 } => {
                write!(f, "{why}; the next connection opens another session")
            }
            Self::Ended { why, reset: 0, kept } => {
                write!(f, "{why}; opening another session for {}", count(*kept))
            }
            Self::Ended { why, reset, .. } => {
                write!(f, "{why}; {} reset, opening another session", count(*reset))
            }
            Self::Retargeted(target) => write!(f, "now through {}", place(target)),
            Self::Refused { remote, task, .. } => {
                write!(f, "{remote} cannot be reached from task {task}: {}", likely_cause(remote))
            }
            Self::Stalled { peer, backlog } => {
                let who = peer.map_or_else(|| "a client".to_owned(), |peer| format!("the client {peer}"));
                write!(
                    f,
                    "{who} does not read: {} MiB wait for it, and all connections of this forward with them",
                    backlog >> 20
                )
            }
            Self::Unanswered { peer, after } => write!(
                f,
                "the client {peer} was reset: it sends no more, nothing came for {} s, and this agent does not \
                 tell whether the remote end is done",
                after.as_secs()
            ),
            Self::HalfClosed { peer, after } => write!(
                f,
                "the client {peer} sends no more, and nothing came for {} s: the session cannot tell the \
                 remote end that a client is done, so a server that waits for that waits for ever",
                after.as_secs()
            ),
            Self::Crowded { limit } => write!(
                f,
                "connections have taken all but a few of {limit} file descriptors: further ones wait until \
                 others end (ulimit -n says how many there may be)"
            ),
            Self::LeftOpen { session_id } => write!(
                f,
                "session {session_id} could not be ended: it stays open until ECS finds it idle, and counts until then"
            ),
            Self::GaveUp { connections } => {
                write!(f, "{} reset: no session for too long", count(*connections))
            }
        }
    }
}

/// `cluster/service task 0123… container app`.
pub fn place(target: &Target) -> String {
    let short: String = target.task_id.chars().take(8).collect();
    let dots = if target.task_id.chars().count() > 8 { "…" } else { "" };
    let service = target.service.as_ref().map(|service| format!("/{service}")).unwrap_or_default();
    format!("{}{service} task {short}{dots} container {}", target.cluster, target.container)
}

fn likely_cause(remote: &Destination) -> &'static str {
    match &remote.host {
        Some(host) if host.parse::<std::net::IpAddr>().is_ok() => {
            "nothing listens there, or a security group or route is in the way"
        }
        Some(_) => "the name does not resolve there, nothing listens, or a security group is in the way",
        None => "nothing in the container listens on that port",
    }
}
