//! One direction of a connection: frames pass as the faults let them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::faults::{Chance, Only, Rules};

/// Bytes a lane holds before it takes no more: delay times rate, within reason.
const HOLD: usize = 32 << 20;

/// One direction of a connection.
pub(super) struct Lane {
    chance: Chance,
    /// Frames on their way and when each arrives, in order.
    waiting: VecDeque<(Instant, Bytes)>,
    held: usize,
    /// A frame that changes places with the next.
    swapped: Option<Bytes>,
    frames: u64,
    eligible: u64,
}

/// What became of a connection when a frame passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    On,
    /// The rules say to cut the connection here; the frame is lost with it.
    Cut,
}

impl Lane {
    pub(super) fn new(seed: u64) -> Self {
        let (chance, waiting) = (Chance::new(seed), VecDeque::new());
        Self { chance, waiting, held: 0, swapped: None, frames: 0, eligible: 0 }
    }

    /// Takes a frame. `since_cut` counts the bytes of the session in this direction.
    pub(super) fn push(
        &mut self,
        now: Instant,
        frame: Bytes,
        rules: &mut Rules,
        since_cut: &mut u64,
    ) -> Passed {
        if rules.is_clear() && self.waiting.is_empty() && self.swapped.is_none() {
            self.held += frame.len();
            self.waiting.push_back((now, frame));
            return Passed::On;
        }
        *since_cut += frame.len() as u64;
        if rules.cut_after.is_some_and(|limit| *since_cut >= limit) {
            let left = rules.cut_count.unwrap_or(1);
            *since_cut = 0;
            rules.cut_count = Some(left.saturating_sub(1));
            if left <= 1 {
                rules.cut_after = None;
            }
            return Passed::Cut;
        }
        self.frames += 1;
        let eligible = self.frames > rules.after
            && match rules.only {
                None => true,
                Some(only) => (only == Only::Ack) == is_ack(&frame),
            };
        if !eligible {
            self.arrive(now, frame, rules);
            return Passed::On;
        }
        self.eligible += 1;
        let nth = self.eligible;
        if self.chance.hits(rules.drop, nth) {
            return Passed::On;
        }
        let frame = if self.chance.hits(rules.corrupt, nth) { corrupted(&frame) } else { frame };
        if self.chance.hits(rules.duplicate, nth) {
            self.arrive(now, frame.clone(), rules);
        }
        if self.swapped.is_none() && self.chance.hits(rules.reorder, nth) {
            self.swapped = Some(frame);
            return Passed::On;
        }
        self.arrive(now, frame, rules);
        Passed::On
    }

    fn arrive(&mut self, now: Instant, frame: Bytes, rules: &Rules) {
        let jitter = if rules.jitter_ms == 0 { 0 } else { self.chance.next() % (rules.jitter_ms + 1) };
        let at = now + Duration::from_millis(rules.delay_ms + jitter);
        let at = self.waiting.back().map_or(at, |(last, _)| at.max(*last));
        self.held += frame.len();
        self.waiting.push_back((at, frame));
        if let Some(frame) = self.swapped.take() {
            self.held += frame.len();
            self.waiting.push_back((at, frame));
        }
    }

    /// The next frame that has arrived.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Bytes> {
        if self.waiting.front().is_some_and(|(at, _)| *at > now) {
            return None;
        }
        let (_, frame) = self.waiting.pop_front()?;
        self.held -= frame.len();
        Some(frame)
    }

    /// When the next frame arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }

    pub(super) fn has_room(&self) -> bool {
        self.held < HOLD
    }
}

fn is_ack(frame: &[u8]) -> bool {
    frame.get(4..).is_some_and(|rest| rest.starts_with(b"acknowledge"))
}

/// The frame with its last payload byte changed, so that the digest is wrong.
fn corrupted(frame: &[u8]) -> Bytes {
    let mut frame = frame.to_vec();
    if let Some(last) = frame.last_mut() {
        *last ^= 0xff;
    }
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rules: &mut Rules, frames: u8) -> Vec<u8> {
        let (mut lane, now, mut since) = (Lane::new(3), Instant::now(), 0);
        for frame in 0..frames {
            assert_eq!(lane.push(now, Bytes::copy_from_slice(&[frame]), rules, &mut since), Passed::On);
        }
        std::iter::from_fn(|| lane.pop(now + Duration::from_secs(9))).map(|frame| frame[0]).collect()
    }

    #[test]
    fn clear_rules_change_nothing() {
        assert_eq!(run(&mut Rules::default(), 4), [0, 1, 2, 3]);
    }

    #[test]
    fn every_third_is_lost_doubled_or_swapped() {
        assert_eq!(run(&mut Rules { drop: 3.0, ..Rules::default() }, 6), [0, 1, 3, 4]);
        assert_eq!(run(&mut Rules { duplicate: 3.0, ..Rules::default() }, 4), [0, 1, 2, 2, 3]);
        assert_eq!(run(&mut Rules { reorder: 3.0, ..Rules::default() }, 5), [0, 1, 3, 2, 4]);
    }

    #[test]
    fn jitter_keeps_the_order() {
        assert_eq!(run(&mut Rules { jitter_ms: 50, ..Rules::default() }, 5), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_cut_comes_after_its_bytes_and_as_often_as_asked() {
        let mut rules = Rules { cut_after: Some(3), cut_count: Some(2), ..Rules::default() };
        let (mut since, mut cuts) = (0, 0);
        for _ in 0..12 {
            let passed = Lane::new(1).push(Instant::now(), Bytes::from_static(b"x"), &mut rules, &mut since);
            cuts += usize::from(passed == Passed::Cut);
        }
        assert_eq!(cuts, 2);
    }
}
