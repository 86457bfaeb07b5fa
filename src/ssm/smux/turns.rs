//! Whose turn it is to transmit: streams with a little to say before those that always have more.
//!
//! The idea of fq_codel: a stream that had nothing to say is served before the circle of those
//! that have been served and have more; the two alternate, so that neither starves the other. A
//! stream that has been served stays in the circle until its next turn even if it fell silent,
//! so that nobody gains by falling silent between any two frames.

use std::collections::{BTreeSet, VecDeque};

use super::StreamId;

#[derive(Debug, Default)]
pub(super) struct Turns {
    fresh: VecDeque<StreamId>,
    circle: VecDeque<StreamId>,
    /// Streams in either list.
    listed: BTreeSet<StreamId>,
    /// Listed streams that have something to say.
    wanting: BTreeSet<StreamId>,
    /// Whether the last one served was fresh.
    served_fresh: bool,
}

impl Turns {
    /// A stream has something to say.
    pub(super) fn wants(&mut self, id: StreamId) {
        self.wanting.insert(id);
        if self.listed.insert(id) {
            self.fresh.push_back(id);
        }
    }

    /// The stream to serve now; tell [`Self::served`] if it still exists afterwards.
    pub(super) fn next(&mut self) -> Option<StreamId> {
        // Those whose turn it is and who have nothing to say leave the circle.
        while let Some(id) = self.circle.pop_front_if(|id| !self.wanting.contains(id)) {
            self.listed.remove(&id);
        }
        let fresh = self.circle.is_empty() || !self.served_fresh;
        let next = match fresh {
            true => self.fresh.pop_front().or_else(|| self.circle.pop_front()),
            false => self.circle.pop_front(),
        };
        self.served_fresh = fresh;
        if let Some(id) = next {
            self.listed.remove(&id);
            self.wanting.remove(&id);
        }
        next
    }

    /// A stream has had its turn; `more` if it has more to say.
    pub(super) fn served(&mut self, id: StreamId, more: bool) {
        self.listed.insert(id);
        self.circle.push_back(id);
        if more {
            self.wanting.insert(id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wanting.is_empty()
    }
}
