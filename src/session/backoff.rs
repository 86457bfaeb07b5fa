//! How long to wait between attempts.

use std::time::Duration;

/// Longest wait while the network is away: it can come back any moment.
const LONGEST: Duration = Duration::from_secs(5);
/// Longest wait while only a person can help, by logging in again for instance.
const LONGEST_FOR_A_PERSON: Duration = Duration::from_secs(15);

/// Waits that grow: none, then about 0.15 s, doubling, with jitter.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Waits given so far.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait before the next attempt. `person`: whether only a person can heal the last error.
    /// `random`: any number.
    pub(super) fn next(&mut self, person: bool, random: u32) -> Duration {
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        if attempt == 0 {
            return Duration::ZERO;
        }
        let longest = if person { LONGEST_FOR_A_PERSON } else { LONGEST };
        let full = Duration::from_millis(150).saturating_mul(1 << (attempt - 1).min(10)).min(longest);
        // Between a half and the whole, so that a thousand laptops do not come back in step.
        full.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}

/// A number nobody else has; zero if the system has none to give, which only costs jitter.
pub(super) fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_immediate_and_waits_are_bounded() {
        for (person, longest) in [(false, LONGEST), (true, LONGEST_FOR_A_PERSON)] {
            for random in [0, u32::MAX / 2, u32::MAX] {
                let mut backoff = Backoff::default();
                assert_eq!(backoff.next(person, random), Duration::ZERO);
                let waits: Vec<_> = (0..100).map(|_| backoff.next(person, random)).collect();
                assert!(waits[0] >= Duration::from_millis(75) && waits[0] <= Duration::from_millis(150));
                assert!(waits.windows(2).all(|w| w[0] <= w[1]));
                assert!(waits.iter().all(|&w| w <= longest && w >= Duration::from_millis(75)));
                assert!(waits[99] >= longest / 2);
            }
        }
    }
}
