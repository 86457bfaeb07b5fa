//! `ecsx exec`.

fn main() {}
