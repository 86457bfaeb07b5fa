//! Whether the other end of a WebSocket is still there, by pings and the clock jumps of a
//! machine that slept; and whether there is an agent behind it.

use std::time::{Duration, Instant, SystemTime};

/// Ping interval. Some networks drop a connection after 60 s of silence.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay without an answer of any kind.
const PATIENCE: Duration = Duration::from_secs(15);
/// The same when there is reason to doubt: the machine slept, or data is not acknowledged.
const DOUBT: Duration = Duration::from_secs(5);
/// How often the clocks are looked at.
const TICK: Duration = Duration::from_secs(5);

/// How long data may stay unacknowledged by an agent that says nothing at all: as long as
/// Amazon's client repeats itself. A destination that does not read looks the same, so no shorter.
pub(super) const MUTE: Duration = Duration::from_secs(5 * 60);

/// Whether the agent has said nothing for too long: `silent` is since when data is unacknowledged,
/// `heard` when it last gave a sign of life or had a new WebSocket to give one through.
pub(super) fn is_mute(now: Instant, silent: Option<Instant>, heard: Option<Instant>) -> bool {
    let Some(silent) = silent else { return false };
    now.saturating_duration_since(heard.map_or(silent, |heard| heard.max(silent))) >= MUTE
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this instant.
    At(Instant),
    /// Send a ping.
    Ping,
    /// Give the socket up: silent for so long.
    Dead(Duration),
}

#[derive(Debug)]
pub(super) struct Liveness {
    heard: Instant,
    /// Latest ping, and how long to wait for it.
    ping: Option<(Instant, Duration)>,
    next_ping: Instant,
    clocks: (Instant, SystemTime),
}

impl Liveness {
    /// A socket just opened: it is pinged at once.
    pub(super) fn new(now: Instant, wall: SystemTime) -> Self {
        Self { heard: now, ping: None, next_ping: now, clocks: (now, wall) }
    }

    /// Anything arrived.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.ping = None;
    }

    /// What is due now. `unacknowledged`: since when data waits for an acknowledgement.
    /// `deaf`: nothing is read on purpose, so silence proves nothing.
    pub(super) fn check(
        &mut self,
        now: Instant,
        wall: SystemTime,
        unacknowledged: Option<Instant>,
        deaf: bool,
    ) -> Due {
        let (then, wall_then) = self.clocks;
        let mono = now.saturating_duration_since(then);
        let jump = wall.duration_since(wall_then).unwrap_or_default().saturating_sub(mono);
        // Asleep, the monotonic clock stands still on some systems and runs on others.
        let slept = jump > TICK || mono > 3 * TICK;
        if mono >= TICK || slept {
            self.clocks = (now, wall);
        }
        if deaf {
            self.heard(now);
            return Due::At(now + TICK);
        }
        let waiting = unacknowledged.is_some_and(|since| now.saturating_duration_since(since) >= DOUBT);
        match self.ping {
            Some((sent, patience)) => {
                if !slept && now >= sent + patience {
                    return Due::Dead(now.saturating_duration_since(self.heard));
                }
                if slept {
                    self.ping = Some((now, DOUBT));
                    return Due::Ping;
                }
                Due::At((sent + patience).min(now + TICK))
            }
            None if slept || now >= self.next_ping || (waiting && now >= self.heard + DOUBT) => {
                self.next_ping = now + INTERVAL;
                self.ping = Some((now, if slept || waiting { DOUBT } else { PATIENCE }));
                Due::Ping
            }
            None => Due::At(self.next_ping.min(now + TICK)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock {
        now: Instant,
        wall: SystemTime,
    }

    impl Clock {
        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.wall += time;
        }
    }

    fn start() -> (Liveness, Clock) {
        let clock = Clock { now: Instant::now(), wall: SystemTime::now() };
        let mut liveness = Liveness::new(clock.now, clock.wall);
        assert_eq!(liveness.check(clock.now, clock.wall, None, false), Due::Ping, "at once after opening");
        liveness.heard(clock.now);
        (liveness, clock)
    }

    #[test]
    fn a_quiet_socket_is_pinged_every_thirty_seconds_and_lives() {
        let (mut liveness, mut clock) = start();
        let mut pings = 0;
        for _ in 0..120 {
            clock.pass(Duration::from_secs(1));
            match liveness.check(clock.now, clock.wall, None, false) {
                Due::Ping => {
                    pings += 1;
                    liveness.heard(clock.now);
                }
                Due::At(at) => assert!(at > clock.now),
                Due::Dead(_) => panic!("it answers"),
            }
        }
        assert_eq!(pings, 4);
    }

    #[test]
    fn a_ping_without_an_answer_is_the_end_after_fifteen_seconds() {
        let (mut liveness, mut clock) = start();
        clock.pass(Duration::from_secs(10));
        clock.pass(Duration::from_secs(20));
        liveness.clocks = (clock.now, clock.wall);
        assert_eq!(liveness.check(clock.now, clock.wall, None, false), Due::Ping);
        for _ in 0..14 {
            clock.pass(Duration::from_secs(1));
            assert!(matches!(liveness.check(clock.now, clock.wall, None, false), Due::At(_)));
        }
        clock.pass(Duration::from_secs(1));
        assert_eq!(liveness.check(clock.now, clock.wall, None, false), Due::Dead(Duration::from_secs(45)));
    }

    #[test]
    fn after_a_sleep_the_socket_must_prove_itself_at_once() {
        for (mono, wall) in [(0, 3600), (3600, 3600)] {
            let (mut liveness, mut clock) = start();
            clock.now += Duration::from_secs(mono);
            clock.wall += Duration::from_secs(wall);
            assert_eq!(liveness.check(clock.now, clock.wall, None, false), Due::Ping, "{mono}");
            clock.pass(DOUBT);
            assert!(matches!(liveness.check(clock.now, clock.wall, None, false), Due::Dead(_)), "{mono}");
        }
    }

    #[test]
    fn a_clock_set_back_is_no_sleep() {
        let (mut liveness, mut clock) = start();
        clock.wall -= Duration::from_secs(7200);
        clock.now += Duration::from_secs(1);
        assert!(matches!(liveness.check(clock.now, clock.wall, None, false), Due::At(_)));
    }

    #[test]
    fn data_without_acknowledgement_is_reason_to_ask() {
        let (mut liveness, mut clock) = start();
        let since = clock.now;
        clock.pass(Duration::from_secs(6));
        assert_eq!(liveness.check(clock.now, clock.wall, Some(since), false), Due::Ping);
    }

    #[test]
    fn an_agent_is_mute_after_five_minutes_without_a_sign_and_with_data_out() {
        let start = Instant::now();
        let late = start + Duration::from_secs(100);
        for (silent, heard, expected) in [
            (None, None, None),
            (None, Some(start), None),
            (Some(start), None, Some(start + MUTE)),
            (Some(late), Some(start), Some(late + MUTE)),
            (Some(start), Some(late), Some(late + MUTE)),
        ] {
            let moments = (0..1000).map(|second| start + Duration::from_secs(second));
            let mute = moments.into_iter().find(|now| is_mute(*now, silent, heard));
            assert_eq!(mute, expected, "{silent:?} {heard:?}");
        }
    }

    #[test]
    fn silence_proves_nothing_while_nobody_listens() {
        let (mut liveness, mut clock) = start();
        for _ in 0..100 {
            clock.pass(Duration::from_secs(5));
            assert!(matches!(liveness.check(clock.now, clock.wall, Some(clock.now), true), Due::At(_)));
        }
    }
}
