//! All that a running sandbox is: the account, its sessions, what misbehaves, what was called.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::faults::Faults;
use crate::session::{Document, Session, Ticket, count};
use crate::world::{Cluster, Container, Fixture, Task, World};
use crate::{admin, agent};

/// The secret of the sandbox's key, which is none: the key's id is, for API calls are not verified.
pub(crate) const SECRET_ACCESS_KEY: &str = "sandbox";

/// Frames that wait between gateway and agent. The agent stops reading its sources beyond.
const QUEUE: usize = 64;

/// A data key that KMS has made.
struct DataKey {
    key: String,
    plaintext: [u8; 64],
    context: BTreeMap<String, String>,
}

/// A running sandbox.
pub(crate) struct Sandbox {
    /// The port it listens on.
    pub(crate) port: u16,
    /// Keys: the last is the only one it takes, those before have expired. Another user of this machine cannot guess
    /// one, and so cannot run commands as this one.
    keys: Mutex<Vec<String>>,
    /// What the admin interface asks for, in its path.
    secret: String,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    sessions: Mutex<BTreeMap<String, Arc<Session>>>,
    calls: Mutex<BTreeMap<String, u64>>,
    outage: Mutex<Option<Instant>>,
    /// Data keys by what KMS would have encrypted them to.
    data_keys: Mutex<BTreeMap<Vec<u8>, DataKey>>,
    /// For the agents, which outlive the call that starts them.
    itself: std::sync::Weak<Self>,
}

impl Sandbox {
    pub(crate) fn new(port: u16, mut fixture: Fixture) -> Arc<Self> {
        let faults = std::mem::take(&mut fixture.faults);
        Arc::new_cyclic(|itself| Self {
            port,
            keys: Mutex::new(vec![new_key()]),
            secret: random_hex(),
            world: Mutex::new(World::new(fixture)),
            faults: Mutex::new(faults),
            sessions: Mutex::default(),
            calls: Mutex::default(),
            outage: Mutex::default(),
            data_keys: Mutex::default(),
            itself: itself.clone(),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        lock(&self.sessions)
    }

    /// The key that it takes.
    pub(crate) fn access_key_id(&self) -> String {
        lock(&self.keys).last().cloned().unwrap_or_default()
    }

    /// Whether this key was taken once.
    pub(crate) fn has_expired(&self, key: &str) -> bool {
        let keys = lock(&self.keys);
        keys.iter().rev().skip(1).any(|old| old == key)
    }

    /// The key expires; answers the one that is taken from now on.
    pub(crate) fn expire_key(&self) -> String {
        let key = new_key();
        lock(&self.keys).push(key.clone());
        key
    }

    /// How often each API operation was called.
    pub(crate) fn calls(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        lock(&self.calls)
    }

    /// Until when nothing but the admin interface answers.
    pub(crate) fn outage(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.outage)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where the admin interface is, for those who may use it.
    pub(crate) fn admin(&self) -> String {
        format!("{}{}{}/", self.endpoint(), admin::ROOT, self.secret)
    }

    /// Whether this is the secret of the admin interface.
    pub(crate) fn is_admin(&self, secret: &str) -> bool {
        // Of hashes, so that the time it takes tells nothing.
        Sha256::digest(secret) == Sha256::digest(&self.secret)
    }

    /// What to export for programs to find the sandbox.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let region = self.world().region.clone();
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("AWS_REGION", region.clone()),
            ("AWS_DEFAULT_REGION", region.clone()),
            // Over the region of the project at hand: it is this sandbox that is meant.
            ("ECSX_REGION", region),
            ("ECSX_SANDBOX_ADMIN", self.admin()),
        ]
    }

    /// Opens a session to a container and starts its agent.
    pub(crate) fn start_session(
        &self,
        owner: &str,
        cluster: &Cluster,
        task: &Task,
        container: &Container,
        document: Document,
    ) -> Ticket {
        let id = format!("{owner}-{}", &random_hex()[..17]);
        let target = format!("ecs:{}_{}_{}", cluster.name, task.id, container.runtime_id);
        let (to_agent, agent_receives) = mpsc::channel(QUEUE);
        let (agent_sends, from_agent) = mpsc::channel(QUEUE);
        let place = (task.id.clone(), container.name.clone());
        let others = self.sessions().values().filter(|it| it.target == target && !it.is_over()).count();
        let session =
            Session::new(self.sessions().len(), id.clone(), target, place, document, to_agent, from_agent);
        let none = {
            let faults = self.faults();
            faults.no_agent || faults.session_limit.is_some_and(|limit| others >= limit)
        };
        if let (false, Some(sandbox)) = (none, self.itself.upgrade()) {
            let agent = agent::run(sandbox, session.clone(), agent_receives, agent_sends);
            session.set_agent(tokio::spawn(agent).abort_handle());
        }
        self.sessions().insert(id, session.clone());
        let url = self.faults().stream_url.clone();
        self.ticket(&session, url)
    }

    /// A new way into an open session.
    pub(crate) fn resume_session(&self, session: &Session) -> Ticket {
        count(&session.counters.resumes, 1);
        let url = self.faults().resume_stream_url.clone();
        self.ticket(session, url)
    }

    fn ticket(&self, session: &Session, url: Option<String>) -> Ticket {
        let token = random_hex();
        session.set_token(&token);
        // The cell number's raw +, / and = are a signer's trap (protocol.md 1.5).
        let url = url.unwrap_or_else(|| {
            "ws://127.0.0.1:{port}/v1/data-channel/{session}?role=publish_subscribe&cell-number=AAEC+Sandbox/AAA=".into()
        });
        let stream_url = url.replace("{port}", &self.port.to_string()).replace("{session}", &session.id);
        Ticket { session_id: session.id.clone(), stream_url, token }
    }

    /// A new data key, and what stands for it until it is decrypted.
    pub(crate) fn generate_data_key(
        &self,
        key: &str,
        context: BTreeMap<String, String>,
    ) -> ([u8; 64], Vec<u8>) {
        let (plaintext, blob) = (random(), random::<48>().to_vec());
        lock(&self.data_keys).insert(blob.clone(), DataKey { key: key.to_owned(), plaintext, context });
        (plaintext, blob)
    }

    /// The data key that was made with this key and exactly this context.
    pub(crate) fn decrypt_data_key(
        &self,
        key: &str,
        blob: &[u8],
        context: &[(&str, &str)],
    ) -> Option<[u8; 64]> {
        let keys = lock(&self.data_keys);
        let found = keys.get(blob)?;
        let same =
            context.iter().all(|(name, value)| found.context.get(*name).is_some_and(|given| given == value));
        (same && found.context.len() == context.len() && found.key == key).then_some(found.plaintext)
    }

    /// Stops a task as ECS would, and its agents with it: no channel_closed is sent.
    pub(crate) fn kill_task(&self, task: &str, reason: &str) -> bool {
        let found = self.world().stop(task, reason);
        self.kill_agents(task);
        found
    }

    /// Stops a task's agents, and leaves the task running.
    pub(crate) fn stop_agents(&self, task: &str) -> bool {
        let found = self.world().stop_agents(task);
        self.kill_agents(task);
        found
    }

    fn kill_agents(&self, task: &str) {
        for session in self.sessions().values().filter(|session| session.task == task) {
            session.kill_agent();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Keys and secrets that can be guessed would be worse than no sandbox.
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

fn new_key() -> String {
    format!("AKIA{}", random_hex()[..16].to_uppercase())
}

/// 32 random hex digits.
pub(crate) fn random_hex() -> String {
    random::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}
