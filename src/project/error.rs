//! What is wrong with a project, told as a compiler tells it: file, line, column, the line
//! itself, a caret, and what to do.
//!
//! Only the text of the file is ever shown, never what a template made of it: a rendered line
//! may hold the value of a variable.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::ui::Explain;

/// What went wrong, for programs that want to tell cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file, or no project at all.
    NotFound,
    /// A file is there but could not be read.
    Unreadable,
    /// A line of an envfile is no assignment.
    Envfile,
    /// A template is malformed, or failed.
    Template,
    /// A variable that `must_env` asks for is not set.
    Variable,
    /// A value that only AWS, a remote or an absent state could give.
    Lookup,
    /// A jsonnet program is malformed, or failed.
    Jsonnet,
    /// YAML or JSON is malformed.
    Syntax,
    /// A key holds what it must not hold.
    Type,
    /// The `plugins` section is wrong.
    Plugin,
    /// More than a project may sensibly be: size, depth, aliases, loops.
    TooLarge,
    /// A jsonnet program that was given up. It still runs: nothing may go on but the exit.
    Endless,
}

/// Why a project could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    notes: Vec<Note>,
    hints: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    place: Option<Place>,
    message: String,
}

/// A place in a file: what an editor jumps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the person would name it.
    pub file: PathBuf,
    /// Line, from 1; 0 where only the file is known.
    pub line: usize,
    /// Column in characters, from 1; 0 likewise.
    pub column: usize,
    /// What is shown of the line; empty when it must not be shown.
    excerpt: String,
    /// What is underlined of the excerpt: from which column of the terminal, and how many
    /// characters.
    underlined: (usize, usize),
}

impl Error {
    /// An error without a place.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, notes: vec![Note { place: None, message: message.into() }], hints: Vec::new() }
    }

    /// An error at a place.
    pub(crate) fn at(kind: ErrorKind, place: Place, message: impl Into<String>) -> Self {
        let note = Note { place: Some(place), message: message.into() };
        Self { kind, notes: vec![note], hints: Vec::new() }
    }

    /// The same at `place`, unless it has one.
    pub(crate) fn or_at(mut self, place: Option<Place>) -> Self {
        for note in &mut self.notes {
            note.place = note.place.take().or_else(|| place.clone());
        }
        self
    }

    /// One more thing to try; said once however often it is given.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// Several errors as one; the first gives the kind. `None` of an empty list. Of very many
    /// only the first are told.
    pub(crate) fn all(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let all = errors.by_ref().take(MOST_TOLD).reduce(|mut first, next| {
            for note in next.notes {
                if !first.notes.contains(&note) {
                    first.notes.push(note);
                }
            }
            next.hints.into_iter().fold(first, Self::hint)
        });
        all.map(|all| match errors.next() {
            Some(_) => all.hint("there is more of this kind further down"),
            None => all,
        })
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where, as far as it is known: one place for each thing that is wrong.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.notes.iter().filter_map(|note| note.place.as_ref())
    }
}

impl std::error::Error for Error {}

impl Explain for Error {
    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, note) in self.notes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match &note.place {
                None => write!(f, "{}", note.message)?,
                Some(place) => place.show(f, &note.message)?,
            }
        }
        Ok(())
    }
}

/// The widest excerpt of a line that is shown, in characters: minified JSON is one long line.
const EXCERPT: usize = 100;
/// How many errors are told at once.
const MOST_TOLD: usize = 20;

impl Place {
    /// Somewhere in a file.
    pub(crate) fn somewhere(file: &Path) -> Self {
        Self { file: file.to_path_buf(), line: 0, column: 0, excerpt: String::new(), underlined: (0, 0) }
    }

    /// The same with what is around byte `at` of `line`, and `width` bytes from there underlined.
    fn with_excerpt(self, line: &str, at: usize, width: usize) -> Self {
        // Of the line nothing is kept but what is shown: there may be very many places in it.
        let is_short = line.len() <= 4 * EXCERPT && line.chars().count() <= EXCERPT;
        let start = match is_short {
            true => 0,
            false => line[..at].char_indices().rev().take(EXCERPT / 2).last().map_or(at, |(i, _)| i),
        };
        let rest = &line[start..];
        let end = start + rest.char_indices().nth(EXCERPT).map_or(rest.len(), |(i, _)| i);
        // Tabs and escape sequences would move the caret, or the terminal.
        let shown: String = line[start..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let before = if start > 0 { "…" } else { "" };
        let after = if end < line.len() { "…" } else { "" };
        let under = line[at..floor(line, at.saturating_add(width)).clamp(at, end.max(at))].chars().count();
        let caret = before.chars().count() + columns(&line[start..at]);
        Self {
            excerpt: format!("{before}{}{after}", shown.trim_end()),
            underlined: (caret, under.max(1)),
            ..self
        }
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, message: &str) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {message}", self.file.display());
        }
        write!(f, "{}:{}:{}: {message}", self.file.display(), self.line, self.column)?;
        if self.excerpt.is_empty() {
            return Ok(());
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let (caret, width) = self.underlined;
        let (blanks, carets) = (" ".repeat(caret), "^".repeat(width));
        write!(f, "\n {number} | {}\n {margin} | {blanks}{carets}", self.excerpt)
    }
}

/// Terminal columns of a text: East Asian wide ones take two.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}') { 2 } else { 1 }).sum()
}

/// The text of a file, and what to call it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// The file, as the person would name it.
    pub(crate) name: PathBuf,
    /// Its text; without a byte order mark.
    pub(crate) text: String,
    /// What is in the file, if `text` is only what was made of it (jsonnet's JSON).
    pub(crate) written: Option<String>,
    /// Whether its lines may be shown: not those of a file that is none of the project's.
    pub(crate) shown: bool,
    /// How many lines end before each chunk of what is in the file, once it was asked for.
    pub(crate) lines: OnceLock<Vec<usize>>,
}

/// How much of a file is looked at for the line of a place, in bytes: there may be very many.
const CHUNK: usize = 4 << 10;

/// What a value is called that the file does not say.
pub(crate) const MADE: &str = "(a value not shown)";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 32 << 20;

impl Source {
    /// Reads a file that a project names: a regular one, for a pipe might never end.
    /// `current` is the current directory, which its name is told from.
    pub(crate) fn read(path: &Path, current: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
            return Err(Error::new(ErrorKind::Unreadable, format!("{} is no regular file", path.display())));
        }
        Self::read_any(path, current)
    }

    /// Reads a file as [`Source::read`] does. Its lines are for errors to show only if it is a
    /// file of the project in `folder`: any file at all can be named in a project.
    pub(crate) fn read_in(folder: &Path, path: &Path, current: &Path) -> Result<Self, Error> {
        let mut source = Self::read(path, current)?;
        let is_config = path.extension().is_some_and(|extension| {
            ["yml", "yaml", "json", "jsonnet", "libsonnet"].iter().any(|known| extension == *known)
        });
        let is_inside = match (std::fs::canonicalize(folder), std::fs::canonicalize(path)) {
            (Ok(folder), Ok(path)) => path.starts_with(folder),
            _ => false,
        };
        source.shown = is_config && is_inside;
        Ok(source)
    }

    /// What a value may be called in an error: itself if the file says it, as a word or as words.
    /// Else a template or a program made it, maybe of a variable that holds a secret.
    pub(crate) fn called<'v>(&self, value: &'v str) -> Option<&'v str> {
        let written = self.written.as_ref().unwrap_or(&self.text);
        // A letter of a secret stands in any file, but hardly as a word.
        let is_apart = |at: usize| {
            let (before, after) =
                (written[..at].chars().next_back(), written[at + value.len()..].chars().next());
            !before.into_iter().chain(after).any(char::is_alphanumeric)
        };
        let is_written = || written.match_indices(value).any(|(at, _)| is_apart(at));
        (self.may_tell(value) && is_written()).then_some(value)
    }

    /// Whether an error may hold a word of the text: what a program made may be a secret.
    pub(crate) fn may_quote(&self, word: &str) -> bool {
        self.shown && (self.written.is_none() || self.called(word).is_some())
    }

    /// Whether an error may hold a text that the file says.
    pub(crate) fn may_tell(&self, text: &str) -> bool {
        self.shown && text.len() <= EXCERPT
    }

    /// Reads a file that the person names, be it a pipe.
    pub(crate) fn read_any(path: &Path, current: &Path) -> Result<Self, Error> {
        let name = path.strip_prefix(current).unwrap_or(path).to_path_buf();
        let failed = |error: std::io::Error| {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unreadable,
            };
            Error::new(kind, format!("cannot read {}: {}", name.display(), plain(&error)))
        };
        let size = std::fs::metadata(path).map_err(failed)?;
        if size.is_dir() {
            return Err(Error::new(
                ErrorKind::Unreadable,
                format!("{} is a directory, not a file", name.display()),
            ));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST + 1), &mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            let message = format!("{} is larger than {} MiB", name.display(), LARGEST >> 20);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        // As Go reads it: what is no UTF-8 becomes U+FFFD. A mark at the start is no content.
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        Ok(Self { name, text, shown: true, ..Self::default() })
    }

    /// The place of `width` bytes at `offset`.
    pub(crate) fn place(&self, offset: usize, width: usize) -> Place {
        let Some(written) = &self.written else { return self.place_in(&self.text, offset, width) };
        // What a template's action says stands in the file as it does in what was made of it.
        let (start, end) = (floor(&self.text, offset), floor(&self.text, offset.saturating_add(width)));
        // Where it stands twice, one may be a comment.
        let mut found = written.match_indices(&self.text[start..end]);
        match (found.next(), found.next()) {
            (Some((at, _)), None) if end - start > 4 => self.place_in(written, at, end - start),
            _ => Place::somewhere(&self.name),
        }
    }

    fn place_in(&self, text: &str, offset: usize, width: usize) -> Place {
        let offset = floor(text, offset);
        let breaks = |c: char| c == '\n' || c == '\r';
        let line = self.line(text.as_bytes(), offset);
        let start = text[..offset].rfind(breaks).map_or(0, |i| i + 1);
        let end = text[offset..].find(breaks).map_or(text.len(), |i| offset + i);
        let column = text[start..offset].chars().count() + 1;
        let place = Place { line, column, ..Place::somewhere(&self.name) };
        match self.shown {
            true => place.with_excerpt(&text[start..end], offset - start, width),
            false => place,
        }
    }

    /// The line of byte `offset` of what is in the file, from 1.
    fn line(&self, text: &[u8], offset: usize) -> usize {
        // A line ends with \n, \r\n, or \r alone.
        let ends = |i: &usize| text[*i] == b'\n' || text[*i] == b'\r' && text.get(i + 1) != Some(&b'\n');
        let lines = self.lines.get_or_init(|| {
            let mut count = 0;
            let before = |start: usize| {
                let before = count;
                count += (start..text.len().min(start + CHUNK)).filter(ends).count();
                before
            };
            (0..=text.len()).step_by(CHUNK).map(before).collect()
        });
        let chunk = offset / CHUNK;
        1 + lines[chunk] + (chunk * CHUNK..offset).filter(ends).count()
    }

    /// A place whose line must not be shown: it may hold a secret.
    pub(crate) fn hidden_place(&self, offset: usize) -> Place {
        Place { excerpt: String::new(), ..self.place(offset, 1) }
    }
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// An I/O error without the operating system's number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    text[..1].to_lowercase() + &text[1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_alike_in_every_chunk() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("abc{end}").repeat(CHUNK);
            let source = Source { text: text.clone(), ..Source::default() };
            for line in [1, 2, CHUNK / 5, CHUNK / 4, CHUNK / 4 + 1, CHUNK - 1, CHUNK] {
                let (start, length) = ((line - 1) * (3 + end.len()), 3 + end.len());
                for at in [start, start + length - 1] {
                    assert_eq!(source.place(at, 1).line, line, "{end:?} {at}");
                }
            }
            assert_eq!(source.place(text.len(), 1).line, CHUNK + 1);
        }
    }
}
