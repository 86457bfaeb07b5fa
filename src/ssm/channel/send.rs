//! Outgoing stream messages: numbered, recorded, transmitted, and transmitted again until the
//! peer has acknowledged each.
//!
//! A message is either waiting to be transmitted or in flight with a timer. It goes back to
//! waiting when its timer runs out, when messages transmitted after it are acknowledged, or when
//! the connection is lost. Waiting ones go out lowest number first, within the window.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ssm::rtt::Rtt;
use crate::ssm::window::Window;
use crate::ssm::wire::HEADER;

/// Acknowledged transmissions that must be newer than one before it counts as lost.
const REORDERING: u64 = 3;
/// While publication is paused the oldest message goes out this often: if the peer lives, its
/// acknowledgement ends the pause.
const PAUSED_REPEAT: Duration = Duration::from_secs(1);
/// Smallest window, bytes, unless the payloads are too big for it.
const FLOOR: usize = 16 << 10;

pub(super) struct Sender {
    /// Number of the first slot.
    first: i64,
    /// Recorded messages by number; `None` when acknowledged out of turn.
    slots: VecDeque<Option<Recorded>>,
    /// Bytes of all recorded messages.
    bytes: usize,
    waiting: BTreeSet<i64>,
    timers: BTreeSet<(Instant, i64)>,
    /// Transmissions in their order, (transmission, number); outdated ones are skipped when reached.
    order: VecDeque<(u64, i64)>,
    transmissions: u64,
    /// Newest transmission known to have arrived.
    arrived: u64,
    bytes_in_flight: usize,
    last_transmission: Option<Instant>,
    resent: u64,
    payload_size: usize,
    rtt: Rtt,
    window: Window,
}

struct Recorded {
    frame: Bytes,
    since: Instant,
    transmitted: u32,
    timeouts: u32,
    flight: Option<Flight>,
}

struct Flight {
    transmission: u64,
    began: Instant,
    ends: Instant,
}

impl Sender {
    pub(super) fn new(payload_size: usize, window: usize) -> Self {
        let floor = FLOOR.max(4 * (payload_size + HEADER));
        Self {
            first: 0,
            slots: VecDeque::new(),
            bytes: 0,
            waiting: BTreeSet::new(),
            timers: BTreeSet::new(),
            order: VecDeque::new(),
            transmissions: 0,
            arrived: 0,
            bytes_in_flight: 0,
            last_transmission: None,
            resent: 0,
            payload_size,
            rtt: Rtt::default(),
            window: Window::new(floor, window),
        }
    }

    /// The number that [`Self::record`] will give.
    pub(super) fn next_number(&self) -> i64 {
        self.first + self.slots.len() as i64
    }

    /// Records a serialised message; from now on it is this end's duty that it arrives.
    pub(super) fn record(&mut self, now: Instant, frame: Bytes) {
        self.waiting.insert(self.next_number());
        self.bytes += frame.len();
        self.slots.push_back(Some(Recorded { frame, since: now, transmitted: 0, timeouts: 0, flight: None }));
    }

    /// Payload bytes that fit the window now: none, or at least two whole payloads, so that what
    /// should not fit into one message ([`crate::ssm::smux`] tells why) can be written at once.
    pub(super) fn capacity(&self) -> usize {
        let free = self.window.size().saturating_sub(self.bytes);
        let payloads = free / (self.payload_size + HEADER);
        if payloads < 2 { 0 } else { payloads * self.payload_size }
    }

    /// The peer has message `number`.
    pub(super) fn acknowledged(&mut self, now: Instant, number: i64) {
        let Some(slot) = self.slot(number) else { return };
        // What was never transmitted cannot have arrived.
        let Some(recorded) = slot.take_if(|recorded| recorded.transmitted > 0) else { return };
        let outstanding = self.bytes;
        self.bytes -= recorded.frame.len();
        self.waiting.remove(&number);
        if let Some(flight) = recorded.flight {
            self.timers.remove(&(flight.ends, number));
            self.bytes_in_flight -= recorded.frame.len();
            // Karn: of a message transmitted twice nobody knows which one was acknowledged.
            if recorded.transmitted == 1 {
                let sample = now.saturating_duration_since(flight.began);
                self.rtt.sample(sample);
                let numbers = (flight.transmission, self.transmissions);
                self.window.acknowledged(recorded.frame.len(), outstanding, numbers, sample);
                self.arrived = self.arrived.max(flight.transmission);
            }
        }
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        self.find_overtaken(now);
    }

    fn find_overtaken(&mut self, now: Instant) {
        while let Some(&(transmission, number)) = self.order.front() {
            let flight = self.slot(number).and_then(|slot| slot.as_ref()?.flight.as_ref());
            if flight.is_some_and(|flight| flight.transmission == transmission) {
                if transmission + REORDERING > self.arrived {
                    return;
                }
                self.return_to_waiting(number);
                self.window.lost(now, self.rtt.smoothed());
            }
            self.order.pop_front();
        }
    }

    /// Lets the timers that have run out do so.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(&(ends, number)) = self.timers.first()
            && ends <= now
        {
            self.return_to_waiting(number);
            if let Some(Some(recorded)) = self.slot(number) {
                recorded.timeouts = recorded.timeouts.saturating_add(1);
                let timeouts = recorded.timeouts;
                self.rtt.back_off(timeouts);
            }
            self.window.timed_out();
        }
        // Also drops what is outdated from the list, which acknowledgements may never do.
        self.find_overtaken(now);
    }

    /// The connection is gone, and with it perhaps all that was in flight.
    pub(super) fn disconnected(&mut self) {
        while let Some(&(_, number)) = self.timers.first() {
            self.return_to_waiting(number);
        }
        self.order.clear();
        self.last_transmission = None;
        self.window.reset();
    }

    fn return_to_waiting(&mut self, number: i64) {
        let Some(Some(recorded)) = self.slot(number) else { return };
        let length = recorded.frame.len();
        let Some(flight) = recorded.flight.take() else { return };
        self.timers.remove(&(flight.ends, number));
        self.bytes_in_flight -= length;
        self.waiting.insert(number);
    }

    /// The next message to transmit now.
    pub(super) fn poll(&mut self, now: Instant, paused: bool) -> Option<Bytes> {
        let &number = self.waiting.first()?;
        if paused && (number != self.first || self.paused_until().is_some_and(|until| now < until)) {
            return None;
        }
        let room = self.window.size().saturating_sub(self.bytes_in_flight);
        let in_flight = self.bytes_in_flight;
        let transmission = self.transmissions + 1;
        let Some(Some(recorded)) = self.slots.get_mut(usize::try_from(number - self.first).ok()?) else {
            return None;
        };
        // A message always fits when nothing is on its way, else it could wait for ever.
        if recorded.frame.len() > room && in_flight > 0 {
            return None;
        }
        let ends = now + self.rtt.wait(recorded.timeouts);
        recorded.flight = Some(Flight { transmission, began: now, ends });
        recorded.transmitted = recorded.transmitted.saturating_add(1);
        let (frame, again) = (recorded.frame.clone(), recorded.transmitted > 1);
        self.waiting.remove(&number);
        self.timers.insert((ends, number));
        self.order.push_back((transmission, number));
        self.transmissions = transmission;
        self.bytes_in_flight += frame.len();
        self.last_transmission = Some(now);
        self.resent += u64::from(again);
        Some(frame)
    }

    fn paused_until(&self) -> Option<Instant> {
        self.last_transmission.map(|at| at + PAUSED_REPEAT)
    }

    /// When [`Self::advance`] or [`Self::poll`] next has something to do.
    pub(super) fn deadline(&self, paused: bool) -> Option<Instant> {
        let timer = self.timers.first().map(|&(ends, _)| ends);
        let probe = match self.waiting.first() {
            Some(&number) if paused && number == self.first => self.paused_until(),
            _ => None,
        };
        timer.into_iter().chain(probe).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Since when the oldest message is recorded.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.front()?.as_ref().map(|recorded| recorded.since)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent
    }

    pub(super) fn round_trip(&self) -> Duration {
        self.rtt.smoothed()
    }

    pub(super) fn window(&self) -> usize {
        self.window.size()
    }

    fn slot(&mut self, number: i64) -> Option<&mut Option<Recorded>> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }
}
