//! What becomes of an agent that says nothing while ECS says that its task runs: a word to the
//! user, then another session.

use std::time::{Duration, Instant};

use crate::ecs::Cloud;
use crate::session::{Session, SessionError};

use super::line::Line;
use super::status::Status;

/// Silence that the user is told of. It ends a session that has nothing to lose.
const WORD: Duration = Duration::from_secs(10);
/// Silence that ends a session, unless a destination may be behind it: then the session itself
/// has its bound.
const END: Duration = Duration::from_secs(60);

/// What would be lost with the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stake {
    /// Connections wait at most, and another session may have them as they are.
    Nothing,
    /// Connections, or their last bytes.
    Something,
    /// The same, and a client has more to send than may go: a destination that does not read
    /// makes its agent say nothing, too.
    Unread,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// Tell that it has been silent for so long.
    Tell(Duration),
    /// Tell that it speaks again, after so long.
    Over(Duration),
    /// End the session.
    End(Duration),
}

/// What the user knows.
#[derive(Debug, Default)]
pub(super) struct Silence {
    told: Option<Instant>,
}

impl Silence {
    /// To be called every second or so. `connections`: how many wait for the agent. An error ends
    /// the session.
    pub(super) fn watch<C: Cloud>(
        &mut self,
        session: &Session<C>,
        stake: Stake,
        connections: usize,
        line: &Line,
    ) -> Option<SessionError> {
        match self.check(Instant::now(), session.silent_since(), session.agent_heard(), stake) {
            Due::Tell(after) if connections > 0 => line.report(Status::Silent { after, connections }),
            Due::Over(after) => line.report(Status::Resumed { after }),
            Due::End(after) => return Some(SessionError::Mute { seconds: after.as_secs() }),
            Due::Nothing | Due::Tell(_) => {}
        }
        None
    }

    /// `since`: [`Session::silent_since`]. `heard`: when the agent last gave a sign
    /// of life.
    fn check(&mut self, now: Instant, since: Option<Instant>, heard: Option<Instant>, stake: Stake) -> Due {
        if let Some(told) = self.told
            && heard > Some(told)
        {
            self.told = None;
            return Due::Over(now.saturating_duration_since(told));
        }
        let Some(since) = since else { return Due::Nothing };
        let silence = now.saturating_duration_since(since);
        match stake {
            Stake::Nothing if silence >= WORD => Due::End(silence),
            Stake::Something if silence >= END => Due::End(silence),
            _ if silence >= WORD && self.told.is_none() => {
                self.told = Some(since);
                Due::Tell(silence)
            }
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What becomes due in which second, if the agent is silent in `silent` and owes an answer
    /// from 0 on.
    fn course(stake: Stake, silent: impl Fn(u32) -> Option<u32>) -> Vec<(u32, Due)> {
        let start = Instant::now();
        let mut silence = Silence::default();
        let mut heard = start;
        let mut course = Vec::new();
        for second in 0..200 {
            let now = start + second * SECOND;
            let since = silent(second).map(|since| start + since * SECOND);
            heard = since.map_or(heard, |since| heard.max(since));
            let due = silence.check(now, since, Some(heard), stake);
            let ended = matches!(due, Due::End(_));
            if due != Due::Nothing {
                course.push((second, due));
            }
            if ended {
                break;
            }
        }
        course
    }

    #[test]
    fn the_user_is_told_after_ten_seconds_and_the_session_ends_after_a_minute() {
        let course = course(Stake::Something, |_| Some(0));
        assert_eq!(course, [(10, Due::Tell(10 * SECOND)), (60, Due::End(60 * SECOND))]);
    }

    #[test]
    fn a_session_that_has_nothing_to_lose_ends_sooner() {
        assert_eq!(course(Stake::Nothing, |_| Some(0)), [(10, Due::End(10 * SECOND))]);
    }

    #[test]
    fn a_destination_that_does_not_read_is_told_of_and_waited_for() {
        assert_eq!(course(Stake::Unread, |_| Some(0)), [(10, Due::Tell(10 * SECOND))]);
    }

    #[test]
    fn an_agent_that_speaks_again_is_told_of_and_has_as_long_again() {
        let course = course(Stake::Something, |second| Some(if second < 30 { 0 } else { 30 }));
        assert_eq!(
            course,
            [
                (10, Due::Tell(10 * SECOND)),
                (30, Due::Over(30 * SECOND)),
                (40, Due::Tell(10 * SECOND)),
                (90, Due::End(60 * SECOND))
            ]
        );
    }

    #[test]
    fn an_agent_that_could_not_be_heard_was_not_silent() {
        // Every 9 s the socket is lost for a while.
        let course = course(Stake::Something, |second| (second % 9 < 5).then_some(second / 9 * 9));
        assert_eq!(course, []);
    }
}
