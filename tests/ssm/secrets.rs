//! What must not be seen is not shown by `Debug` either.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use ecsx::ssm::body::OpenDataChannel;
use ecsx::ssm::channel::{Channel, Config, Event, Input, Stream};
use ecsx::ssm::smux;
use ecsx::ssm::wire::PayloadType;

use crate::drive::{output, shell};

const SECRET: &str = "hunter2";

#[test]
fn tokens_payloads_and_seeds_are_never_printed() {
    let bytes = Bytes::from_static(SECRET.as_bytes());
    let open = OpenDataChannel {
        message_schema_version: "1.0".into(),
        request_id: "r".into(),
        token_value: SECRET.into(),
        client_id: "c".into(),
        client_version: "1.2.339.0".into(),
    };
    let mut seed = [0; 32];
    seed[..7].copy_from_slice(SECRET.as_bytes());
    let config = Config::new(seed, (Instant::now(), SystemTime::now()), false);
    let mut fresh = Channel::new(config.clone());
    fresh.handle_input(Instant::now(), Input::Connected { token: SECRET.into() });
    fresh.handle_input(Instant::now(), Input::Write(bytes.clone()));
    let mut busy = shell().channel;
    busy.handle_input(Instant::now(), Input::Write(bytes.clone()));
    let mut streams = smux::Client::new(Instant::now(), false);
    let id = streams.open().unwrap();
    streams.write(id, bytes.clone());
    let shown = [
        format!("{open:?}"),
        format!("{config:?}"),
        format!("{fresh:?}"),
        format!("{busy:?}"),
        format!("{streams:?}"),
        format!("{:?}", output(1, PayloadType::Output, SECRET.as_bytes())),
        format!("{:?}", Event::Data(Stream::Output, bytes.clone())),
        format!("{:?}", smux::Event::Data(id, bytes)),
    ];
    let as_numbers = format!("{:?}", SECRET.as_bytes());
    let as_numbers = as_numbers.trim_matches(['[', ']']);
    for shown in shown {
        assert!(!shown.contains(SECRET) && !shown.contains(as_numbers), "{shown}");
    }
}
