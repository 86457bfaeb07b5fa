//! The timer arithmetic, to the nanosecond.

use std::time::Duration;

use ecsx::ssm::rtt::Rtt;

use crate::vectors::{list, section};

#[test]
fn the_retransmission_timeout_is_amazons_to_the_nanosecond() {
    let mut rtt = Rtt::default();
    for (step, vector) in list(&section("rto_sequence")).iter().enumerate() {
        if let Some(sample) = vector["sample_ms"].as_u64() {
            rtt.sample(Duration::from_millis(sample));
        }
        let nanoseconds = |name: &str| Duration::from_nanos(vector[name].as_f64().unwrap() as u64);
        assert_eq!(rtt.timeout(), nanoseconds("rto_ns"), "timeout, step {step}");
        assert_eq!(rtt.smoothed(), nanoseconds("rtt_ns"), "round trip, step {step}");
        assert_eq!(rtt.variation(), nanoseconds("rttvar_ns"), "variation, step {step}");
    }
}

#[test]
fn repeats_are_spaced_exponentially_up_to_seconds_until_a_sample_comes() {
    let mut rtt = Rtt::default();
    let waits: Vec<_> = (0..7).map(|times| rtt.wait(times).as_millis()).collect();
    assert_eq!(waits, [200, 400, 800, 1600, 3200, 4000, 4000]);
    rtt.back_off(2);
    assert_eq!(rtt.wait(0), Duration::from_millis(800), "Karn: the next message waits as long");
    rtt.sample(Duration::from_millis(100));
    assert_eq!(rtt.wait(0), Duration::from_millis(110));
}

#[test]
fn nothing_is_repeated_before_a_peer_looks_at_its_timers() {
    let mut rtt = Rtt::default();
    for _ in 0..100 {
        rtt.sample(Duration::from_millis(2));
    }
    assert!(rtt.timeout() < Duration::from_millis(20), "as Amazon reckons it");
    assert_eq!(rtt.wait(0), Duration::from_millis(100), "an agent that is late once is not a loss");
    assert_eq!(rtt.wait(1), Duration::from_millis(200));
}
