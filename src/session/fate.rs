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
/// Pauses asked for, with nothing heard of the agent between, that make one look.
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

/// What a session looks like from outside.
pub(super) struct Signs {
    /// When the oldest unacknowledged message was sent.
    pub(super) silent_since: Option<Instant>,
    /// When the agent last gave a sign of life.
    pub(super) heard: Option<Instant>,
    /// Whether clients wait for the agent.
    pub(super) waiting: bool,
    /// Whether there is another reason to look.
    pub(super) doubt: bool,
}

/// When it is time to look.
struct Suspicion {
    looks: u32,
    next: Instant,
    pauses: u32,
    heard: Option<Instant>,
}

impl Suspicion {
    fn new(now: Instant) -> Self {
        Self { looks: 0, next: now, pauses: 0, heard: None }
    }

    fn hear(&mut self, heard: Option<Instant>) {
        if heard > self.heard {
            self.heard = heard;
            self.pauses = 0;
            self.looks = 0;
        }
    }

    fn paused(&mut self, heard: Option<Instant>) {
        self.hear(heard);
        self.pauses += 1;
    }

    fn is_due(&mut self, now: Instant, signs: &Signs) -> bool {
        self.hear(signs.heard);
        let longer = |since: Option<Instant>, than| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= than)
        };
        let silent = signs.silent_since;
        let urgent = signs.doubt || longer(silent, DOUBT) || (self.pauses >= PAUSES && silent.is_some());
        if !(urgent || (signs.waiting && longer(signs.heard, QUIET))) || now < self.next {
            return false;
        }
        self.looks = self.looks.saturating_add(u32::from(urgent));
        self.next = now + if urgent { AGAIN[usize::from(self.looks > EAGER)] } else { QUIET };
        true
    }
}

/// Looks after the task of one session.
pub(super) struct Watch<C> {
    cloud: Arc<C>,
    target: Target,
    look: Option<Look>,
    suspicion: Suspicion,
}

impl<C: Cloud> Watch<C> {
    pub(super) fn new(cloud: Arc<C>, target: Target) -> Self {
        Self { cloud, target, look: None, suspicion: Suspicion::new(Instant::now()) }
    }

    /// The gateway asks to pause: it does so when the agent is gone, among other reasons. `heard`:
    /// when the agent last gave a sign of life.
    pub(super) fn paused(&mut self, heard: Option<Instant>) {
        self.suspicion.paused(heard);
    }

    /// Looks if there is reason to.
    pub(super) fn tick(&mut self, now: Instant, signs: &Signs) {
        if self.look.is_none() && self.suspicion.is_due(now, signs) {
            let (cloud, target) = (self.cloud.clone(), self.target.clone());
            self.look = Some(Box::pin(async move { of(&*cloud, &target).await }));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn signs(silent_since: Option<Instant>, heard: Instant, waiting: bool) -> Signs {
        Signs { silent_since, heard: Some(heard), waiting, doubt: false }
    }

    #[test]
    fn a_task_that_dies_while_clients_only_wait_is_looked_at_every_half_minute() {
        let start = Instant::now();
        let mut suspicion = Suspicion::new(start);
        let due = (0..=120).filter(|s| suspicion.is_due(start + *s * SECOND, &signs(None, start, true)));
        assert_eq!(due.collect::<Vec<_>>(), [30, 60, 90, 120]);
        let mut suspicion = Suspicion::new(start);
        let idle = (0..=120).find(|s| suspicion.is_due(start + *s * SECOND, &signs(None, start, false)));
        assert_eq!(idle, None, "nobody waits: the idle timeout may come");
    }

    #[test]
    fn silence_after_data_is_looked_at_soon_and_then_less_often() {
        let start = Instant::now();
        let mut suspicion = Suspicion::new(start);
        let silent = signs(Some(start), start, true);
        let due = (0..=120).filter(|s| suspicion.is_due(start + *s * SECOND, &silent));
        assert_eq!(due.collect::<Vec<_>>(), [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 63, 93]);
    }

    #[test]
    fn pauses_count_only_while_the_agent_says_nothing_acknowledgements_included() {
        let start = Instant::now();
        let mut suspicion = Suspicion::new(start);
        for second in 0..100 {
            // An upload: the agent acknowledges, and the gateway pauses now and then.
            let now = start + second * SECOND;
            suspicion.paused(Some(now));
            assert!(!suspicion.is_due(now, &signs(Some(now), now, true)), "after {second} s");
        }
        let last = start + 99 * SECOND;
        suspicion.paused(Some(last));
        assert!(suspicion.is_due(last + SECOND, &signs(Some(last), last, true)), "two without a word");
    }
}
