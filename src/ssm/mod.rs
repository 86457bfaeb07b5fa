//! The SSM session data channel as pure state machines: bytes, events and a clock go in;
//! bytes, events and deadlines come out. No sockets, no tokio, no clock of its own, no
//! ambient randomness.
//!
//! [`channel::Channel`] is one session: numbering, acknowledgement, resending, pausing, the
//! handshake and encryption. [`smux::Client`] sits on top for multiplexed port sessions: what
//! it transmits is what the channel is asked to write.

pub mod body;
pub mod channel;
pub mod crypt;
pub mod handshake;
mod random;
pub mod rtt;
pub mod smux;
mod window;
pub mod wire;
