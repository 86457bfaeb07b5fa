//! Reads `tests/data`: what Amazon's own libraries made of the same bytes.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

pub(crate) fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// One section of `vectors.json`.
pub(crate) fn section(name: &str) -> Value {
    let text = fs::read_to_string(data("vectors.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all[name].take()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string"))
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = text(value);
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
