//! How many bytes may be on their way: enough to fill the path, not enough to queue in it.
//!
//! Neither the gateway nor the agent limits a sender, and everything shares one queue at the
//! agent: what a bulk upload piles up there, every small exchange waits behind. So the window
//! follows the delay. Once per round trip the smallest sample of the round is compared with the
//! smallest ever: while it is near, the window grows (doubling at first, then by an eighth);
//! when it has risen by more than [`Window::allowance`], the window shrinks by an eighth. Loss
//! shrinks it too. At the floor our own queue is negligible, so a delay that stays high there is
//! the path's, and becomes the new reference.

use std::time::{Duration, Instant};

/// Rounds at the floor after which a high delay is taken for the path's own.
const ROUNDS_AT_FLOOR: u32 = 16;
/// Samples in a round before it can end the first doubling early.
const ENOUGH_SAMPLES: u32 = 8;

#[derive(Debug)]
pub(in crate::ssm) struct Window {
    size: usize,
    floor: usize,
    ceiling: usize,
    doubling: bool,
    /// Smallest round-trip time seen.
    base: Option<Duration>,
    round: Round,
    crowded_at_floor: u32,
    next_cut: Option<Instant>,
}

/// One trip around: ends with the acknowledgement of a message sent after it began.
#[derive(Debug, Default)]
struct Round {
    ends: u64,
    smallest: Option<Duration>,
    samples: u32,
    /// Whether the window was used: an idle one says nothing about the path.
    filled: bool,
}

impl Window {
    pub(in crate::ssm) fn new(floor: usize, ceiling: usize) -> Self {
        let ceiling = ceiling.max(floor);
        Self {
            size: (2 * floor).min(ceiling),
            floor,
            ceiling,
            doubling: true,
            base: None,
            round: Round::default(),
            crowded_at_floor: 0,
            next_cut: None,
        }
    }

    pub(in crate::ssm) fn size(&self) -> usize {
        self.size
    }

    /// The path is a new one: nothing is known about it.
    pub(in crate::ssm) fn reset(&mut self) {
        *self = Self::new(self.floor, self.ceiling);
    }

    /// `bytes`, transmitted once, were acknowledged after `sample`, out of `outstanding` bytes.
    /// They were transmission `number` of `transmissions`.
    pub(in crate::ssm) fn acknowledged(
        &mut self,
        bytes: usize,
        outstanding: usize,
        (number, transmissions): (u64, u64),
        sample: Duration,
    ) {
        let base = self.base.map_or(sample, |base| base.min(sample));
        self.base = Some(base);
        let smallest = self.round.smallest.map_or(sample, |smallest| smallest.min(sample));
        self.round.smallest = Some(smallest);
        self.round.samples += 1;
        self.round.filled |= outstanding >= self.size / 2;
        let crowded = smallest.saturating_sub(base) > Self::allowance(base);
        if self.doubling {
            if crowded && self.round.samples >= ENOUGH_SAMPLES {
                self.doubling = false;
                self.set(self.size / 2);
            } else if outstanding >= self.size / 2 {
                self.set(self.size + bytes);
            }
        }
        if number >= self.round.ends {
            self.end_round(crowded, smallest);
            self.round = Round { ends: transmissions, ..Round::default() };
        }
    }

    fn end_round(&mut self, crowded: bool, smallest: Duration) {
        if !crowded {
            self.crowded_at_floor = 0;
            if self.round.filled && !self.doubling {
                self.set(self.size + self.size / 8);
            }
        } else if self.size > self.floor {
            self.doubling = false;
            self.set(self.size - self.size / 8);
        } else {
            self.crowded_at_floor += 1;
            if self.crowded_at_floor >= ROUNDS_AT_FLOOR {
                self.crowded_at_floor = 0;
                self.base = Some(smallest);
            }
        }
    }

    /// A message was lost while later ones arrived. Counts once per round trip.
    pub(in crate::ssm) fn lost(&mut self, now: Instant, round_trip: Duration) {
        if self.next_cut.is_none_or(|at| at <= now) {
            self.next_cut = Some(now + round_trip);
            self.doubling = false;
            self.set(self.size - self.size / 4);
        }
    }

    /// Nothing is known of a message for its whole timeout: begin again from the floor.
    pub(in crate::ssm) fn timed_out(&mut self) {
        self.doubling = true;
        self.set(self.floor);
    }

    /// Delay above the reference that is no queue yet.
    fn allowance(base: Duration) -> Duration {
        (base / 4).max(Duration::from_millis(5))
    }

    fn set(&mut self, size: usize) {
        self.size = size.clamp(self.floor, self.ceiling);
    }
}
