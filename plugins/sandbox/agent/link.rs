//! What joins an agent's work to the gateway: the channel, its queues and its clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ecsx::ssm::wire::{Message, PayloadType};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::channel::Channel;
use super::cipher::Cipher;
use crate::session::{Session, Wishes, count};

/// Largest payload the agent builds, bytes.
const PAYLOAD: usize = 1024;
/// What the real agent's 1 ms of sleep after each message comes to (observed.md).
const PACE: Duration = Duration::from_micros(1400);
/// How much of the pace a late clock may catch up.
const CATCH_UP: Duration = Duration::from_millis(20);

/// An agent's end of a session.
pub(super) struct Link {
    pub(super) session: Arc<Session>,
    channel: Channel,
    cipher: Option<Cipher>,
    frames: mpsc::Receiver<Bytes>,
    wishes: watch::Receiver<Wishes>,
    connections: u64,
    gateway: mpsc::Sender<Bytes>,
    ticks: Interval,
    /// When the next message may go, if the real agent's pace is wanted.
    pace: Option<Instant>,
}

/// The session is over, for whatever reason: the work stops.
pub(super) struct Over;

impl Link {
    pub(super) fn new(
        session: Arc<Session>,
        frames: mpsc::Receiver<Bytes>,
        gateway: mpsc::Sender<Bytes>,
        faults: &crate::faults::Faults,
    ) -> Self {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wishes = session.wishes.subscribe();
        let channel = Channel::new(faults.resend_front_only);
        let pace = faults.pace.then(Instant::now);
        Self { session, channel, cipher: None, frames, wishes, connections: 0, gateway, ticks, pace }
    }

    /// Sends bytes, in messages of at most 1024. Ask [`Self::has_room`] before.
    pub(super) fn send(&mut self, payload_type: PayloadType, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PAYLOAD));
            self.send_whole(payload_type, part);
        }
    }

    /// Sends one message; none for no bytes.
    pub(super) fn send_whole(&mut self, payload_type: PayloadType, mut payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        if let (PayloadType::Output, Some(cipher)) = (payload_type, &mut self.cipher) {
            let Some(sealed) = cipher.encrypt(&payload) else { return };
            payload = sealed;
        }
        self.channel.send(Instant::now(), payload_type, payload);
    }

    /// From now on session data is encrypted.
    pub(super) fn encrypt(&mut self, cipher: Cipher) {
        self.cipher = Some(cipher);
    }

    /// Whether the work may go on reading its sources.
    pub(super) fn has_room(&self) -> bool {
        self.channel.has_room()
    }

    /// Drives the session until there is input to handle; then [`Self::took`] or [`Self::refuse`] it.
    /// `None`: there was no room to send, and now there is.
    ///
    /// Without `take` the gateway's frames wait and nothing is answered: that is how a stalled
    /// reader holds up the whole session. May be dropped at any time.
    pub(super) async fn input(&mut self, take: bool) -> Result<Option<Message>, Over> {
        let full = !self.has_room();
        let gateway = self.gateway.clone();
        loop {
            self.flush();
            if let Some(mut input) = self.channel.input().filter(|_| take) {
                if let (PayloadType::Output, Some(cipher)) = (input.payload_type, &self.cipher) {
                    match cipher.decrypt(&input.payload) {
                        Some(payload) => input.payload = payload,
                        None => {
                            self.channel.refuse();
                            continue;
                        }
                    }
                }
                return Ok(Some(input));
            }
            if full && self.has_room() {
                return Ok(None);
            }
            let waiting = self.channel.peek().is_some();
            tokio::select! {
                frame = self.frames.recv(), if take => match frame {
                    Some(frame) => self.channel.receive(Instant::now(), frame),
                    None => return Err(Over),
                },
                room = gateway.reserve(), if waiting && self.pace.is_none() => match room {
                    Ok(room) => {
                        if let Some((frame, _)) = self.channel.peek() {
                            room.send(frame.clone());
                            self.channel.pop();
                        }
                    }
                    Err(_) => return Err(Over),
                },
                () = paced(self.pace), if waiting && self.pace.is_some() => {}
                changed = self.wishes.changed() => {
                    if changed.is_err() || self.obey() {
                        return Err(Over);
                    }
                }
                now = self.ticks.tick() => {
                    self.channel.tick(now.into_std());
                    self.report();
                }
            }
        }
    }

    /// Sends what can be sent at once.
    fn flush(&mut self) {
        while let Some((frame, data)) = self.channel.peek() {
            if *data && self.pace.is_some_and(|next| Instant::now() < next) {
                return;
            }
            let (frame, data) = (frame.clone(), *data);
            if self.gateway.try_send(frame).is_err() {
                // While pacing there is no waiting for room: look again a moment later.
                self.pace = self.pace.map(|_| Instant::now() + Duration::from_millis(1));
                return;
            }
            self.channel.pop();
            if let (true, Some(next)) = (data, &mut self.pace) {
                *next = Instant::now().checked_sub(CATCH_UP).map_or(*next, |late| late.max(*next)) + PACE;
            }
        }
    }

    /// Does as the gateway wishes; `true` if the session is over.
    fn obey(&mut self) -> bool {
        let wishes = *self.wishes.borrow_and_update();
        let again = wishes.connections > self.connections;
        let first = self.connections == 0;
        self.connections = wishes.connections;
        if !wishes.publish {
            self.channel.pause();
        } else if !(again && first) {
            self.channel.resume(Instant::now());
        }
        wishes.stop
    }

    /// The input is handled: it is acknowledged.
    pub(super) fn took(&mut self) {
        self.channel.took();
    }

    /// The input cannot be handled: it stays unacknowledged and will come again.
    pub(super) fn refuse(&mut self) {
        self.channel.refuse();
    }

    /// Sends what can be sent at once, for the last time.
    pub(super) fn leave(&mut self) {
        self.flush();
        self.report();
    }

    /// Waits, 2 s at most, until the client has all that was sent.
    pub(super) async fn drain(&mut self) {
        let drained = async {
            while !self.channel.is_drained() {
                // Input of these last moments finds no work: it is acknowledged and thrown away.
                tokio::select! {
                    input = self.input(true) => match input {
                        Ok(Some(_)) => self.took(),
                        Ok(None) => {}
                        Err(Over) => return,
                    },
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), drained).await;
        self.report();
    }

    fn report(&mut self) {
        let (counters, news) = (&self.session.counters, std::mem::take(&mut self.channel.statistics));
        count(&counters.agent_resent, news.resent);
        count(&counters.agent_duplicates, news.duplicates);
        counters.agent_unacked.fetch_max(news.unacked_bytes, Ordering::Relaxed);
    }
}

/// Until the pace allows the next message.
async fn paced(next: Option<Instant>) {
    if let Some(next) = next {
        tokio::time::sleep_until(next.into()).await;
    }
}
