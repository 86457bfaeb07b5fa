//! Port forwards: local ports that stay, sessions that come and go behind them.
//!
//! [`Listener::bind`] takes the ports before AWS is asked for anything; [`Forward::run`] opens a
//! session per destination and serves. A local half-close is not passed on: the streams inside
//! a session (smux version 1) know only a full close, which would lose the answer. So a
//! connection whose client has shut down its sending side lives until the remote end closes
//! or the client is gone altogether.

mod advice;
mod basic;
mod connection;
mod descriptors;
mod ending;
mod holder;
mod line;
mod listen;
mod mux;
mod serve;
mod silence;
mod spec;
mod status;

pub use descriptors::with_the_usual_descriptors;
pub use line::Course;
pub use listen::{ListenError, Listener};
pub use mux::HARD as BACKLOG_BOUND;
pub use serve::{Choice, Forward, Retarget, Setting};
pub use spec::{Bind, Destination, FORMS, Spec, SpecError, Wish};
pub use status::{Report, Status, place};
