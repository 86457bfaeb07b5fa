//! Any bytes: decoding must answer, and what it takes must encode to the same message.
#![no_main]

use bytes::Bytes;
use ecsx::ssm::wire::{Digest, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let strict = Message::decode(bytes.clone(), Digest::Verify);
    let Ok(message) = Message::decode(bytes, Digest::Ignore) else {
        assert!(strict.is_err());
        return;
    };
    if let Ok(strict) = strict {
        assert_eq!(strict, message);
    }
    if !message.payload.is_empty() {
        let again = message.encode().expect("a decoded message fits");
        assert_eq!(Message::decode(again, Digest::Verify).as_ref(), Ok(&message));
    }
    let service = message.encode_service().expect("a decoded message fits");
    let again = Message::decode(service, Digest::Verify).expect("what is encoded decodes");
    assert_eq!(again.payload, message.payload);
    assert_eq!(again.id, message.id);
});
