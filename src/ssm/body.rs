//! JSON bodies of data-channel messages, both ends' (protocol.md sections 2.2, 4.2, 5, 6).

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Payload of `acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Acknowledgement {
    /// Type of the acknowledged message.
    #[serde(rename = "AcknowledgedMessageType", default)]
    pub message_type: String,
    /// Its id, text form.
    #[serde(rename = "AcknowledgedMessageId", default)]
    pub message_id: String,
    /// Its number: all that a receiver looks at.
    #[serde(rename = "AcknowledgedMessageSequenceNumber")]
    pub sequence: i64,
    /// Always true.
    #[serde(rename = "IsSequentialMessage", default)]
    pub is_sequential: bool,
}

/// What counts of a service message: `channel_closed` and the like. Nothing else in it can make
/// it unreadable, for a `channel_closed` that is refused would be a session without an end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceMessage {
    /// `channel_closed`, `start_publication`, `pause_publication`.
    #[serde(deserialize_with = "as_text")]
    pub message_type: String,
    /// Of `channel_closed`: why, in the agent's or the service's words; empty for a normal end.
    #[serde(deserialize_with = "as_text")]
    pub output: String,
}

/// Payload type 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub cols: u32,
    /// Rows.
    pub rows: u32,
}

/// The TEXT frame that opens a data channel (protocol.md 1.6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OpenDataChannel {
    /// `1.0`.
    pub message_schema_version: String,
    /// Fresh for every dial.
    pub request_id: String,
    /// Token of StartSession, ExecuteCommand or ResumeSession.
    pub token_value: String,
    /// The same for a client's life.
    #[serde(default)]
    pub client_id: String,
    /// Four numeric parts.
    #[serde(default)]
    pub client_version: String,
}

/// Without the token, so that it may be logged.
impl fmt::Debug for OpenDataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenDataChannel")
            .field("request_id", &self.request_id)
            .field("client_id", &self.client_id)
            .field("client_version", &self.client_version)
            .finish_non_exhaustive()
    }
}

/// Payload type 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HandshakeRequest {
    /// Agent version: decides mux, keep-alive and the terminate flag.
    #[serde(default, deserialize_with = "null_as_default")]
    pub agent_version: String,
    /// What the client is to agree to, in order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub requested_client_actions: Vec<RequestedAction>,
}

/// One thing an agent asks of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestedAction {
    /// `SessionType` or `KMSEncryption`.
    pub action_type: String,
    /// [`SessionTypeParameters`] or [`KmsParameters`].
    #[serde(default)]
    pub action_parameters: Value,
}

/// Parameters of the action `SessionType`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionTypeParameters {
    /// `Standard_Stream`, `InteractiveCommands`, `NonInteractiveCommands` or `Port`.
    pub session_type: String,
    /// Null, or for `Port` an object of strings.
    #[serde(default)]
    pub properties: Value,
}

/// Parameters of the action `KMSEncryption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsParameters {
    /// Key id or ARN.
    #[serde(rename = "KMSKeyId")]
    pub key_id: String,
    /// 16 random bytes in base64, used as a string (agents from 3.3.808).
    #[serde(rename = "Challenge", default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

/// Payload type 6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HandshakeResponse {
    /// Four numeric parts.
    pub client_version: String,
    /// One for each requested action, in order.
    pub processed_client_actions: Vec<ProcessedAction>,
    /// What went wrong, null if nothing did.
    #[serde(default)]
    pub errors: Option<Vec<String>>,
}

/// How a requested action went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProcessedAction {
    /// As requested.
    pub action_type: String,
    /// 1 done, 2 failed, 3 unsupported; a number, never text.
    pub action_status: i64,
    /// Null, or [`KmsResult`].
    #[serde(default)]
    pub action_result: Value,
    /// Why not.
    #[serde(default)]
    pub error: String,
}

/// Result of the action `KMSEncryption`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsResult {
    /// The data key as KMS encrypted it, base64.
    #[serde(rename = "KMSCipherTextKey")]
    pub ciphertext_key: Base64,
    /// Null in Amazon's client.
    #[serde(rename = "KMSCipherTextHash", default)]
    pub ciphertext_hash: Option<Base64>,
    /// Whether the random challenge is part of the encryption context.
    #[serde(rename = "ChallengeAcknowledgement", default, skip_serializing_if = "std::ops::Not::not")]
    pub challenge_acknowledgement: bool,
}

/// Payload type 7.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HandshakeComplete {
    /// Nanoseconds.
    pub handshake_time_to_complete: i64,
    /// To be shown to the person; often empty.
    #[serde(deserialize_with = "null_as_default")]
    pub customer_message: String,
}

/// Payload types 8 and 9.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncChallenge {
    /// nonce ‖ ciphertext ‖ tag of 64 random bytes, under the sender's key.
    pub challenge: Base64,
}

/// Bytes that JSON carries as standard base64 with padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Go writes an absent slice or string as null.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Text as it is, null as none, anything else as JSON has it.
fn as_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// A body as the bytes of a payload. These types always serialise: their keys are text.
pub fn to_bytes(body: &impl Serialize) -> bytes::Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}
