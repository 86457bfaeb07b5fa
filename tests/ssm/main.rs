//! The data channel against the vectors and traces recorded from Amazon's own programs, and
//! against a model agent in virtual time.

mod channel;
mod crypt;
mod drive;
mod handshake;
mod model;
mod pair;
mod pause;
mod rtt;
mod smux;
mod traces;
mod vectors;
mod wire;
