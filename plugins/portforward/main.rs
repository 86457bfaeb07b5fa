//! `ecsx portforward`.

fn main() {}
