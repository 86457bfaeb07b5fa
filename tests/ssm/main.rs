//! The data channel against the vectors and traces recorded from Amazon's own programs, and
//! against a model agent in virtual time.

mod crypt;
mod drive;
mod encrypted;
mod handshake;
mod model;
mod pair;
mod pause;
mod receiving;
mod rtt;
mod secrets;
mod sending;
mod smux;
mod start;
mod traces;
mod vectors;
mod wire;
