//! The envelope, byte for byte.

use bytes::Bytes;
use ecsx::ssm::body::{Acknowledgement, to_bytes};
use ecsx::ssm::wire::{Digest, Message, MessageId, MessageType, PayloadType, WireError};
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors::{list, section, text, unhex};

fn decode(bytes: &[u8]) -> Result<Message, WireError> {
    Message::decode(Bytes::copy_from_slice(bytes), Digest::Verify)
}

fn from_fields(fields: &Value) -> Message {
    let id: Vec<u8> = unhex(&Value::String(text(&fields["message_id"]).replace('-', "")));
    Message {
        message_type: MessageType::from(text(&fields["message_type"])),
        created_ms: fields["created_date_ms"].as_u64().unwrap(),
        sequence: fields["sequence_number"].as_i64().unwrap(),
        flags: fields["flags"].as_u64().unwrap(),
        id: MessageId(id.try_into().unwrap()),
        payload_type: PayloadType::from(fields["payload_type"].as_u64().unwrap() as u32),
        payload: unhex(&fields["payload_hex"]).into(),
    }
}

#[test]
fn messages_are_the_bytes_of_amazons_own_libraries() {
    let section = section("agent_messages");
    for vector in list(&section) {
        let name = text(&vector["name"]);
        let mut fields = vector["fields"].clone();
        if fields["payload_hex"].is_null() {
            fields["payload_hex"] = "".into();
        }
        let message = from_fields(&fields);
        match vector["hex"].as_str() {
            Some(_) => {
                let bytes = unhex(&vector["hex"]);
                assert_eq!(message.encode().unwrap(), bytes, "encoding {name}");
                assert_eq!(decode(&bytes).unwrap(), message, "decoding {name}");
                assert_eq!(message.id.to_string(), text(&fields["message_id"]), "id of {name}");
            }
            None => assert!(message.encode().is_err(), "{name} is refused"),
        }
    }
}

/// What Amazon's client refuses and ecsx takes on purpose.
const LENIENT: [&str; 3] = [
    // Nothing reads the date.
    "created_date_zero",
    // The service's own digests were never relied on.
    "channel_closed_112_bad_digest",
    // A start_publication says all it has to say without a payload.
    "start_publication_header_only_116",
];

#[test]
fn malformed_messages_are_refused_as_amazons_client_refuses_them() {
    let section = section("malformed");
    for vector in list(&section) {
        let name = text(&vector["name"]);
        let client = &vector["client"];
        let official = text(&client["deserialize"]) == "ok" && text(&client["validate"]) == "ok";
        let accepted = official || LENIENT.contains(&name);
        let decoded = decode(&unhex(&vector["hex"]));
        assert_eq!(decoded.is_ok(), accepted, "{name}: {decoded:?}");
        if let (Ok(message), false) = (&decoded, client["parsed"].is_null()) {
            let parsed = &client["parsed"];
            assert_eq!(message.message_type.as_str(), text(&parsed["message_type"]), "{name}");
            assert_eq!(message.sequence, parsed["sequence_number"].as_i64().unwrap(), "{name}");
            assert_eq!(message.payload.len() as u64, parsed["payload_len_taken"].as_u64().unwrap(), "{name}");
        }
    }
}

#[test]
fn an_error_says_what_is_wrong() {
    let good = unhex(&section("malformed")[0]["hex"]);
    let mut digest = good.clone();
    digest[80] ^= 1;
    let mut header = good.clone();
    header[..4].copy_from_slice(&1000u32.to_be_bytes());
    let mut blank = good.clone();
    blank[4..36].fill(b' ');
    let mut binary = good.clone();
    binary[4] = 0xff;
    assert_eq!(decode(&good[..50]), Err(WireError::TooShort(50)));
    assert_eq!(decode(&good[..118]), Err(WireError::HeaderLength { header: 116, message: 118 }));
    assert_eq!(decode(&header), Err(WireError::HeaderLength { header: 1000, message: 127 }));
    assert_eq!(decode(&digest), Err(WireError::Digest));
    assert_eq!(decode(&blank), Err(WireError::NoType));
    assert_eq!(decode(&binary), Err(WireError::TypeNotText));
    assert_eq!(decode(&vec![0; 2 << 20]), Err(WireError::TooLong(2 << 20)));
    assert!(Message::decode(digest.into(), Digest::Ignore).is_ok(), "as Amazon's agent does");
}

#[test]
fn padding_of_any_mixture_is_no_part_of_the_type() {
    let mut bytes = unhex(&section("malformed")[0]["hex"]);
    bytes[4..36].fill(0);
    bytes[4..10].copy_from_slice(b"\0 \0\0 \0");
    bytes[10..16].copy_from_slice(b"a_type");
    bytes[20] = b' ';
    assert_eq!(decode(&bytes).unwrap().message_type, MessageType::Other("a_type".into()));
}

#[test]
fn the_service_layout_has_no_payload_type() {
    for name in
        ["channel_closed_112_nul", "start_publication_112_nul_zero_digest_zero_date", "pause_publication_112"]
    {
        let section = section("malformed");
        let vector = list(&section).iter().find(|vector| text(&vector["name"]) == name).unwrap();
        let message = decode(&unhex(&vector["hex"])).unwrap();
        assert_eq!(message.payload_type, PayloadType::None, "{name}");
        assert!(message.message_type.is_service(), "{name}");
        let again = message.encode_service().unwrap();
        assert_eq!(decode(&again).unwrap(), message, "{name}");
        assert_eq!(again[..80], unhex(&vector["hex"])[..80], "{name}: NUL padding, swapped id");
    }
}

#[test]
fn acknowledgements_are_amazons_text() {
    let body = Acknowledgement {
        message_type: "output_stream_data".into(),
        message_id: "dd01e56b-ff48-483e-a508-b5f073f31b16".into(),
        sequence: 42,
        is_sequential: true,
    };
    assert_eq!(to_bytes(&body), text(&section("official_ack_builder")["payload"]).as_bytes());
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), header in prop::option::of(0u32..200)) {
        let mut bytes = bytes;
        if let (Some(header), true) = (header, bytes.len() >= 4) {
            bytes[..4].copy_from_slice(&header.to_be_bytes());
        }
        let _ = decode(&bytes);
        let _ = Message::decode(bytes.into(), Digest::Ignore);
    }

    #[test]
    fn what_is_encoded_decodes_equal(
        message_type in "[a-z_]{1,32}",
        created_ms: u64,
        sequence: i64,
        flags: u64,
        id: [u8; 16],
        payload_type: u32,
        payload in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let message = Message {
            message_type: MessageType::from(message_type.as_str()),
            created_ms, sequence, flags,
            id: MessageId(id),
            payload_type: payload_type.into(),
            payload: payload.into(),
        };
        let bytes = message.encode().unwrap();
        let mut cut = bytes.to_vec();
        prop_assert_eq!(Message::decode(bytes, Digest::Verify), Ok(message));
        let last = cut.len() - 1;
        cut[last] ^= 1;
        let refused = Message::decode(cut.into(), Digest::Verify);
        prop_assert!(refused == Err(WireError::Digest) || refused.is_ok_and(|m| m.message_type.is_service()));
    }
}
