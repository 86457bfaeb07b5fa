//! What misbehaves, and how: set by the fixture (`faults:`) or while running (`PUT faults`).
//!
//! Nothing here is on by default. A rate is a probability below 1, and from 1 on "every Nth".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that can be made to go wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    /// Frames from the agent to the client.
    pub(crate) to_client: Rules,
    /// Frames from the client to the agent.
    pub(crate) to_agent: Rules,
    /// Seed of all that is random here.
    pub(crate) seed: u64,
    /// Errors of API operations, by operation name (`StartSession`), or `*` for all.
    pub(crate) api: BTreeMap<String, ApiFault>,
    /// Largest page that lists answer.
    pub(crate) page_size: Option<usize>,
    /// HTTP status that refuses WebSocket upgrades.
    pub(crate) refuse_upgrade: Option<u16>,
    /// Refuse upgrades that are not signed; wrongly signed ones are always refused.
    pub(crate) require_signature: bool,
    /// HeaderLength of the service's own messages: 112 as it is, or 116.
    pub(crate) service_header: u32,
    /// ResumeSession answers without a token, as for a session that is over.
    pub(crate) resume_null_token: bool,
    /// Stream URL of StartSession and ExecuteCommand; `{session}` and `{port}` are filled in.
    pub(crate) stream_url: Option<String>,
    /// Stream URL of ResumeSession, likewise.
    pub(crate) resume_stream_url: Option<String>,
    /// Start no agent: sessions open and nothing is ever heard.
    pub(crate) no_agent: bool,
    /// The same for sessions beyond so many in one container, as ECS has it: two.
    pub(crate) session_limit: Option<usize>,
    /// Close WebSockets with 1008 after their open message, as if the token were wrong.
    pub(crate) refuse_token: bool,
    /// Agents that dial wait until this is over.
    pub(crate) hold_dials: bool,
    /// What the agent says it is; old ones also behave so.
    pub(crate) agent_version: String,
    /// The agent sleeps 1 ms after each message, as the real one does.
    pub(crate) pace: bool,
    /// The agent resends only its oldest unacknowledged message, as the real one does.
    pub(crate) resend_front_only: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            to_client: Rules::default(),
            to_agent: Rules::default(),
            seed: 1,
            api: BTreeMap::new(),
            page_size: None,
            refuse_upgrade: None,
            require_signature: false,
            service_header: 112,
            resume_null_token: false,
            stream_url: None,
            resume_stream_url: None,
            no_agent: false,
            session_limit: None,
            refuse_token: false,
            hold_dials: false,
            agent_version: "3.3.3572.0".to_owned(),
            pace: false,
            resend_front_only: false,
        }
    }
}

/// An API operation's error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiFault {
    /// `ThrottlingException` and the like.
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) message: String,
    /// HTTP status; 400 if not given.
    pub(crate) status: Option<u16>,
    /// How many calls fail before the operation works; all if not given.
    pub(crate) count: Option<u64>,
    /// Milliseconds until the answer, error or not.
    #[serde(default)]
    pub(crate) delay_ms: u64,
}

impl Faults {
    /// The fault that an operation's next call meets, counted.
    pub(crate) fn api(&mut self, operation: &str) -> Option<ApiFault> {
        let name = if self.api.contains_key(operation) { operation } else { "*" };
        let fault = self.api.get_mut(name)?;
        match &mut fault.count {
            Some(0) => return None,
            Some(count) => *count -= 1,
            None => {}
        }
        Some(fault.clone())
    }
}

/// What befalls frames of one direction.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rules {
    /// Rate of frames lost.
    pub(crate) drop: f64,
    /// Rate of frames that come twice.
    pub(crate) duplicate: f64,
    /// Rate of frames that change places with the next.
    pub(crate) reorder: f64,
    /// Rate of frames whose payload no longer matches its digest.
    pub(crate) corrupt: f64,
    /// Only these: `data` (stream messages), `ack`, or both if not given.
    pub(crate) only: Option<Only>,
    /// Frames of a connection to leave alone first.
    pub(crate) after: u64,
    /// Milliseconds each frame is held.
    pub(crate) delay_ms: u64,
    /// Up to so many milliseconds more, at random; frames keep their order.
    pub(crate) jitter_ms: u64,
    /// Cut the connection whenever so many bytes have passed since the last cut …
    pub(crate) cut_after: Option<u64>,
    /// … so many times (once if not given).
    pub(crate) cut_count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Only {
    Data,
    Ack,
}

impl Rules {
    /// Whether frames simply pass.
    pub(crate) fn is_clear(&self) -> bool {
        let rates = [self.drop, self.duplicate, self.reorder, self.corrupt];
        rates.iter().all(|rate| *rate == 0.0)
            && self.delay_ms == 0
            && self.jitter_ms == 0
            && self.cut_after.is_none()
    }
}

/// A seeded source of chance (SplitMix64): the same seed gives the same faults.
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Whether the `nth` frame (from 1) is one of the rate's.
    pub(crate) fn hits(&mut self, rate: f64, nth: u64) -> bool {
        match rate {
            rate if rate <= 0.0 => false,
            rate if rate < 1.0 => ((self.next() >> 11) as f64) < rate * (1u64 << 53) as f64,
            every => nth.is_multiple_of(every as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_from_one_on_means_every_nth() {
        let mut chance = Chance::new(1);
        let hit: Vec<_> = (1..=9).filter(|nth| chance.hits(3.0, *nth)).collect();
        assert_eq!(hit, [3, 6, 9]);
    }

    #[test]
    fn a_rate_below_one_is_a_probability_that_a_seed_repeats() {
        let count = |seed| {
            let mut chance = Chance::new(seed);
            (0..10_000).filter(|nth| chance.hits(0.2, *nth)).count()
        };
        assert!((1800..2200).contains(&count(7)), "{}", count(7));
        assert_eq!(count(7), count(7));
    }

    #[test]
    fn an_api_fault_ends_after_its_count() {
        let mut faults: Faults =
            serde_json::from_str(r#"{"api":{"ListTasks":{"code":"ThrottlingException","count":2}}}"#)
                .unwrap();
        assert!(faults.api("ListTasks").is_some() && faults.api("ListTasks").is_some());
        assert!(faults.api("ListTasks").is_none() && faults.api("DescribeTasks").is_none());
    }
}
