//! Whether the task behind a session is still there. A killed task says no goodbye: the gateway
//! goes on as if nothing were, only acknowledgements stop.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::ecs::{Cloud, Target};

/// Silence that makes one look.
const DOUBT: Duration = Duration::from_secs(3);
/// Pauses asked for, with nothing acknowledged between, that make one look.
const PAUSES: u32 = 2;
/// Between two looks, first and later.
const AGAIN: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];
/// How long the agent may say nothing to a client that waits, before one looks; and then again.
const QUIET: Duration = Duration::from_secs(30);
/// Looks before they become rarer.
const EAGER: u32 = 10;

/// What DescribeTasks makes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs, and is to run.
    Running,
    /// It runs, and ECS is about to stop it.
    Leaving,
    /// It is gone, or its container is another one now.
    Gone(String),
    /// Nobody could tell.
    Unknown,
}

/// Asks ECS.
pub(super) async fn of<C: Cloud>(cloud: &C, target: &Target) -> Fate {
    let arns = [target.task_arn.clone()];
    let Ok(Ok(tasks)) = timeout(Duration::from_secs(10), cloud.describe_tasks(&target.cluster, &arns)).await
    else {
        return Fate::Unknown;
    };
    let Some(task) = tasks.first() else { return Fate::Gone("ECS knows it no more".into()) };
    let stopped = || match &task.stopped_reason {
        Some(reason) => Fate::Gone(format!("{}, {reason}", task.last_status)),
        None => Fate::Gone(task.last_status.clone()),
    };
    if !matches!(task.last_status.as_str(), "RUNNING" | "ACTIVATING" | "PENDING" | "PROVISIONING") {
        return stopped();
    }
    match task.containers.iter().find(|container| container.name == target.container) {
        Some(container) if container.last_status == "STOPPED" => Fate::Gone("its container stopped".into()),
        Some(container) if container.runtime_id.as_ref().is_some_and(|id| *id != target.runtime_id) => {
            Fate::Gone("its container was restarted".into())
        }
        Some(container) if container.exec_agent.as_ref().is_some_and(|(status, _)| status == "STOPPED") => {
            Fate::Gone("its ExecuteCommandAgent stopped".into())
        }
        _ if task.desired_status == "STOPPED" => Fate::Leaving,
        _ => Fate::Running,
    }
}

type Look = Pin<Box<dyn Future<Output = Fate> + Send>>;

/// Looks after the task of one session.
pub(super) struct Watch<C> {
    cloud: Arc<C>,
    target: Target,
    look: Option<Look>,
    looks: u32,
    next: Instant,
    pauses: u32,
}

impl<C: Cloud> Watch<C> {
    pub(super) fn new(cloud: Arc<C>, target: Target) -> Self {
        Self { cloud, target, look: None, looks: 0, next: Instant::now(), pauses: 0 }
    }

    /// The gateway asks to pause: it does so when the agent is gone, among other reasons.
    pub(super) fn paused(&mut self) {
        self.pauses += 1;
    }

    /// The agent gave a sign of life.
    pub(super) fn alive(&mut self) {
        self.pauses = 0;
        self.looks = 0;
    }

    /// Looks if there is reason to: `silent_since` is when the oldest unacknowledged message was
    /// sent, `heard` when the agent last said anything to clients that wait for it, `doubt`
    /// another reason.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        silent_since: Option<Instant>,
        heard: Option<Instant>,
        doubt: bool,
    ) {
        let longer = |since: Option<Instant>, than| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= than)
        };
        let urgent =
            doubt || longer(silent_since, DOUBT) || (self.pauses >= PAUSES && silent_since.is_some());
        if !(urgent || longer(heard, QUIET)) || self.look.is_some() || now < self.next {
            return;
        }
        self.looks = self.looks.saturating_add(u32::from(urgent));
        self.next = now + if urgent { AGAIN[usize::from(self.looks > EAGER)] } else { QUIET };
        let (cloud, target) = (self.cloud.clone(), self.target.clone());
        self.look = Some(Box::pin(async move { of(&*cloud, &target).await }));
    }

    /// Why the task is gone, once it is. Cancel-safe.
    pub(super) async fn gone(&mut self) -> String {
        poll_fn(|cx| {
            let Some(look) = &mut self.look else { return std::task::Poll::Pending };
            let fate = std::task::ready!(look.as_mut().poll(cx));
            self.look = None;
            match fate {
                Fate::Gone(reason) => std::task::Poll::Ready(reason),
                _ => std::task::Poll::Pending,
            }
        })
        .await
    }
}
