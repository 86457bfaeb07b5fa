//! AgentMessage: the binary envelope of every data-channel frame (protocol.md section 2).
//!
//! Big-endian throughout, one message per WebSocket message. Both ends' codec lives here, so
//! that the sandbox speaks it too; JSON bodies are in [`super::body`].

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use ring::digest;

/// Length of the header with its length field, bytes: where the payload of an ordinary message starts.
pub const HEADER: usize = 120;
/// Largest message taken, bytes. Real ends stay near 1 KiB; this bounds what a broken one can cost.
pub const MAX_MESSAGE: usize = 1 << 20;
/// Flags of an acknowledgement: SYN and FIN.
pub const FLAGS_ACKNOWLEDGE: u64 = 3;

/// HeaderLength of what client and agent send: everything up to PayloadLength.
const ORDINARY: u32 = 116;
/// HeaderLength of what the service itself sends: the header has no PayloadType.
const SERVICE: u32 = 112;
const TYPE_LENGTH: usize = 32;

/// One data-channel message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// What the message is.
    pub message_type: MessageType,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Number in its direction; 0 in messages that are not numbered.
    pub sequence: i64,
    /// Bit 0 SYN, bit 1 FIN. Nobody reads them.
    pub flags: u64,
    /// Identity; a retransmission has the same.
    pub id: MessageId,
    /// What the payload is; [`PayloadType::None`] in the service's own messages.
    pub payload_type: PayloadType,
    /// The payload.
    pub payload: Bytes,
}

/// Without the payload, so that it may be logged.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_type", &self.message_type)
            .field("sequence", &self.sequence)
            .field("payload_type", &self.payload_type)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .finish_non_exhaustive()
    }
}

/// How a message differs from what an AgentMessage may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than the smallest header.
    #[error("a message of {0} bytes is shorter than its header")]
    TooShort(usize),
    /// More bytes than [`MAX_MESSAGE`].
    #[error("a message of {0} bytes is longer than {MAX_MESSAGE}")]
    TooLong(usize),
    /// The header length points outside the message, or into the fixed fields.
    #[error("header length {header} does not fit a message of {message} bytes")]
    HeaderLength {
        /// What the message says.
        header: u32,
        /// How long it is.
        message: usize,
    },
    /// The message type is blank.
    #[error("the message type is missing")]
    NoType,
    /// The message type is not ASCII.
    #[error("the message type is not text")]
    TypeNotText,
    /// The SHA-256 in the header is not the payload's.
    #[error("the payload does not match its digest")]
    Digest,
    /// Encoding: a payload of no bytes, which Amazon's ends cannot represent.
    #[error("an empty payload cannot be sent")]
    EmptyPayload,
    /// Encoding: a message type over 32 bytes.
    #[error("the message type is longer than {TYPE_LENGTH} bytes")]
    TypeTooLong,
}

/// Whether decoding compares the payload with its digest. Amazon's client does, its agent does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// Refuse a mismatch, but for messages the service makes itself: theirs was never checked.
    Verify,
    /// Take anything.
    Ignore,
}

/// Message types (header bytes 4–35).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageType {
    /// Client to agent; numbered and acknowledged.
    InputStreamData,
    /// Agent to client; numbered and acknowledged.
    OutputStreamData,
    /// Either end; neither numbered nor acknowledged.
    Acknowledge,
    /// Service to client: the session is over.
    ChannelClosed,
    /// Service: data may flow.
    StartPublication,
    /// Service: stop sending.
    PausePublication,
    /// Agent to service.
    AgentSessionState,
    /// Anything else; a client ignores it.
    Other(String),
}

impl MessageType {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InputStreamData => "input_stream_data",
            Self::OutputStreamData => "output_stream_data",
            Self::Acknowledge => "acknowledge",
            Self::ChannelClosed => "channel_closed",
            Self::StartPublication => "start_publication",
            Self::PausePublication => "pause_publication",
            Self::AgentSessionState => "agent_session_state",
            Self::Other(text) => text,
        }
    }

    /// Whether the service makes such messages itself, with digests that cannot be relied on.
    pub fn is_service(&self) -> bool {
        matches!(self, Self::ChannelClosed | Self::StartPublication | Self::PausePublication)
    }

    fn decode(field: &[u8]) -> Result<Self, WireError> {
        let text = std::str::from_utf8(field).map_err(|_| WireError::TypeNotText)?;
        match text.trim_matches(|c: char| c == '\0' || c.is_whitespace()) {
            "" => Err(WireError::NoType),
            text => Ok(Self::from(text)),
        }
    }
}

impl From<&str> for MessageType {
    fn from(text: &str) -> Self {
        match text {
            "input_stream_data" => Self::InputStreamData,
            "output_stream_data" => Self::OutputStreamData,
            "acknowledge" => Self::Acknowledge,
            "channel_closed" => Self::ChannelClosed,
            "start_publication" => Self::StartPublication,
            "pause_publication" => Self::PausePublication,
            "agent_session_state" => Self::AgentSessionState,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Payload types (protocol.md section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadType {
    /// 0: acknowledgements and service messages.
    None,
    /// 1: bytes, both ways.
    Output,
    /// 2: never produced by Amazon's agent.
    Error,
    /// 3: terminal size, JSON.
    Size,
    /// 4: unused.
    Parameter,
    /// 5: agent to client, JSON.
    HandshakeRequest,
    /// 6: client to agent, JSON.
    HandshakeResponse,
    /// 7: agent to client, JSON.
    HandshakeComplete,
    /// 8: agent to client, JSON.
    EncChallengeRequest,
    /// 9: client to agent, JSON.
    EncChallengeResponse,
    /// 10: a big-endian u32, both ways.
    Flag,
    /// 11: bytes, agent to client.
    StdErr,
    /// 12: text `EXIT_CODE: n`, agent to client.
    ExitCode,
    /// Anything else: acknowledged and ignored.
    Other(u32),
}

impl From<u32> for PayloadType {
    fn from(value: u32) -> Self {
        match value {
            0 => Self::None,
            1 => Self::Output,
            2 => Self::Error,
            3 => Self::Size,
            4 => Self::Parameter,
            5 => Self::HandshakeRequest,
            6 => Self::HandshakeResponse,
            7 => Self::HandshakeComplete,
            8 => Self::EncChallengeRequest,
            9 => Self::EncChallengeResponse,
            10 => Self::Flag,
            11 => Self::StdErr,
            12 => Self::ExitCode,
            other => Self::Other(other),
        }
    }
}

impl From<PayloadType> for u32 {
    fn from(value: PayloadType) -> Self {
        match value {
            PayloadType::None => 0,
            PayloadType::Output => 1,
            PayloadType::Error => 2,
            PayloadType::Size => 3,
            PayloadType::Parameter => 4,
            PayloadType::HandshakeRequest => 5,
            PayloadType::HandshakeResponse => 6,
            PayloadType::HandshakeComplete => 7,
            PayloadType::EncChallengeRequest => 8,
            PayloadType::EncChallengeResponse => 9,
            PayloadType::Flag => 10,
            PayloadType::StdErr => 11,
            PayloadType::ExitCode => 12,
            PayloadType::Other(other) => other,
        }
    }
}

/// A message's UUID, its bytes in the order of the text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// A version 4 UUID of these random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The same id as it lies in the header: low half first.
    fn swapped(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes.rotate_left(8);
        bytes
    }
}

/// The lower-case text form, as acknowledgements carry it.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Message {
    /// Reads a message, payload uncopied. Bytes past the header are the payload whatever
    /// PayloadLength says, as both of Amazon's ends have it.
    pub fn decode(message: Bytes, digest: Digest) -> Result<Self, WireError> {
        let length = message.len();
        if length > MAX_MESSAGE {
            return Err(WireError::TooLong(length));
        }
        if length < SERVICE as usize + 4 {
            return Err(WireError::TooShort(length));
        }
        let header = u32::from_be_bytes(field(&message, 0));
        let start = usize::try_from(header).ok().and_then(|header| header.checked_add(4));
        let start = match start {
            Some(start) if header >= SERVICE && start <= length => start,
            _ => return Err(WireError::HeaderLength { header, message: length }),
        };
        let message_type = MessageType::decode(&message[4..4 + TYPE_LENGTH])?;
        let payload = message.slice(start..);
        if digest == Digest::Verify && !message_type.is_service() && sha256(&payload) != field(&message, 80) {
            return Err(WireError::Digest);
        }
        let payload_type = match header {
            ORDINARY.. => PayloadType::from(u32::from_be_bytes(field(&message, 112))),
            _ => PayloadType::None,
        };
        Ok(Self {
            message_type,
            created_ms: u64::from_be_bytes(field(&message, 40)),
            sequence: i64::from_be_bytes(field(&message, 48)),
            flags: u64::from_be_bytes(field(&message, 56)),
            id: MessageId(MessageId(field(&message, 64)).swapped()),
            payload_type,
            payload,
        })
    }

    /// The message as client and agent send it: header length 116, type padded with spaces.
    pub fn encode(&self) -> Result<Bytes, WireError> {
        if self.payload.is_empty() {
            return Err(WireError::EmptyPayload);
        }
        self.put(ORDINARY, b' ')
    }

    /// The message as the service sends its own: header length 112, type padded with NUL, no payload type.
    pub fn encode_service(&self) -> Result<Bytes, WireError> {
        self.put(SERVICE, 0)
    }

    fn put(&self, header: u32, padding: u8) -> Result<Bytes, WireError> {
        let message_type = self.message_type.as_str().as_bytes();
        let padded = TYPE_LENGTH.checked_sub(message_type.len()).ok_or(WireError::TypeTooLong)?;
        let length = header as usize + 4 + self.payload.len();
        if length > MAX_MESSAGE {
            return Err(WireError::TooLong(length));
        }
        let mut out = BytesMut::with_capacity(length);
        out.put_u32(header);
        out.put_slice(message_type);
        out.put_bytes(padding, padded);
        out.put_u32(1);
        out.put_u64(self.created_ms);
        out.put_i64(self.sequence);
        out.put_u64(self.flags);
        out.put_slice(&self.id.swapped());
        out.put_slice(&sha256(&self.payload));
        if header == ORDINARY {
            out.put_u32(self.payload_type.into());
        }
        out.put_u32(self.payload.len() as u32);
        out.put_slice(&self.payload);
        Ok(out.freeze())
    }
}

/// `N` header bytes. Only called below the length that decoding has checked.
fn field<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&message[at..at + N]);
    bytes
}

fn sha256(payload: &[u8]) -> [u8; 32] {
    field(digest::digest(&digest::SHA256, payload).as_ref(), 0)
}
