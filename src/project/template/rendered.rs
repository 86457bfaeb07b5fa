//! What rendering gives: the text with where each byte of it comes from, and the answers that
//! could not be had.

use std::collections::HashMap;

use super::Fault;

/// What a template became.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    /// Which bytes of the source made which bytes of the text, in order of the text.
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    out: usize,
    at: usize,
    end: usize,
    literal: bool,
}

impl Rendered {
    /// Adds text that the bytes from `at` to `end` of the source made, or are.
    pub(super) fn push(&mut self, text: &str, at: usize, end: usize, literal: bool) {
        if !text.is_empty() {
            self.spans.push(Span { out: self.text.len(), at, end, literal });
            self.text.push_str(text);
        }
    }

    /// Whether the source says these bytes of the text itself: no action made one of them.
    pub(crate) fn is_written(&self, offset: usize, width: usize) -> bool {
        let first = self.spans.partition_point(|span| span.out <= offset).saturating_sub(1);
        let end = offset.saturating_add(width);
        self.spans[first..].iter().take_while(|span| span.out < end).all(|span| span.literal)
    }

    /// Where in the source the byte at `offset` of the text comes from, and how wide that is
    /// if an action made it.
    pub(crate) fn origin(&self, offset: usize) -> (usize, Option<usize>) {
        let index = self.spans.partition_point(|span| span.out <= offset);
        match index.checked_sub(1).map(|index| &self.spans[index]) {
            None => (0, None),
            Some(span) if span.literal => ((span.at + offset - span.out).min(span.end), None),
            Some(span) => (span.at, Some(span.end - span.at)),
        }
    }
}

/// Answers that could not be had while rendering.
///
/// In their place the text holds a long number: it may stand inside a string as well as
/// outside one. Only who needs a value that holds it fails, with the reason kept here.
#[derive(Debug, Default)]
pub(crate) struct Unknowns {
    reasons: Vec<Fault>,
    /// The reason of each call, by where it stands.
    calls: HashMap<usize, usize>,
}

/// 17 digits that nobody writes, before the 8 of the index.
const MARK: &str = "70414159265358979";

impl Unknowns {
    /// Keeps the reason of a call; the first, however often a loop calls: what the arguments are
    /// then is not for an error to say, and so its reasons are all alike.
    pub(super) fn push(&mut self, reason: Fault) -> usize {
        *self.calls.entry(reason.at).or_insert_with(|| {
            self.reasons.push(reason);
            self.reasons.len() - 1
        })
    }

    /// Whether a call at `at` has a reason.
    pub(super) fn has(&self, at: usize) -> bool {
        self.calls.contains_key(&at)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.reasons.len()
    }

    /// That of an unknown value.
    pub(super) fn reason(&self, index: usize) -> Fault {
        self.reasons[index].clone()
    }

    /// Every reason, in order.
    pub(crate) fn reasons(&self) -> &[Fault] {
        &self.reasons
    }

    /// Why `text` is not what it should be, if an unknown answer is in it.
    pub(crate) fn within(&self, text: &str) -> Option<&Fault> {
        let digits = text.split(MARK).nth(1)?.get(..8)?;
        self.reasons.get(digits.parse::<usize>().ok()?)
    }
}

pub(super) fn mark(index: usize) -> String {
    format!("{MARK}{index:08}")
}
