//! Go's fmt, for the values a template can hold: `print`, `printf` and the escapers.

use super::Value;

/// The widest field, and the most digits, that are made. (Go stops at a million.)
const WIDEST: usize = 1_000;
/// A text longer than this is refused by the caller anyway, so no more is made.
const LONGEST: usize = 64 << 20;

/// A value as `%v` gives it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => float(*value),
        Value::Text(text) => text.clone(),
        Value::Unknown(_) => String::new(),
    }
}

/// `%v` of a float: the shortest digits, with an exponent below 1e-4 and from 1e21 on.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let exponent = format!("{value:e}");
    let power: i32 = exponent.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    if (-4..21).contains(&power) { format!("{value}") } else { exponential(&exponent) }
}

/// Rust's `1e-7` as Go writes it: `1e-07`.
fn exponential(text: &str) -> String {
    let Some((digits, power)) = text.split_once('e') else { return text.to_owned() };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// `print`: blanks between operands when neither is a string.
pub(super) fn sprint(values: &[Value]) -> String {
    let mut out = String::new();
    let mut previous_text = true; // So no blank stands before the first.
    for value in values {
        let text = matches!(value, Value::Text(_));
        if !text && !previous_text {
            out.push(' ');
        }
        out.push_str(&if *value == Value::Nil { "<nil>".to_owned() } else { plain(value) });
        previous_text = text;
    }
    out
}

#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf`.
pub(crate) fn sprintf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut rest = format;
    let mut next = 0;
    while let Some(percent) = rest.find('%') {
        if out.len() > LONGEST {
            return out;
        }
        out.push_str(&rest[..percent]);
        rest = &rest[percent + 1..];
        let (spec, verb) = spec(&mut rest, values, &mut next, &mut out);
        let Some(verb) = verb else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        match values.get(next) {
            None => {
                out.push_str("%!");
                out.push(verb);
                out.push_str("(MISSING)");
            }
            Some(value) => out.push_str(&formatted(&spec, verb, value)),
        }
        next += 1;
    }
    out.push_str(rest);
    if next < values.len() {
        let extra: Vec<String> = values[next..].iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn spec(rest: &mut &str, values: &[Value], next: &mut usize, out: &mut String) -> (Spec, Option<char>) {
    let mut spec = Spec::default();
    loop {
        match rest.chars().next() {
            Some('-') => spec.minus = true,
            Some('+') => spec.plus = true,
            Some('#') => spec.sharp = true,
            Some(' ') => spec.space = true,
            Some('0') => spec.zero = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    let mut number = |rest: &mut &str| -> Option<Option<usize>> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let value = values.get(*next);
            *next += 1;
            return Some(match value {
                Some(Value::Int(value)) => usize::try_from(*value).ok().filter(|value| *value <= WIDEST),
                _ => None,
            });
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (text, after) = rest.split_at(digits);
        *rest = after;
        (digits > 0).then(|| text.parse().ok().filter(|value| *value <= WIDEST))
    };
    match number(rest) {
        Some(None) => out.push_str("%!(BADWIDTH)"),
        Some(width) => spec.width = width,
        None => {}
    }
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        match number(rest) {
            Some(None) => out.push_str("%!(BADPREC)"),
            Some(precision) => spec.precision = precision,
            None => spec.precision = Some(0),
        }
    }
    let verb = rest.chars().next();
    *rest = &rest[verb.map_or(0, char::len_utf8)..];
    (spec, verb)
}

fn formatted(spec: &Spec, verb: char, value: &Value) -> String {
    let cut = |text: &str| match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    let digits = spec.precision.unwrap_or(6);
    let hex = |text: String| if verb == 'X' { text.to_uppercase() } else { text };
    let text = match (verb, value) {
        ('v', Value::Nil) => "<nil>".to_owned(),
        ('T', value) => type_name(value).to_owned(),
        ('v' | 's', Value::Text(text)) if !(spec.sharp && verb == 'v') => cut(text),
        ('q' | 'v', Value::Text(text)) => go_quote(&cut(text)),
        ('x' | 'X', Value::Text(text)) => {
            let mut out = String::with_capacity(2 * text.len());
            text.bytes().for_each(|byte| push_hex(&mut out, u32::from(byte), 2, verb == 'X'));
            out
        }
        ('v' | 't', Value::Bool(value)) => value.to_string(),
        ('v' | 'd', Value::Int(value)) => {
            return number(spec, &value.unsigned_abs().to_string(), "", *value < 0);
        }
        ('b', Value::Int(value)) => {
            return number(
                spec,
                &format!("{:b}", value.unsigned_abs()),
                if spec.sharp { "0b" } else { "" },
                *value < 0,
            );
        }
        ('o', Value::Int(value)) => {
            return number(
                spec,
                &format!("{:o}", value.unsigned_abs()),
                if spec.sharp { "0" } else { "" },
                *value < 0,
            );
        }
        ('x' | 'X', Value::Int(value)) => {
            let prefix = match (spec.sharp, verb) {
                (true, 'x') => "0x",
                (true, _) => "0X",
                _ => "",
            };
            return number(spec, &hex(format!("{:x}", value.unsigned_abs())), prefix, *value < 0);
        }
        ('c', Value::Int(value)) => character(*value).to_string(),
        ('q', Value::Int(value)) => format!("'{}'", character(*value)),
        ('U', Value::Int(value)) => format!("U+{value:04X}"),
        ('v' | 'g' | 'G', Value::Float(value)) if spec.precision.is_none() => {
            return number(spec, &float(value.abs()), "", value.is_sign_negative());
        }
        ('f' | 'F', Value::Float(value)) => {
            return number(spec, &format!("{:.*}", digits, value.abs()), "", value.is_sign_negative());
        }
        ('e', Value::Float(value)) => {
            let text = exponential(&format!("{:.*e}", digits, value.abs()));
            return number(spec, &text, "", value.is_sign_negative());
        }
        (verb, Value::Nil) => format!("%!{verb}(<nil>)"),
        (verb, value) => format!("%!{verb}({})", typed(value)),
    };
    pad(spec, &text, false)
}

fn number(spec: &Spec, digits: &str, prefix: &str, negative: bool) -> String {
    let sign = match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let head = sign.len() + prefix.len();
    let zeros = match spec.width {
        Some(width) if spec.zero && !spec.minus => width.saturating_sub(head + digits.len()),
        _ => 0,
    };
    pad(spec, &format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)), true)
}

fn pad(spec: &Spec, text: &str, number: bool) -> String {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        return format!("{text}{}", " ".repeat(missing));
    }
    let fill = if spec.zero && !number { "0" } else { " " };
    format!("{}{text}", fill.repeat(missing))
}

fn character(value: i64) -> char {
    u32::try_from(value).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil | Value::Unknown(_) => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
    }
}

fn typed(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        value => format!("{}={}", type_name(value), plain(value)),
    }
}

/// Adds the last `digits` hexadecimal digits of a number. (`format!` takes ten times as long, and
/// the texts may be long.)
pub(super) fn push_hex(out: &mut String, number: u32, digits: u32, upper: bool) {
    for digit in (0..digits).rev() {
        let digit = char::from_digit(number >> (4 * digit) & 15, 16).unwrap_or('0');
        out.push(if upper { digit.to_ascii_uppercase() } else { digit });
    }
}

/// Adds `\u` and the four digits of a character of the first plane.
fn push_unicode(out: &mut String, c: char, upper: bool) {
    out.push_str("\\u");
    push_hex(out, u32::from(c), 4, upper);
}

/// Go's `%q`.
fn go_quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => {
                out.push_str("\\x");
                push_hex(&mut out, u32::from(c), 2, false);
            }
            c if c.is_control() => push_unicode(&mut out, c, false),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's encoding/json: quotes, with < > & and the line separators escaped too.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                push_unicode(&mut out, c, false);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's template.HTMLEscapeString.
pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Go's template.JSEscapeString.
pub(super) fn escape_js(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => push_unicode(&mut out, c, true),
            c if c.is_control() => push_unicode(&mut out, c, true),
            c => out.push(c),
        }
    }
    out
}
