//! The data channel against the vectors and traces recorded from Amazon's own programs, and
//! against a model agent in virtual time.

mod vectors;
mod wire;
