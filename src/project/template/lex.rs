//! The words of a Go text/template: text, delimiters, trim markers, and what stands between
//! them. Rules of Go's text/template/parse.

use super::Fault;

/// A word inside an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `name`, keywords included.
    Word(String),
    /// `.Name`, without the dot.
    Field(String),
    /// `$` or `$name`, with the dollar.
    Variable(String),
    /// A lone `.`.
    Dot,
    /// A string, unquoted.
    Text(String),
    /// An integer; a character constant is one.
    Int(i64),
    /// Any other number.
    Float(f64),
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
}

/// A token with its place in the source, in bytes. `spaced` says that blanks stood before it.
#[derive(Debug, Clone)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) spaced: bool,
}

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece {
    /// Literal text: where it starts in the source, where it ends.
    Text(usize, usize),
    /// What stands between the delimiters, and where the left delimiter is.
    Action(Vec<Lexeme>, usize),
}

/// Cuts `source` into text and actions; trim markers and comments are gone.
pub(super) fn lex(source: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut words = 0;
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let open = source[at..].find("{{").map(|i| at + i);
        let mut end = open.unwrap_or(source.len());
        let mut start = at;
        if trim_next {
            start = end - source[start..end].trim_start_matches(BLANKS).len();
        }
        let Some(open) = open else {
            pieces.push(Piece::Text(start, end));
            return Ok(pieces);
        };
        let mut inner = open + 2;
        if trims_left(&source[inner..]) {
            end = start + source[start..end].trim_end_matches(BLANKS).len();
            inner += 2;
        }
        if start < end {
            pieces.push(Piece::Text(start, end));
        }
        if pieces.len() >= MOST_PIECES {
            return Err(Fault::new(open, 2, "more template actions than any file needs").too_large());
        }
        if source[inner..].starts_with("/*") {
            let Some(close) = source[inner..].find("*/") else {
                return Err(Fault::new(open, 2, "this comment is not closed").hint("end it with */}}"));
            };
            let after = inner + close + 2;
            (at, trim_next) = match right_delimiter(&source[after..]) {
                Some((width, trims)) => (after + width, trims),
                None => {
                    return Err(Fault::new(after, 1, "a comment must end its action: `*/}}`"));
                }
            };
            continue;
        }
        let (lexemes, after, trims) = Action { source, at: inner, open }.lex(MOST_WORDS - words)?;
        words += lexemes.len();
        pieces.push(Piece::Action(lexemes, open));
        (at, trim_next) = (after, trims);
    }
}

/// The most actions and texts between them.
const MOST_PIECES: usize = 100_000;
/// The most words in all actions.
const MOST_WORDS: usize = 100_000;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 100;

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn trims_left(inner: &str) -> bool {
    inner.strip_prefix('-').is_some_and(|rest| rest.starts_with(BLANKS))
}

/// The width of the right delimiter at the start of `rest`, and whether it trims.
fn right_delimiter(rest: &str) -> Option<(usize, bool)> {
    if rest.starts_with("}}") {
        return Some((2, false));
    }
    let blank = rest.starts_with(BLANKS);
    (blank && rest[1..].starts_with("-}}")).then_some((4, true))
}

struct Action<'s> {
    source: &'s str,
    at: usize,
    open: usize,
}

impl Action<'_> {
    /// The words up to the right delimiter, `most` of them; what follows it, and whether it trims.
    fn lex(mut self, most: usize) -> Result<(Vec<Lexeme>, usize, bool), Fault> {
        let mut lexemes = Vec::new();
        let mut depth = 0_usize;
        let mut spaced = true;
        loop {
            let rest = &self.source[self.at..];
            if let Some((width, trims)) = right_delimiter(rest) {
                if depth > 0 {
                    return Err(Fault::new(self.at, 2, "a parenthesis is still open here"));
                }
                return Ok((lexemes, self.at + width, trims));
            }
            let Some(first) = rest.chars().next() else {
                return Err(Fault::new(self.open, 2, "this action is not closed").hint("end it with }}"));
            };
            if BLANKS.contains(&first) {
                self.at += 1;
                spaced = true;
                continue;
            }
            let at = self.at;
            if lexemes.len() >= most {
                return Err(
                    Fault::new(at, 1, "more words in template actions than any file needs").too_large()
                );
            }
            let token = self.token(first)?;
            match &token {
                Token::Word(name) | Token::Field(name) | Token::Variable(name)
                    if name.len() > LONGEST_NAME =>
                {
                    return Err(Fault::new(at, 1, "no name is so long").too_large());
                }
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return Err(Fault::new(at, 1, "unexpected `)`")),
                Token::Close => depth -= 1,
                _ => {}
            }
            lexemes.push(Lexeme { token, at, end: self.at, spaced });
            spaced = false;
        }
    }

    fn token(&mut self, first: char) -> Result<Token, Fault> {
        let rest = &self.source[self.at..];
        let at = self.at;
        let mut take = |width: usize, token: Token| {
            self.at += width;
            Ok(token)
        };
        match first {
            '(' => take(1, Token::Open),
            ')' => take(1, Token::Close),
            '|' => take(1, Token::Pipe),
            ',' => take(1, Token::Comma),
            '=' => take(1, Token::Assign),
            ':' if rest.starts_with(":=") => take(2, Token::Declare),
            '`' => match rest[1..].find('`') {
                // Go takes carriage returns out of raw strings.
                Some(close) => take(close + 2, Token::Text(rest[1..=close].replace('\r', ""))),
                None => Err(Fault::new(at, 1, "this string is not closed").hint("end it with a backquote")),
            },
            '"' => {
                let (text, width) = quoted(rest, '"', at)?;
                take(width, Token::Text(text))
            }
            '\'' => {
                let (text, width) = quoted(rest, '\'', at)?;
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(c), None) => take(width, Token::Int(i64::from(u32::from(c)))),
                    _ => Err(Fault::new(at, width, "text cannot stand in single quotes here")
                        .hint("use backquotes inside {{ }}: `text`")),
                }
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let width = word(&rest[1..]);
                let name = rest[1..=width].to_owned();
                take(1 + width, if width == 0 { Token::Dot } else { Token::Field(name) })
            }
            '$' => {
                let width = 1 + word(&rest[1..]);
                let name = rest[..width].to_owned();
                take(width, Token::Variable(name))
            }
            c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => {
                let width = number_width(rest);
                let text = &rest[..width];
                let fault = || Fault::new(at, width, format!("`{text}` is no number")).quoting(text);
                take(width, number(text).ok_or_else(fault)?)
            }
            c if c == '_' || c.is_alphabetic() => {
                let width = word(rest);
                take(width, Token::Word(rest[..width].to_owned()))
            }
            c => {
                let message = format!("unexpected {c:?} in an action");
                Err(Fault::new(at, c.len_utf8(), message).quoting(&rest[..c.len_utf8()]))
            }
        }
    }
}

/// Bytes of the identifier at the start of `text`.
fn word(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len())
}

fn number_width(text: &str) -> usize {
    let mut previous = ' ';
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let hex = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    text.char_indices()
        .find(|&(i, c)| {
            let exponent = if hex { matches!(previous, 'p' | 'P') } else { matches!(previous, 'e' | 'E') };
            let sign = matches!(c, '+' | '-') && (i == 0 || exponent);
            previous = c;
            !(sign || c.is_alphanumeric() || c == '.' || c == '_')
        })
        .map_or(text.len(), |(i, _)| i)
}

/// A number as Go's text/template takes it: decimal, 0x, 0o, 0b, leading-zero octal, with
/// underscores; a float that is whole stays a float.
fn number(text: &str) -> Option<Token> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.replace('_', "").to_ascii_lowercase();
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let radix = |prefix: &str, radix| Some(i128::from_str_radix(lower.strip_prefix(prefix)?, radix).ok());
    let integer = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .unwrap_or_else(|| match lower.strip_prefix('0') {
            Some(rest) if !rest.is_empty() => i128::from_str_radix(rest, 8).ok(),
            _ => lower.parse().ok(),
        })
        .filter(|_| !lower.trim_start_matches(['0', 'x', 'o', 'b']).starts_with(['+', '-']));
    if let Some(value) = integer {
        let value = if negative { -value } else { value };
        return i64::try_from(value).ok().map(Token::Int);
    }
    let decimal = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
    let value: f64 = decimal.then(|| lower.parse().ok()).flatten()?;
    Some(Token::Float(if negative { -value } else { value }))
}

/// The text of the quoted constant at the start of `rest` by Go's escapes, and its width.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(String, usize), Fault> {
    let open = || {
        let hint = match quote {
            '\'' => "use backquotes inside {{ }}: `text`",
            _ => "end it with a double quote on the same line",
        };
        Fault::new(at, 1, "this string is not closed").hint(hint)
    };
    let mut bytes = Vec::new();
    let mut i = 1;
    loop {
        let c = rest[i..].chars().next().ok_or_else(open)?;
        i += c.len_utf8();
        match c {
            '\n' => return Err(open()),
            '\\' => {
                let escape_at = at + i - 1;
                let bad = || {
                    Fault::new(escape_at, 2, "no escape that Go knows")
                        .hint("use backquotes: `text` takes no escapes")
                };
                let escape = rest[i..].chars().next().ok_or_else(open)?;
                i += escape.len_utf8();
                let mut code = |skip: usize, digits: usize, radix: u32| {
                    let start = i - skip;
                    let text = rest.get(start..start + digits)?;
                    i = start + digits;
                    text.bytes()
                        .all(|b| char::from(b).is_digit(radix))
                        .then(|| u32::from_str_radix(text, radix).ok())?
                };
                match escape {
                    'a' => bytes.push(7),
                    'b' => bytes.push(8),
                    'f' => bytes.push(12),
                    'n' => bytes.push(b'\n'),
                    'r' => bytes.push(b'\r'),
                    't' => bytes.push(b'\t'),
                    'v' => bytes.push(11),
                    '\\' => bytes.push(b'\\'),
                    c if c == quote => bytes.push(quote as u8),
                    'x' => bytes.push(code(0, 2, 16).and_then(|n| u8::try_from(n).ok()).ok_or_else(bad)?),
                    '0'..='7' => {
                        bytes.push(code(1, 3, 8).and_then(|n| u8::try_from(n).ok()).ok_or_else(bad)?)
                    }
                    'u' | 'U' => {
                        let digits = if escape == 'u' { 4 } else { 8 };
                        let c = code(0, digits, 16).and_then(char::from_u32).ok_or_else(bad)?;
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    _ => return Err(bad()),
                }
            }
            c if c == quote => return Ok((String::from_utf8_lossy(&bytes).into_owned(), i)),
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
