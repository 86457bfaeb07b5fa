//! `ecsx sandbox`.

fn main() {}
