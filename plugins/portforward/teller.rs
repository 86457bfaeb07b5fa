//! Tells how it goes: lines on stderr, JSON on stdout, from a thread of its own, so that a
//! terminal that stands still (Ctrl-S) holds nothing else up.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ecsx::ecs::Target;
use ecsx::session::forward::{Destination, Status, place};
use ecsx::ui::{Explain as _, Ui};
use serde_json::{Value, json};

/// Events that may wait for the terminal.
const WAITING: usize = 1024;
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_millis(300);

/// A forward, as it is spoken of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) remote: Destination,
    /// Addresses of its local ports.
    pub(crate) local: Vec<Vec<SocketAddr>>,
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
        let printer = Voice { ui, json, ready: vec![false; subjects.len()], subjects, lost: lost.clone() };
        let thread = thread::spawn(move || printer.speak(&events));
        (Self { to, lost }, Printer(thread))
    }

    /// An event of the forward of that number. Never blocks.
    pub(crate) fn tell(&self, forward: usize, status: Status) {
        if self.to.try_send((forward, status)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that prints.
pub(crate) struct Printer(JoinHandle<()>);

impl Printer {
    /// Waits for the last lines, once nobody can tell anything any more; not for long, and not
    /// beyond `deadline`.
    pub(crate) fn finish(self, deadline: Instant) {
        let deadline = deadline.min(Instant::now() + PATIENCE);
        while !self.0.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Voice {
    ui: Ui,
    json: bool,
    subjects: Vec<Subject>,
    ready: Vec<bool>,
    lost: Arc<AtomicUsize>,
}

impl Voice {
    fn speak(mut self, events: &Receiver<(usize, Status)>) {
        for (forward, status) in events {
            self.say(forward, &status);
            if self.json {
                self.print(forward, &status);
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
                for addresses in &subject.local {
                    self.ui.status(&forwarding(addresses, &subject.remote, target));
                }
                let version = agent_version.as_deref().unwrap_or("unknown");
                self.ui.detail(&format!("session {session_id}, agent version {version}"));
            }
            Status::Retrying(error) => {
                self.ui.warn(&line);
                error.hints().iter().for_each(|hint| self.ui.status(&format!("hint: {hint}")));
            }
            Status::OldAgent(_)
            | Status::Refused { .. }
            | Status::Stalled { .. }
            | Status::Unanswered { .. }
            | Status::GaveUp { .. } => {
                self.ui.warn(&line);
            }
            Status::Ended { reset, .. } if *reset > 0 => self.ui.warn(&line),
            Status::Lost { .. } | Status::Resumed { .. } | Status::Ended { .. } | Status::Retargeted(_) => {
                self.ui.status(&line);
            }
        }
    }

    fn print(&self, forward: usize, status: &Status) {
        let subject = &self.subjects[forward];
        let locals = match status {
            Status::Ready { .. } => &subject.local[..],
            _ => &subject.local[..1],
        };
        let mut stdout = std::io::stdout().lock();
        for addresses in locals {
            // A reader that has gone wants nothing more; the forward goes on.
            let _ = writeln!(stdout, "{}", event(status, &subject.remote, addresses));
        }
        let _ = stdout.flush();
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
        Status::Resumed { after } => put("after_seconds", json!(after.as_secs_f64())),
        Status::Ended { why, reset } => {
            put("reason", json!(why.to_string()));
            put("connections", json!(reset));
        }
        Status::Refused { task, peer, .. } => {
            put("task", json!(task));
            put("peer", json!(peer.to_string()));
        }
        Status::Stalled { peer, backlog } => {
            put("peer", json!(peer.map(|peer| peer.to_string())));
            put("bytes", json!(backlog));
        }
        Status::Unanswered { peer, after } => {
            put("peer", json!(peer.to_string()));
            put("after_seconds", json!(after.as_secs_f64()));
        }
        Status::GaveUp { connections } => put("connections", json!(connections)),
        Status::OldAgent(advice) => put("advice", json!(advice)),
    }
    event
}
