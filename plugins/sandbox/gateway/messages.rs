//! What the gateway says itself, in its own layout: header length 112 (or 116, on request).

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ecsx::ssm::wire::{Message, MessageId, MessageType, PayloadType};
use serde_json::json;

use crate::sandbox::{random, random_hex};

/// A message of the service: encoded when it is sent, as the faults then say.
#[derive(Debug, Clone)]
pub(crate) struct ServiceMessage {
    message_type: MessageType,
    payload: Bytes,
}

/// The session is over.
pub(crate) fn channel_closed(session: &str, output: &str) -> ServiceMessage {
    let body = json!({
        "MessageType": "channel_closed", "MessageId": random_hex(), "DestinationId": session, "SessionId": session,
        "SchemaVersion": 1, "CreatedDate": now_ms().to_string(), "Output": output,
    });
    ServiceMessage { message_type: MessageType::ChannelClosed, payload: body.to_string().into() }
}

/// Data may flow.
pub(crate) fn start_publication() -> ServiceMessage {
    ServiceMessage { message_type: MessageType::StartPublication, payload: "start_publication".into() }
}

/// Stop sending. The field is spelled so (protocol.md 2.2).
pub(crate) fn pause_publication() -> ServiceMessage {
    let body = json!({
        "MessageType": "pause_publication", "SchemaVersion": 1, "MessageId": random_hex(),
        "CreateData": now_ms().to_string(),
    });
    ServiceMessage { message_type: MessageType::PausePublication, payload: body.to_string().into() }
}

impl ServiceMessage {
    pub(crate) fn encode(self, header: u32) -> Bytes {
        let message = Message {
            message_type: self.message_type,
            created_ms: now_ms(),
            sequence: 0,
            flags: 0,
            id: MessageId::from_random(random()),
            payload_type: PayloadType::None,
            payload: self.payload,
        };
        let encoded = if header == 112 { message.encode_service() } else { message.encode() };
        // Its own messages are short and never empty: there is nothing that could fail.
        encoded.unwrap_or_default()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
