//! The WebSocket of the moment: messages in and out as far as they go, and whether it lives.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::Socket;
use super::error::SessionError;
use super::liveness::{Due, Liveness};

/// How long the socket may take nothing at all before it counts as dead.
const STUCK: Duration = Duration::from_secs(15);
/// Messages looked at for the reason of a socket that takes nothing more.
const LAST_WORDS: usize = 256;

/// Why a WebSocket is no longer one.
#[derive(Debug)]
pub(super) enum Broken {
    /// The other end said so, and why.
    Closed(Option<CloseFrame>),
    /// Whatever else.
    Lost(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Some(frame)) if !frame.reason.is_empty() => {
                write!(f, "closed by the service: {} {}", frame.code, frame.reason)
            }
            Self::Closed(Some(frame)) => write!(f, "closed by the service: {}", frame.code),
            Self::Closed(None) => f.write_str("closed by the service"),
            Self::Lost(why) => f.write_str(why),
        }
    }
}

impl From<Broken> for SessionError {
    fn from(broken: Broken) -> Self {
        let text = broken.to_string();
        match broken {
            // RFC 6455: the endpoint does not like what it was sent. The gateway says so of a token.
            Broken::Closed(Some(CloseFrame { code: CloseCode::Policy, .. })) => Self::ShutOut(text),
            _ => Self::WebSocket(text),
        }
    }
}

/// An open WebSocket.
pub(super) struct Link {
    socket: Socket,
    /// A message that did not fit into the socket's buffer, and since when. Until it is out,
    /// nothing is read: so a fast source cannot fill memory with acknowledgements.
    stuck: Option<(Message, Instant)>,
    unflushed: bool,
    liveness: Liveness,
}

impl Link {
    pub(super) fn new(socket: Socket, now: Instant, wall: SystemTime) -> Self {
        Self { socket, stuck: None, unflushed: false, liveness: Liveness::new(now, wall) }
    }

    /// Whether [`Self::transmit`] must wait.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Takes a message. Not while [stuck](Self::is_stuck).
    pub(super) fn transmit(&mut self, message: Message, now: Instant) -> Result<(), Broken> {
        self.unflushed = true;
        match Pin::new(&mut self.socket).start_send(message) {
            Ok(()) => Ok(()),
            Err(tungstenite::Error::WriteBufferFull(message)) => {
                self.stuck = Some((*message, now));
                Ok(())
            }
            Err(e) => Err(self.unwritable(&e)),
        }
    }

    /// Why nothing can be sent: the other end may have said so before it closed.
    fn unwritable(&mut self, error: &tungstenite::Error) -> Broken {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..LAST_WORDS {
            match Pin::new(&mut self.socket).poll_next(&mut cx) {
                Poll::Ready(Some(Ok(Message::Close(frame)))) => return Broken::Closed(frame),
                // Whatever it is, it was not acknowledged, and comes again.
                Poll::Ready(Some(Ok(_))) => {}
                _ => break,
            }
        }
        Broken::Lost(error.to_string())
    }

    /// What came in: one whole message, or nothing of account (no bytes).
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<Bytes, Broken>> {
        if self.is_stuck() {
            return Poll::Pending;
        }
        let message = std::task::ready!(Pin::new(&mut self.socket).poll_next(cx));
        Poll::Ready(match message {
            Some(Ok(Message::Close(frame))) => Err(Broken::Closed(frame)),
            Some(Ok(message)) => {
                self.liveness.heard(now);
                Ok(match message {
                    Message::Binary(bytes) => bytes,
                    Message::Text(text) => text.into(),
                    _ => Bytes::new(),
                })
            }
            Some(Err(e)) => Err(Broken::Lost(e.to_string())),
            None => Err(Broken::Closed(None)),
        })
    }

    /// Sends what waits; `true` if there is room again where there was none.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<bool, Broken> {
        if !self.unflushed {
            return Ok(false);
        }
        if let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx) {
            flushed.map_err(|e| self.unwritable(&e))?;
            self.unflushed = false;
        }
        // Part of it may have gone out.
        let Some((message, since)) = self.stuck.take() else { return Ok(false) };
        self.transmit(message, since)?;
        Ok(!self.is_stuck())
    }

    /// Pings when it is time, and answers when to ask again; `None` for at once. `unacknowledged`:
    /// since when data waits for an acknowledgement. `deaf`: nothing is read on purpose.
    pub(super) fn check(
        &mut self,
        (now, wall): (Instant, SystemTime),
        unacknowledged: Option<Instant>,
        deaf: bool,
    ) -> Result<Option<Instant>, Broken> {
        let dead = self.stuck.as_ref().map(|(_, since)| *since + STUCK);
        if dead.is_some_and(|dead| now >= dead) {
            return Err(Broken::Lost(format!("no byte sent for {} s", STUCK.as_secs())));
        }
        // While stuck a ping would only stand in line, and its answer not be read.
        match self.liveness.check(now, wall, unacknowledged, deaf || dead.is_some()) {
            Due::At(at) => Ok(Some(dead.map_or(at, |dead| dead.min(at)))),
            Due::Ping => {
                self.transmit(Message::Ping(Bytes::from_static(b"keepalive")), now)?;
                Ok(None)
            }
            Due::Dead(silence) => Err(Broken::Lost(format!("no answer for {} s", silence.as_secs()))),
        }
    }

    /// Says goodbye.
    pub(super) async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

    use super::*;
    use crate::session::Transport;

    /// A link whose other end reads only when it is told to.
    async fn link() -> (Link, tokio::io::DuplexStream, Instant, SystemTime) {
        let (ours, theirs) = tokio::io::duplex(256);
        let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(1024);
        let ours: Box<dyn Transport> = Box::new(ours);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, Some(config)).await;
        let (now, wall) = (Instant::now(), SystemTime::now());
        (Link::new(socket, now, wall), theirs, now, wall)
    }

    fn data() -> Message {
        Message::Binary(Bytes::from_static(&[7; 100]))
    }

    #[tokio::test]
    async fn a_ping_that_is_due_does_not_take_the_place_of_a_message_that_waits() {
        let (mut link, mut theirs, now, wall) = link().await;
        let mut sent = 0;
        while !link.is_stuck() {
            link.transmit(data(), now).unwrap();
            sent += 1;
        }
        let ten = Duration::from_secs(10);
        assert!(link.check((now + ten, wall + ten), Some(now), false).unwrap().is_some());
        // The other end reads again: every message comes, and nothing else.
        let mut arrived = Vec::new();
        while link.is_stuck() || link.unflushed {
            let _ = link.poll_flush(&mut Context::from_waker(Waker::noop())).unwrap();
            let mut buffer = [0; 256];
            let read = tokio::time::timeout(Duration::from_millis(10), theirs.read(&mut buffer)).await;
            arrived.extend_from_slice(&buffer[..read.map_or(0, Result::unwrap)]);
        }
        drop(link);
        theirs.read_to_end(&mut arrived).await.unwrap();
        // Opcode, length, mask, data.
        assert_eq!(arrived.len(), sent * (2 + 4 + 100));
        assert!(arrived.chunks(106).all(|frame| frame[0] == 0x82), "binary frames only");
    }

    #[tokio::test]
    async fn what_the_service_said_before_it_closed_is_the_reason_and_not_the_failed_write() {
        let (mut link, mut theirs, now, _) = link().await;
        // Something else, then the end: 1008.
        theirs.write_all(&[0x82, 1, 7, 0x88, 2, 0x03, 0xf0]).await.unwrap();
        drop(theirs);
        let broken = link.transmit(data(), now).unwrap_err();
        assert!(matches!(SessionError::from(broken), SessionError::ShutOut(_)));
    }

    #[tokio::test]
    async fn a_socket_that_takes_nothing_is_given_up() {
        let (mut link, _theirs, now, wall) = link().await;
        while !link.is_stuck() {
            link.transmit(data(), now).unwrap();
        }
        let at = |seconds| (now + Duration::from_secs(seconds), wall + Duration::from_secs(seconds));
        for seconds in 0..15 {
            link.check(at(seconds), Some(now), false).unwrap();
        }
        assert!(link.check(at(15), Some(now), false).unwrap_err().to_string().contains("15 s"));
    }
}
