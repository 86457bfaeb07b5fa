//! `--envfile`: assignments as go-envparse reads them.
//!
//! `KEY=value`, optionally after `export`; blank lines and `#` comments; double quotes take
//! JSON escapes, single quotes nothing; no expansion. An error never shows the line: it may
//! hold a secret.

use super::error::{Error, ErrorKind, Source};

/// The most assignments of one file. No system hands a process as many.
const MOST: usize = 100_000;

/// The assignments of an envfile, in order.
pub(crate) fn parse(source: &Source) -> Result<Vec<(String, String)>, Error> {
    let mut variables = Vec::new();
    let mut at = 0;
    for line in source.text.split('\n') {
        match assignment(line) {
            Ok(None) => {}
            Ok(Some(_)) if variables.len() >= MOST => {
                let message = format!("more than {MOST} variables in one file");
                return Err(Error::at(ErrorKind::TooLarge, source.hidden_place(at), message));
            }
            Ok(Some(variable)) => variables.push(variable),
            Err(message) => return Err(Error::at(ErrorKind::Envfile, source.hidden_place(at), message)),
        }
        at += line.len() + 1;
    }
    Ok(variables)
}

fn assignment(line: &str) -> Result<Option<(String, String)>, String> {
    let line = line.trim_matches([' ', '\t', '\r', '\u{b}', '\u{c}']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    // `export` is a word before the key, but also a key of its own: `export =e`.
    let line = match line.strip_prefix("export ").map(str::trim_start) {
        Some(rest) if !rest.starts_with('=') => rest,
        _ => line,
    };
    let Some((key, value)) = line.split_once('=') else {
        return Err("`=` is missing: a line is KEY=value".to_owned());
    };
    let key = key.trim();
    check_key(key)?;
    Ok(Some((key.to_owned(), unquote(value.trim(), key)?)))
}

fn check_key(key: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if key.is_empty() {
        return Err("the name before `=` is missing".to_owned());
    }
    if !key.starts_with(first)
        || !key.chars().all(|c| first(c) || c.is_ascii_digit() || matches!(c, '.' | '/'))
    {
        return Err(
            "the name before `=` may hold A-Z a-z 0-9 _ . / and may not start with a digit".to_owned()
        );
    }
    Ok(())
}

/// The value behind `=`: quotes may start and end anywhere in it.
fn unquote(value: &str, key: &str) -> Result<String, String> {
    let mut out = String::new();
    // Up to here the value counts; blanks after it do not when a comment follows.
    let mut significant = 0;
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' => {
                let close =
                    rest.find('\'').ok_or_else(|| format!("the single quote of {key} is not closed"))?;
                if rest[..close].contains(control) {
                    return Err(format!("{key} holds a control character"));
                }
                out.push_str(&rest[..close]);
                rest = &rest[close + 1..];
            }
            '"' => {
                let close =
                    closing_quote(rest).ok_or_else(|| format!("the double quote of {key} is not closed"))?;
                let text: String =
                    serde_json::from_str(&format!("\"{}\"", &rest[..close])).map_err(|_| {
                        format!("{key} holds a control character, or an escape that JSON does not know")
                    })?;
                out.push_str(&text);
                rest = &rest[close + 1..];
            }
            '#' => {
                out.truncate(significant);
                return Ok(out);
            }
            c if control(c) => return Err(format!("{key} holds a control character")),
            ' ' => {
                out.push(' ');
                continue;
            }
            c => out.push(c),
        }
        significant = out.len();
    }
    Ok(out)
}

/// What a value may not hold, tabs included.
fn control(c: char) -> bool {
    c < ' '
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(i, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(i)
    })
}
