//! A pause whose end gets lost.

use std::time::Duration;

use bytes::Bytes;
use ecsx::ssm::channel::{Event, Input};
use ecsx::ssm::wire::{MessageType, PayloadType};

use crate::drive::{Driven, acknowledge, message, output};

#[test]
fn a_pause_while_nothing_is_on_its_way_lets_one_message_through_after_a_second() {
    let mut driven = Driven::connected(false);
    driven.receive(&output(0, PayloadType::Output, b"$ "));
    driven.receive(&message(MessageType::PausePublication, 0, PayloadType::None, b"{}"));
    driven.take_sent();
    driven.take_events();
    assert_eq!(driven.channel.capacity(), 0, "at first it is kept to");

    driven.pass(Duration::from_millis(1100));
    let room = driven.channel.capacity();
    assert!(room > 0, "start_publication may be lost: nothing else would ever end the pause");
    driven.input(Input::Write(Bytes::from(vec![b'x'; room])));
    assert_eq!(driven.take_sent().len(), 1, "one message is the probe");
    assert_eq!(driven.channel.capacity(), 0, "and only one");

    driven.receive(&acknowledge(0));
    assert_eq!(driven.take_events(), [Event::Publication(true)]);
    assert!(driven.channel.capacity() > 0);
}
