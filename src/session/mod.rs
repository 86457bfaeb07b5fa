//! I/O around [`ssm`](crate::ssm): the WebSocket and its resumption, port forwards, the terminal.
//!
//! [`Session`] is one session, driven by whoever polls [`Session::next`]: no task, no lock,
//! no channel of its own. [`forward`] puts local ports in front of one session after another.

mod backoff;
mod calls;
mod dial;
mod driver;
mod endpoint;
mod error;
pub mod exec;
mod fate;
pub mod forward;
mod link;
mod liveness;
mod proxy;
pub mod terminal;

pub use dial::{Network, Socket, Transport};
pub use driver::{Event, Session};
pub use endpoint::{Endpoint, EndpointError};
pub use error::SessionError;
pub use proxy::{Proxies, Proxy};
