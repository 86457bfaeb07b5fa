//! Incoming frames: which are refused, which are the service's, and what the agent's say.

use bytes::Bytes;

use super::receive::Verdict;
use super::{Channel, Event, Stream};
use crate::ssm::body::{Acknowledgement, ServiceMessage};
use crate::ssm::wire::{Digest, MAX_MESSAGE, Message, MessageType, PayloadType, WireError};

/// Acknowledgements that may wait to be transmitted; past it the oldest is left to the peer's resending.
const ACKNOWLEDGEMENTS: usize = 16 << 10;
/// Bytes in events the application has not fetched, past which nothing more is taken.
const UNFETCHED: usize = 8 << 20;

impl Channel {
    /// One whole WebSocket message.
    pub(super) fn received(&mut self, message: Bytes) {
        // A header length that begins with `{` would be two gigabytes: this is a text frame.
        if message.first() == Some(&b'{') {
            return self.received_text(&message);
        }
        match Message::decode(message, Digest::Verify) {
            Ok(message) => self.received_message(&message),
            Err(error) => self.refuse(error.to_string()),
        }
    }

    fn received_text(&mut self, text: &[u8]) {
        if text.len() > MAX_MESSAGE {
            return self.refuse(WireError::TooLong(text.len()).to_string());
        }
        match serde_json::from_slice::<ServiceMessage>(text) {
            Ok(body) => self.received_service(&MessageType::from(body.message_type.as_str()), || body.output),
            Err(error) => self.refuse(format!("a text frame is no message: {error}")),
        }
    }

    fn received_message(&mut self, message: &Message) {
        match &message.message_type {
            MessageType::OutputStreamData => self.received_stream(message),
            MessageType::Acknowledge => match serde_json::from_slice::<Acknowledgement>(&message.payload) {
                Ok(body) => {
                    self.agent_lives();
                    self.sender.acknowledged(self.now, body.sequence);
                }
                Err(error) => self.refuse(format!("an acknowledgement cannot be read: {error}")),
            },
            service => self.received_service(service, || closing_text(&message.payload)),
        }
    }

    fn received_service(&mut self, message_type: &MessageType, output: impl FnOnce() -> String) {
        match message_type {
            MessageType::ChannelClosed => {
                self.event(Event::Closed(output()));
                self.over = true;
            }
            MessageType::StartPublication => {
                self.publication(true);
                self.start.published(self.now);
            }
            MessageType::PausePublication => self.publication(false),
            _ => {}
        }
    }

    fn received_stream(&mut self, message: &Message) {
        if message.sequence < 0 {
            return self.refuse(format!("message number {} is negative", message.sequence));
        }
        self.agent_lives();
        if self.unfetched > UNFETCHED {
            return;
        }
        if self.receiver.take(message) == Verdict::NoRoom {
            return;
        }
        if self.acknowledgements.len() >= ACKNOWLEDGEMENTS {
            self.acknowledgements.pop_front();
        }
        self.acknowledgements.push_back((message.sequence, message.id));
        while let Some((payload_type, payload)) = self.receiver.next() {
            self.payload(payload_type, payload);
            if self.over {
                return;
            }
        }
    }

    fn payload(&mut self, payload_type: PayloadType, payload: Bytes) {
        match payload_type {
            PayloadType::HandshakeRequest => self.handshake_request(&payload),
            PayloadType::HandshakeComplete => self.handshake_complete(&payload),
            PayloadType::EncChallengeRequest => self.challenge(&payload),
            PayloadType::Output | PayloadType::Error | PayloadType::StdErr | PayloadType::ExitCode => {
                self.data_began();
                match self.opened(payload) {
                    Some(payload) => self.data(payload_type, payload),
                    None => self.fail("a message cannot be decrypted: the two ends' keys differ"),
                }
            }
            PayloadType::Flag if payload[..] == 3u32.to_be_bytes() => self.event(Event::ConnectFailed),
            _ => {}
        }
    }

    /// Nothing is shown of an encrypted session that is not encrypted: the agent sends no such
    /// thing, so it would be the gateway's.
    fn opened(&self, payload: Bytes) -> Option<Bytes> {
        match &self.crypt {
            Some(crypt) => crypt.open(&payload),
            None => Some(payload),
        }
    }

    fn data(&mut self, payload_type: PayloadType, payload: Bytes) {
        if payload_type == PayloadType::ExitCode {
            let code = std::str::from_utf8(&payload).ok().and_then(|text| text.strip_prefix("EXIT_CODE:"));
            return match code.and_then(|code| code.trim().parse().ok()) {
                Some(code) => self.event(Event::ExitCode(code)),
                None => self.refuse("an exit code cannot be read".into()),
            };
        }
        let stream = if payload_type == PayloadType::Output { Stream::Output } else { Stream::Error };
        if !payload.is_empty() {
            self.event(Event::Data(stream, payload));
        }
    }
}

/// The text of channel_closed; a body that is no JSON still says something.
fn closing_text(payload: &[u8]) -> String {
    match serde_json::from_slice::<ServiceMessage>(payload) {
        Ok(body) => body.output,
        Err(_) => String::from_utf8_lossy(&payload[..payload.len().min(1024)]).into_owned(),
    }
}
