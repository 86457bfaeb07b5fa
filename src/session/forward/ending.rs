//! Connections whose remote end is done, if the agent is to be believed.
//!
//! An agent whose session breaks closes its streams like any others, and says only then that it is
//! over (measured: agent 3.3.1142, `channel_closed` 24 ms after the FINs). A client must not take
//! what it has for all there was: its end waits until the session has outlived the FIN.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::connection::Connection;

/// How long a session must go on after a FIN for it to count.
const PROOF: Duration = Duration::from_millis(200);

/// Connections that end when their session has outlived their FIN; oldest first.
#[derive(Default)]
pub(super) struct Ending {
    held: VecDeque<Held>,
}

struct Held {
    connection: Connection,
    since: Instant,
    whole: bool,
}

impl Ending {
    /// The remote end of a connection is done, so it says at `now`. `whole`: the client may think so,
    /// too; else it gets a reset, as TCP has it where a server closes on what it has not read.
    pub(super) fn hold(&mut self, connection: Connection, now: Instant, whole: bool) {
        self.held.push_back(Held { connection, since: now, whole });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When [`Self::settle`] may have something to do, but for acknowledgements.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let first = self.held.front()?.since + PROOF;
        (first > now).then_some(first)
    }

    /// Ends those that the session has outlived: it goes on, and nothing is `unacknowledged` that
    /// was sent before.
    pub(super) fn settle(&mut self, now: Instant, unacknowledged: Option<Instant>) {
        let outlived = |since: Instant| {
            now >= since + PROOF && unacknowledged.is_none_or(|unacknowledged| unacknowledged > since)
        };
        while let Some(held) = self.held.pop_front_if(|held| outlived(held.since)) {
            if held.whole { held.connection.finish() } else { held.connection.reset() }
        }
    }

    /// The session is over: resets them, and says how many there were.
    pub(super) fn reset(self) -> usize {
        let count = self.held.len();
        self.held.into_iter().for_each(|held| held.connection.reset());
        count
    }
}
