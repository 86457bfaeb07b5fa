//! What silence means: a task or an agent that is gone, or a session that is about to time out.

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

/// Silence of an agent that owes an answer, after which a person is told, and the session given up.
const DOUBT: Duration = Duration::from_secs(12);
const MUTE: Duration = Duration::from_secs(75);
/// Unacknowledged input, bytes, with which an agent may be stuck: a terminal whose program does not
/// read takes some kilobytes. Then only the session's own, longer patience counts.
const STUCK: usize = 4 << 10;
/// Quiet in both directions after which the agent is asked for a sign of life, once.
const ASK: Duration = Duration::from_secs(60);
/// Ticks further apart than this: the machine slept.
const SLEPT: Duration = Duration::from_secs(5);

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

/// Whether there still is an agent, while the link is up.
#[derive(Debug)]
pub(super) struct Agent {
    /// Since when it owes an answer and could give it.
    owes: Option<Instant>,
    told: bool,
    /// Bytes sent since all was acknowledged.
    input: usize,
    /// When a byte went either way, or it was asked.
    active: Instant,
    asked: bool,
    ticked: Instant,
}

/// What to make of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// All is well, or nobody knows.
    Fine,
    /// Quiet for a while: something harmless is to be sent, which it has to acknowledge.
    Ask,
    /// It has owed an answer for so long; said once.
    Doubtful(Duration),
    /// It is not there.
    Mute(Duration),
}

impl Agent {
    pub(super) fn new(now: Instant) -> Self {
        Self { owes: None, told: false, input: 0, active: now, asked: false, ticked: now }
    }

    /// So many bytes went to the command, or came from it (0).
    pub(super) fn active(&mut self, sent: usize, now: Instant) {
        self.input = self.input.saturating_add(sent);
        (self.active, self.asked) = (now, false);
    }

    /// Whether a person was told that it may be gone.
    pub(super) fn is_doubtful(&self) -> bool {
        self.told
    }

    /// `drained`: all is acknowledged. `silent`: since when it could have said something and has
    /// not, though it was sent something.
    pub(super) fn tick(&mut self, now: Instant, drained: bool, silent: Option<Instant>) -> Sign {
        let slept = now.saturating_duration_since(std::mem::replace(&mut self.ticked, now)) > SLEPT;
        if drained {
            self.input = 0;
        }
        let Some(silent) = silent.filter(|_| !slept && self.input <= STUCK) else {
            (self.owes, self.told) = (None, false);
            let quiet = drained && now.saturating_duration_since(self.active) >= ASK;
            return if quiet && !std::mem::replace(&mut self.asked, true) { Sign::Ask } else { Sign::Fine };
        };
        let owes = *self.owes.get_or_insert(now);
        let silence = now.saturating_duration_since(silent.max(owes));
        if silence >= MUTE {
            return Sign::Mute(silence);
        }
        if silence < DOUBT {
            self.told = false;
        } else if !std::mem::replace(&mut self.told, true) {
            return Sign::Doubtful(silence);
        }
        Sign::Fine
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

    /// What is said of an agent, second by second, that is silent since `silent` tells.
    fn signs(
        agent: &mut Agent,
        start: Instant,
        drained: bool,
        silent: impl Fn(u64) -> Option<u64>,
    ) -> Vec<(u64, Sign)> {
        let at = |second| start + Duration::from_secs(second);
        let ticks = (0..200).map(|second| (second, agent.tick(at(second), drained, silent(second).map(at))));
        ticks.filter(|(_, sign)| *sign != Sign::Fine).take(2).collect()
    }

    #[test]
    fn an_agent_that_owes_an_answer_is_doubted_and_then_given_up() {
        let start = Instant::now();
        let said = signs(&mut Agent::new(start), start, false, |_| Some(0));
        assert_eq!(said, [(12, Sign::Doubtful(DOUBT)), (75, Sign::Mute(MUTE))]);
    }

    #[test]
    fn silence_counts_only_while_the_agent_could_speak_and_should() {
        let start = Instant::now();
        assert_eq!(signs(&mut Agent::new(start), start, false, |_| None), [], "the link is down");
        let alive = signs(&mut Agent::new(start), start, false, |second| Some(second / 10 * 10));
        assert_eq!(alive, [], "an upload: something is always on its way");
        let mut pasted = Agent::new(start);
        pasted.active(STUCK + 1, start);
        assert_eq!(signs(&mut pasted, start, false, |_| Some(0)), []);
        let slept = Agent::new(start).tick(start + 60 * MINUTE, false, Some(start));
        assert_eq!(slept, Sign::Fine);
    }

    #[test]
    fn in_a_long_quiet_the_agent_is_asked_once() {
        let start = Instant::now();
        let said = signs(&mut Agent::new(start), start, true, |_| None);
        assert_eq!(said, [(60, Sign::Ask)]);
    }
}
