//! `ecsx target`.

fn main() {}
