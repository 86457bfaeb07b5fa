//! What silence means: a task that is gone, or a session that is about to time out.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use crate::ecs::{Cloud, Target};
use crate::session::fate::{self, Fate};

/// Silence of the agent after which the task is looked at.
const SILENCE: Duration = Duration::from_secs(5);
/// Time between two looks in a long silence in which nobody owes an answer: all looks of an account
/// share one budget.
const QUIET: Duration = Duration::from_secs(15);
/// Silence of ours after which ECS is about to end the session. It does at 20 minutes.
const IDLE: Duration = Duration::from_secs(18 * 60);
/// How often `--keepalive` speaks.
const KEEPALIVE: Duration = Duration::from_secs(5 * 60);

type Look = Pin<Box<dyn Future<Output = Fate> + Send>>;

/// Looks after the task of one session. A killed task says no goodbye.
pub(super) struct Vigil<C> {
    cloud: Arc<C>,
    target: Target,
    look: Option<Look>,
    /// When the agent was heard or the task looked at.
    since: Instant,
    patience: Duration,
    leaving: bool,
}

impl<C: Cloud> Vigil<C> {
    pub(super) fn new(cloud: Arc<C>, target: Target, now: Instant) -> Self {
        Self { cloud, target, look: None, since: now, patience: SILENCE, leaving: false }
    }

    /// The agent gave a sign of life.
    pub(super) fn heard(&mut self, now: Instant) {
        (self.since, self.patience) = (now, SILENCE);
    }

    /// Looks if it was silent for long enough. `waiting`: something of ours is unacknowledged, or
    /// the connection is gone.
    pub(super) fn tick(&mut self, now: Instant, waiting: bool) {
        let patience = if waiting { SILENCE } else { self.patience };
        if self.look.is_none() && now.saturating_duration_since(self.since) >= patience {
            (self.since, self.patience) = (now, QUIET.min(self.patience + SILENCE));
            let (cloud, target) = (self.cloud.clone(), self.target.clone());
            self.look = Some(Box::pin(async move { fate::of(&*cloud, &target).await }));
        }
    }

    /// News of the task: it is gone, or will be (told once). Cancel-safe.
    pub(super) async fn news(&mut self) -> Fate {
        poll_fn(|cx| {
            let Some(look) = &mut self.look else { return Poll::Pending };
            let fate = ready!(look.as_mut().poll(cx));
            self.look = None;
            match fate {
                Fate::Gone(_) => Poll::Ready(fate),
                Fate::Leaving if !std::mem::replace(&mut self.leaving, true) => Poll::Ready(fate),
                _ => Poll::Pending,
            }
        })
        .await
    }
}

/// The clock that ECS ends idle sessions by: it counts from our last input.
#[derive(Debug)]
pub(super) struct Idle {
    spoke: Instant,
    warned: bool,
    keepalive: bool,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Warning,
    Keepalive,
}

impl Idle {
    pub(super) fn new(now: Instant, keepalive: bool) -> Self {
        Self { spoke: now, warned: false, keepalive }
    }

    /// Something was sent.
    pub(super) fn spoke(&mut self, now: Instant) {
        self.spoke = now;
        self.warned = false;
    }

    pub(super) fn tick(&mut self, now: Instant) -> Due {
        let silent = now.saturating_duration_since(self.spoke);
        if self.keepalive {
            return if silent >= KEEPALIVE { Due::Keepalive } else { Due::Nothing };
        }
        if silent >= IDLE && !std::mem::replace(&mut self.warned, true) { Due::Warning } else { Due::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_warning_comes_once_at_18_minutes_and_again_after_input() {
        let start = Instant::now();
        let mut idle = Idle::new(start, false);
        assert_eq!(idle.tick(start + 17 * MINUTE), Due::Nothing);
        assert_eq!(idle.tick(start + 18 * MINUTE), Due::Warning);
        assert_eq!(idle.tick(start + 19 * MINUTE), Due::Nothing);
        idle.spoke(start + 19 * MINUTE);
        assert_eq!(idle.tick(start + 36 * MINUTE), Due::Nothing);
        assert_eq!(idle.tick(start + 37 * MINUTE), Due::Warning);
    }

    #[test]
    fn keepalive_speaks_instead() {
        let start = Instant::now();
        let mut idle = Idle::new(start, true);
        assert_eq!(idle.tick(start + 4 * MINUTE), Due::Nothing);
        assert_eq!(idle.tick(start + 5 * MINUTE), Due::Keepalive);
        idle.spoke(start + 5 * MINUTE);
        assert_eq!(idle.tick(start + 9 * MINUTE), Due::Nothing);
    }
}
