//! A session: what joins a client's WebSocket, through the gateway, to an agent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::gateway::{Order, messages};

/// What the agent is asked to do: an SSM document and its parameters.
#[derive(Debug, Clone)]
pub(crate) enum Document {
    /// AWS-StartPortForwardingSession, and …ToRemoteHost when there is a host.
    Port { host: Option<String>, port: u16, local_port: String },
    /// AWS-StartSSHSession: one raw stream.
    Ssh { port: u16 },
    /// A command on a pty: ECS ExecuteCommand, AWS-StartInteractiveCommand.
    Command { command: String, kms_key: Option<String> },
    /// A shell on a pty.
    Shell,
}

impl Document {
    /// Its name in SSM.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Port { host: None, .. } => "AWS-StartPortForwardingSession",
            Self::Port { .. } => "AWS-StartPortForwardingSessionToRemoteHost",
            Self::Ssh { .. } => "AWS-StartSSHSession",
            Self::Command { .. } => "AmazonECS-ExecuteInteractiveCommand",
            Self::Shell => "SSM-SessionManagerRunShell",
        }
    }
}

/// What StartSession, ExecuteCommand and ResumeSession answer.
pub(crate) struct Ticket {
    pub(crate) session_id: String,
    pub(crate) stream_url: String,
    pub(crate) token: String,
}

/// What the gateway wants of an agent, besides the frames it passes on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// There is a client to send to (start_publication, pause_publication).
    pub(crate) publish: bool,
    /// Each client that connects counts one.
    pub(crate) connections: u64,
    /// The session is over: stop.
    pub(crate) stop: bool,
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The TerminateSession API.
    Api,
    /// The client's TerminateSession flag.
    Flag,
    /// The agent: its work was done or failed.
    Agent,
    /// The admin interface.
    Admin,
}

/// One session.
pub(crate) struct Session {
    /// Sessions are numbered as they come.
    pub(crate) number: usize,
    pub(crate) id: String,
    /// `ecs:CLUSTER_TASKID_RUNTIMEID`.
    pub(crate) target: String,
    pub(crate) task: String,
    pub(crate) container: String,
    pub(crate) document: Document,
    pub(crate) started: SystemTime,
    pub(crate) counters: Counters,
    pub(crate) to_agent: mpsc::Sender<Bytes>,
    pub(crate) wishes: watch::Sender<Wishes>,
    /// Held by the connection of the moment.
    pub(crate) from_agent: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
    state: Mutex<State>,
    since_cut: Mutex<(u64, u64)>,
}

#[derive(Default)]
struct State {
    token: String,
    ended: Option<Ending>,
    connection: Option<mpsc::UnboundedSender<Order>>,
    agent: Option<tokio::task::AbortHandle>,
}

/// What tests want to know of a session.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) resumes: AtomicU64,
    pub(crate) frames_to_client: AtomicU64,
    pub(crate) frames_to_agent: AtomicU64,
    pub(crate) acks_to_client: AtomicU64,
    pub(crate) acks_to_agent: AtomicU64,
    pub(crate) bytes_to_client: AtomicU64,
    pub(crate) bytes_to_agent: AtomicU64,
    /// Frames that the agent sent again.
    pub(crate) agent_resent: AtomicU64,
    /// Stream messages that the agent had already.
    pub(crate) agent_duplicates: AtomicU64,
    /// Largest number of bytes sent by the agent and not acknowledged.
    pub(crate) agent_unacked: AtomicU64,
    /// TCP connections opened by the agent.
    pub(crate) dials: AtomicU64,
    /// The client has sent the TerminateSession flag.
    pub(crate) flagged: AtomicBool,
}

impl Counters {
    fn to_json(&self) -> Value {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "connections": get(&self.connections), "resumes": get(&self.resumes),
            "frames_to_client": get(&self.frames_to_client), "frames_to_agent": get(&self.frames_to_agent),
            "acks_to_client": get(&self.acks_to_client), "acks_to_agent": get(&self.acks_to_agent),
            "bytes_to_client": get(&self.bytes_to_client), "bytes_to_agent": get(&self.bytes_to_agent),
            "agent_resent": get(&self.agent_resent), "agent_duplicates": get(&self.agent_duplicates),
            "agent_unacked_max": get(&self.agent_unacked), "dials": get(&self.dials),
            "terminate_flag": self.flagged.load(Ordering::Relaxed),
        })
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Session {
    pub(crate) fn new(
        number: usize,
        id: String,
        target: String,
        (task, container): (String, String),
        document: Document,
        to_agent: mpsc::Sender<Bytes>,
        from_agent: mpsc::Receiver<Bytes>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            id,
            target,
            task,
            container,
            document,
            started: SystemTime::now(),
            counters: Counters::default(),
            to_agent,
            wishes: watch::Sender::default(),
            from_agent: tokio::sync::Mutex::new(from_agent),
            state: Mutex::default(),
            since_cut: Mutex::default(),
        })
    }

    /// Bytes to the agent and to the client since the last cut that the faults asked for.
    pub(crate) fn since_cut(&self) -> MutexGuard<'_, (u64, u64)> {
        self.since_cut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// Whether this is the token of the last Start or Resume.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        let state = self.state();
        state.ended.is_none() && state.token == token
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state().ended.is_some()
    }

    pub(crate) fn set_agent(&self, agent: tokio::task::AbortHandle) {
        self.state().agent = Some(agent);
    }

    /// The agent vanishes with its task: nobody says so to the client.
    pub(crate) fn kill_agent(&self) {
        if let Some(agent) = &self.state().agent {
            agent.abort();
        }
    }

    /// A client has connected; its predecessor, if any, is let go.
    pub(crate) fn connect(&self) -> mpsc::UnboundedReceiver<Order> {
        let (orders, receiver) = mpsc::unbounded_channel();
        count(&self.counters.connections, 1);
        self.state().connection = Some(orders);
        self.wishes.send_modify(|wishes| {
            wishes.publish = true;
            wishes.connections += 1;
        });
        receiver
    }

    /// The connection that `orders` led to has ended, and with it publication unless there is a newer one.
    pub(crate) fn disconnect(&self, orders: &mpsc::UnboundedReceiver<Order>) {
        let mut state = self.state();
        if !orders.is_closed() {
            state.connection = None;
            self.wishes.send_modify(|wishes| wishes.publish = false);
        }
    }

    /// Tells the connection of the moment to do something; `false` if there is none.
    pub(crate) fn order(&self, order: Order) -> bool {
        self.state().connection.as_ref().is_some_and(|connection| connection.send(order).is_ok())
    }

    /// Ends the session, once: the client gets channel_closed with `output`, the agent stops.
    pub(crate) fn end(&self, ending: Ending, output: &str) {
        if self.state().ended.replace(ending).is_some() {
            return;
        }
        self.order(Order::Send(messages::channel_closed(&self.id, output)));
        self.wishes.send_modify(|wishes| wishes.stop = true);
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut json = self.counters.to_json();
        let state = self.state();
        json["id"] = json!(self.id);
        json["target"] = json!(self.target);
        json["container"] = json!(self.container);
        json["document"] = json!(self.document.name());
        json["connected"] = json!(state.connection.is_some());
        json["ended"] = json!(state.ended.map(|ending| format!("{ending:?}").to_lowercase()));
        json
    }
}
