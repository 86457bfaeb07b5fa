//! Tells how it goes: lines on stderr, JSON on stdout, from a thread of its own, so that a
//! terminal that stands still (Ctrl-S) holds nothing else up.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ecsx::ecs::Target;
use ecsx::session::forward::{Destination, Status, place};
use ecsx::ui::{Explain as _, Failure, Ui};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Events that may wait for the terminal.
const WAITING: usize = 1024;
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// A forward, as it is spoken of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) remote: Destination,
    /// Its local ports.
    pub(crate) local: Vec<Local>,
}

/// A local port.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// The addresses that it listens on.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Where it leads, as written.
    pub(crate) written: Destination,
}

/// Where events are told.
#[derive(Clone)]
pub(crate) struct Teller {
    to: SyncSender<(usize, Status)>,
    lost: Arc<AtomicUsize>,
}

impl Teller {
    /// `json`: also on stdout.
    pub(crate) fn start(ui: Ui, json: bool, subjects: Vec<Subject>) -> (Self, Printer) {
        let (to, events) = sync_channel(WAITING);
        let lost = Arc::new(AtomicUsize::new(0));
        let (broken, failure) = mpsc::channel(1);
        let ready = vec![false; subjects.len()];
        let voice = Voice { ui, json, ready, subjects, lost: lost.clone(), broken };
        let thread = thread::spawn(move || voice.speak(&events));
        (Self { to, lost }, Printer { thread, failure })
    }

    /// An event of the forward of that number. Never blocks.
    pub(crate) fn tell(&self, forward: usize, status: Status) {
        if self.to.try_send((forward, status)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that prints.
pub(crate) struct Printer {
    thread: JoinHandle<()>,
    failure: mpsc::Receiver<Failure>,
}

impl Printer {
    /// Waits until stdout cannot be written. Cancel-safe.
    pub(crate) async fn failed(&mut self) -> Failure {
        match self.failure.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Waits for the last lines, once nobody can tell anything any more; not for long, and not
    /// beyond `deadline`. Fails if stdout could not be written.
    pub(crate) fn finish(mut self, deadline: Instant) -> Result<(), Failure> {
        wait(&self.thread, deadline.min(Instant::now() + PATIENCE));
        self.failure.try_recv().map_or(Ok(()), Err)
    }
}

fn wait<T>(thread: &JoinHandle<T>, deadline: Instant) {
    while !thread.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Prints how all ended, as the last events. A success that nobody could be told of is a failure.
pub(crate) fn conclude(done: Result<u8, Failure>) -> Result<u8, Failure> {
    let mut text = String::new();
    let code = done.as_ref().copied().unwrap_or_else(Failure::exit_code);
    if let Err(failure) = &done {
        let event = json!({"event": "error", "message": message(failure), "hints": failure.hints(), "exit_code": code});
        text += &format!("{event}\n");
    }
    text += &format!("{}\n", json!({"event": "exit", "exit_code": code}));
    let thread = thread::spawn(move || write(&text));
    wait(&thread, Instant::now() + PATIENCE);
    match (thread.is_finished().then(|| thread.join()), done) {
        (Some(Ok(Err(failure))), Ok(0)) => Err(failure),
        (_, done) => done,
    }
}

/// With its causes, as far as it does not say them itself.
fn message(failure: &Failure) -> String {
    let mut text = failure.error().to_string();
    let mut cause = failure.error().source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        cause = error.source();
    }
    text
}

/// Writes to stdout. A reader that has gone wants nothing more, and that is all right.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("cannot write to stdout", error))
        }
        _ => Ok(()),
    }
}

struct Voice {
    ui: Ui,
    json: bool,
    subjects: Vec<Subject>,
    ready: Vec<bool>,
    lost: Arc<AtomicUsize>,
    broken: mpsc::Sender<Failure>,
}

impl Voice {
    fn speak(mut self, events: &Receiver<(usize, Status)>) {
        for (forward, status) in events {
            self.say(forward, &status);
            if self.json
                && let Err(failure) = write(&self.events(forward, &status))
            {
                // One is enough.
                let _ = self.broken.try_send(failure);
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                self.ui.warn(&format!("{lost} messages left out: this terminal did not take them"));
            }
        }
    }

    fn say(&mut self, forward: usize, status: &Status) {
        let subject = &self.subjects[forward];
        let line = match &self.subjects[..] {
            [_] => status.to_string(),
            _ => format!("{}: {status}", subject.remote),
        };
        match status {
            Status::Ready { target, session_id, agent_version } => {
                if std::mem::replace(&mut self.ready[forward], true) {
                    return self.ui.status(&line);
                }
                for Local { addresses, written } in &subject.local {
                    self.ui.status(&forwarding(addresses, written, target));
                }
                let version = agent_version.as_deref().unwrap_or("unknown");
                self.ui.detail(&format!("session {session_id}, agent version {version}"));
            }
            Status::Retrying(error) => {
                self.ui.warn(&line);
                error.hints().iter().for_each(|hint| self.ui.status(&format!("hint: {hint}")));
            }
            Status::OldAgent(_)
            | Status::Silent { .. }
            | Status::Refused { .. }
            | Status::Stalled { .. }
            | Status::Unanswered { .. }
            | Status::HalfClosed { .. }
            | Status::Crowded { .. }
            | Status::LeftOpen { .. }
            | Status::GaveUp { .. } => {
                self.ui.warn(&line);
            }
            Status::Ended { reset, .. } if *reset > 0 => self.ui.warn(&line),
            Status::Lost { .. } | Status::Resumed { .. } | Status::Ended { .. } | Status::Retargeted(_) => {
                self.ui.status(&line);
            }
        }
    }

    /// A line for each local port that is ready; one for what else there is to tell.
    fn events(&self, forward: usize, status: &Status) -> String {
        let subject = &self.subjects[forward];
        let locals = match status {
            Status::Ready { .. } => &subject.local[..],
            _ => &subject.local[..1],
        };
        let line = |local: &Local| format!("{}\n", event(status, &subject.remote, &local.addresses));
        locals.iter().map(line).collect()
    }
}

/// `Forwarding 127.0.0.1:15432 (and [::1]) -> db.internal:5432 through …`.
fn forwarding(addresses: &[SocketAddr], remote: &Destination, target: &Target) -> String {
    let mut text = "Forwarding ".to_owned();
    for (at, address) in addresses.iter().enumerate() {
        let ip = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        text += &match at {
            0 => address.to_string(),
            1 => format!(" (and {ip}"),
            _ => format!(", {ip}"),
        };
    }
    if addresses.len() > 1 {
        text.push(')');
    }
    format!("{text} -> {remote} through {}", place(target))
}

fn event(status: &Status, remote: &Destination, addresses: &[SocketAddr]) -> Value {
    let first = addresses.first();
    let mut event = json!({
        "event": status.name(),
        "local_host": first.map(|address| address.ip().to_string()),
        "local_port": first.map(SocketAddr::port),
        "address": addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "remote_host": remote.host,
        "remote_port": remote.port,
    });
    let mut put = |name: &str, value: Value| event[name] = value;
    let mut put_target = |target: &Target| {
        put("region", json!(target.region));
        put("cluster", json!(target.cluster));
        put("service", json!(target.service));
        put("task", json!(target.task_id));
        put("container", json!(target.container));
    };
    match status {
        Status::Ready { target, session_id, agent_version } => {
            put_target(target);
            put("session_id", json!(session_id));
            put("agent_version", json!(agent_version));
        }
        Status::Retargeted(target) => put_target(target),
        Status::Lost { why, connections } => {
            put("reason", json!(why));
            put("connections", json!(connections));
        }
        Status::Retrying(error) => put("reason", json!(error.to_string())),
        Status::Silent { after, connections } => {
            put("after_seconds", json!(after.as_secs_f64()));
            put("connections", json!(connections));
        }
        Status::Resumed { after } => put("after_seconds", json!(after.as_secs_f64())),
        Status::Ended { why, reset, kept } => {
            put("reason", json!(why.to_string()));
            put("connections", json!(reset));
            put("kept", json!(kept));
        }
        Status::Refused { task, peer, .. } => {
            put("task", json!(task));
            put("peer", json!(peer.to_string()));
        }
        Status::Stalled { peer, backlog } => {
            put("peer", json!(peer.map(|peer| peer.to_string())));
            put("bytes", json!(backlog));
        }
        Status::Unanswered { peer, after } | Status::HalfClosed { peer, after } => {
            put("peer", json!(peer.to_string()));
            put("after_seconds", json!(after.as_secs_f64()));
        }
        Status::Crowded { limit } => put("limit", json!(limit)),
        Status::LeftOpen { session_id } => put("session_id", json!(session_id)),
        Status::GaveUp { connections } => put("connections", json!(connections)),
        Status::OldAgent(advice) => put("advice", json!(advice)),
    }
    event
}
