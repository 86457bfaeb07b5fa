//! Round-trip estimate and retransmission timeout, with the arithmetic of Amazon's ends
//! (protocol.md 3.2) and Karn's rule on top: the caller gives samples of messages that were
//! transmitted once only, and a backed-off timeout stays until such a sample comes.

use std::time::Duration;

const INITIAL_RTT: f64 = 100e6;
const INITIAL_RTO: Duration = Duration::from_millis(200);
const LARGEST_RTO: f64 = 1e9;
const GRANULARITY: f64 = 10e6;
/// Nothing is repeated sooner: Amazon's ends look for what is due every 100 ms, and a busy agent
/// is often late by more than [`GRANULARITY`]. A repeat that was not needed costs the window.
const SOONEST_REPEAT: Duration = Duration::from_millis(100);
/// Repeats of one message are never further apart than this.
const LARGEST_REPEAT: Duration = Duration::from_secs(4);

/// Smoothed round-trip time, in nanoseconds as f64: the recorded vectors are exact in it.
#[derive(Debug, Clone)]
pub struct Rtt {
    smoothed: f64,
    variation: f64,
    timeout: Duration,
    backoff: u32,
}

impl Default for Rtt {
    fn default() -> Self {
        Self { smoothed: INITIAL_RTT, variation: 0.0, timeout: INITIAL_RTO, backoff: 0 }
    }
}

impl Rtt {
    /// Takes the time from the only transmission of a message to its acknowledgement.
    pub fn sample(&mut self, sample: Duration) {
        let sample = sample.as_nanos() as f64;
        self.variation = 0.75 * self.variation + 0.25 * (self.smoothed - sample).abs();
        self.smoothed = 0.875 * self.smoothed + 0.125 * sample;
        let timeout = self.smoothed + GRANULARITY.max(4.0 * self.variation);
        self.timeout = Duration::from_nanos(timeout.min(LARGEST_RTO) as u64);
        self.backoff = 0;
    }

    /// A message has timed out for the `times`th time: until the next sample all wait longer.
    pub fn back_off(&mut self, times: u32) {
        self.backoff = self.backoff.max(times);
    }

    /// How long to wait for the acknowledgement of a message that has timed out `times` times.
    pub fn wait(&self, times: u32) -> Duration {
        let doublings = times.max(self.backoff).min(8);
        (self.timeout.max(SOONEST_REPEAT) * (1 << doublings)).min(LARGEST_REPEAT)
    }

    /// The smoothed round-trip time.
    pub fn smoothed(&self) -> Duration {
        Duration::from_nanos(self.smoothed as u64)
    }

    /// The smoothed variation.
    pub fn variation(&self) -> Duration {
        Duration::from_nanos(self.variation as u64)
    }

    /// The retransmission timeout, not backed off.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}
