//! The functions that every Go template has.

use super::format::{escape_html, escape_js, plain, push_hex, quote, sprint, sprintf};
use super::{Fault, Value};

/// Their names.
pub(crate) const BUILTINS: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// What came of a call.
pub(super) enum Outcome {
    Value(Value),
    /// Called wrongly. No argument is told: it may be a secret, or a byte of one.
    Wrong(String),
    NotBuiltin,
}

/// That a function does not exist, with the nearest name there is.
pub(crate) fn not_defined(name: &str, at: usize) -> Fault {
    Fault::new(at, name.len(), format!("function {name} is not defined")).quoting(name)
}

/// Whether Go's `if` takes it as true.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Nil | Value::Unknown(_) => false,
        Value::Bool(value) => *value,
        Value::Int(value) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::Text(text) => !text.is_empty(),
    }
}

/// A word for the type.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "a bool",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Text(_) => "a string",
        Value::Unknown(_) => "an unknown value",
    }
}

/// Calls a builtin, `and` and `or` apart: they do not evaluate all of their arguments.
pub(super) fn call(name: &str, arguments: &[Value]) -> Outcome {
    let result = match name {
        "not" => match arguments {
            [value] => Ok(Value::Bool(!truth(value))),
            _ => Err("not takes one value".to_owned()),
        },
        "eq" => equal(arguments),
        "ne" => match arguments {
            [_, _] => equal(arguments).map(|value| Value::Bool(value == Value::Bool(false))),
            _ => Err("ne takes two values".to_owned()),
        },
        "lt" => order(name, arguments, |ordering| ordering.is_lt()),
        "le" => order(name, arguments, |ordering| ordering.is_le()),
        "gt" => order(name, arguments, |ordering| ordering.is_gt()),
        "ge" => order(name, arguments, |ordering| ordering.is_ge()),
        "len" => match arguments {
            [Value::Text(text)] => Ok(int(text.len())),
            [value] => Err(format!("len of {}", kind(value))),
            _ => Err("len takes one value".to_owned()),
        },
        "index" => index(arguments),
        "slice" => slice(arguments),
        "print" => Ok(Value::Text(sprint(arguments))),
        "println" => Ok(Value::Text(arguments.iter().map(plain_or_nil).collect::<Vec<_>>().join(" ") + "\n")),
        "printf" => match arguments {
            [Value::Text(format), rest @ ..] => Ok(Value::Text(sprintf(format, rest))),
            _ => Err("printf takes a format first".to_owned()),
        },
        "html" => Ok(Value::Text(escape_html(&joined(arguments)))),
        "js" => Ok(Value::Text(escape_js(&joined(arguments)))),
        "urlquery" => Ok(Value::Text(query(&joined(arguments)))),
        "call" => Err("call takes a function, and there are none among the values".to_owned()),
        _ => return Outcome::NotBuiltin,
    };
    result.map_or_else(Outcome::Wrong, Outcome::Value)
}

fn int(value: usize) -> Value {
    i64::try_from(value).map_or(Value::Nil, Value::Int)
}

fn plain_or_nil(value: &Value) -> String {
    if *value == Value::Nil { "<nil>".to_owned() } else { plain(value) }
}

fn joined(arguments: &[Value]) -> String {
    match arguments {
        [Value::Text(text)] => text.clone(),
        [Value::Nil] => "<no value>".to_owned(),
        _ => sprint(arguments),
    }
}

/// `eq a b c…`: whether a equals any of the others.
fn equal(arguments: &[Value]) -> Result<Value, String> {
    let [first, others @ ..] = arguments else { return Err("eq needs values".to_owned()) };
    if others.is_empty() {
        return Err("eq needs something to compare with".to_owned());
    }
    for other in others {
        let same = match (first, other) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Nil, Value::Nil) => true,
            (Value::Nil, _) | (_, Value::Nil) => false,
            (a, b) => return Err(format!("{} and {} cannot be compared", kind(a), kind(b))),
        };
        if same {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn order(name: &str, arguments: &[Value], holds: fn(std::cmp::Ordering) -> bool) -> Result<Value, String> {
    let ordering = match arguments {
        [Value::Int(a), Value::Int(b)] => Some(a.cmp(b)),
        [Value::Float(a), Value::Float(b)] => a.partial_cmp(b),
        [Value::Text(a), Value::Text(b)] => Some(a.as_bytes().cmp(b.as_bytes())),
        [a, b] => return Err(format!("{} and {} cannot be ordered", kind(a), kind(b))),
        _ => return Err(format!("{name} takes two values")),
    };
    Ok(Value::Bool(ordering.is_some_and(holds)))
}

/// `index s i`: a byte of a string, as a number.
fn index(arguments: &[Value]) -> Result<Value, String> {
    match arguments {
        [value] => Ok(value.clone()),
        [Value::Text(text), Value::Int(index)] => usize::try_from(*index)
            .ok()
            .and_then(|index| text.as_bytes().get(index))
            .map(|byte| Value::Int(i64::from(*byte)))
            .ok_or_else(|| "the index is out of range".to_owned()),
        [Value::Text(_), _, _, ..] => Err("a byte of a string has no parts".to_owned()),
        [value, ..] => Err(format!("{} cannot be indexed so", kind(value))),
        [] => Err("index needs a value".to_owned()),
    }
}

/// `slice s [i [j]]`, in bytes.
fn slice(arguments: &[Value]) -> Result<Value, String> {
    let [Value::Text(text), bounds @ ..] = arguments else {
        return Err("slice takes a string".to_owned());
    };
    let bound = |position: usize, default: usize| match bounds.get(position) {
        None => Ok(default),
        Some(Value::Int(value)) => usize::try_from(*value)
            .ok()
            .filter(|value| *value <= text.len())
            .ok_or_else(|| "the index is out of range".to_owned()),
        Some(value) => Err(format!("{} is no index", kind(value))),
    };
    if bounds.len() > 2 {
        return Err("slice takes at most two bounds for a string".to_owned());
    }
    let (start, end) = (bound(0, 0)?, bound(1, text.len())?);
    let bytes = text
        .as_bytes()
        .get(start..end)
        .ok_or_else(|| "the bounds of slice are the wrong way round".to_owned())?;
    Ok(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
}

/// Go's url.QueryEscape.
fn query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => {
                out.push('%');
                push_hex(&mut out, u32::from(byte), 2, true);
            }
        }
    }
    out
}

/// Go's JSON string escaping without the outer quotes: `json_escape`.
pub(crate) fn json_escape(text: &str) -> String {
    let quoted = quote(text);
    quoted[1..quoted.len() - 1].to_owned()
}
