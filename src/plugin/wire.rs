//! The completion wire, as cobra made it: `PLUGIN __complete WORDS… CURRENT` answers a line
//! `value<TAB>help` for each candidate and `:N` at the end, N a sum of [`directive`] bits.

use std::fmt;

/// What a shell is to do with the candidates; cobra's numbers, added up.
pub mod directive {
    /// Nothing: a space after the value, files where there is no candidate.
    pub const DEFAULT: u8 = 0;
    /// Completion failed: offer nothing.
    pub const ERROR: u8 = 1;
    /// No space after the value.
    pub const NO_SPACE: u8 = 2;
    /// No file names, even without candidates.
    pub const NO_FILES: u8 = 4;
    /// The candidates are extensions of the files to offer.
    pub const EXTENSIONS: u8 = 8;
    /// Offer directories.
    pub const DIRECTORIES: u8 = 16;
    /// The candidates are in order already.
    pub const KEEP_ORDER: u8 = 32;
}

/// A word that could stand at the cursor, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word. For `--option=VAL` only what follows the `=`.
    pub value: String,
    /// One line about it; may be empty.
    pub help: String,
}

impl Candidate {
    /// A word and a line about it (its first line is kept).
    pub fn new(value: impl Into<String>, help: impl Into<String>) -> Self {
        let mut help = help.into();
        help.truncate(help.find('\n').unwrap_or(help.len()));
        Self { value: value.into(), help }
    }

    fn is_sound(&self) -> bool {
        is_shown(&self.value) && !self.help.contains(char::is_control)
    }
}

/// Control characters would break the wire, or drive the terminal that shows them.
fn is_shown(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

impl From<&str> for Candidate {
    fn from(value: &str) -> Self {
        Self::new(value, "")
    }
}

impl From<String> for Candidate {
    fn from(value: String) -> Self {
        Self::new(value, "")
    }
}

/// An answer to TAB. Its `Display` is the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The words that could stand at the cursor.
    pub candidates: Vec<Candidate>,
    /// Lines for the person to read, which are no words: cobra's active help.
    pub notes: Vec<String>,
    /// [`directive`] bits.
    pub directive: u8,
}

/// What a note begins with on the wire.
const NOTE: &str = "_activeHelp_";

impl Completion {
    /// These words, in this order, and no file names.
    pub fn words(candidates: Vec<Candidate>) -> Self {
        Self { candidates, directive: directive::NO_FILES | directive::KEEP_ORDER, ..Self::default() }
    }

    /// Nothing to offer, no file names either.
    pub fn nothing() -> Self {
        Self::only(directive::NO_FILES)
    }

    /// No words, but what the directive has the shell offer.
    pub fn only(directive: u8) -> Self {
        Self { directive, ..Self::default() }
    }

    /// Reads what a plugin answered. Lines that are no candidates are left out; an answer without
    /// the last line was cut short and counts as nothing.
    pub fn parse(wire: &str) -> Self {
        let mut read = Self::default();
        for line in wire.lines() {
            if let Some(number) = line.strip_prefix(':')
                && let Ok(directive) = number.trim().parse()
            {
                return Self { directive, ..read };
            }
            if let Some(note) = line.strip_prefix(NOTE) {
                read.notes.extend(Some(note.trim()).filter(|note| is_shown(note)).map(str::to_owned));
                continue;
            }
            let (value, help) = line.split_once('\t').unwrap_or((line, ""));
            let candidate = Candidate::new(value, help);
            if candidate.is_sound() {
                read.candidates.push(candidate);
            }
        }
        Self::nothing()
    }

    /// The same with candidates that are words, and nothing else: of cobra's directives that give
    /// them another meaning, a failure offers nothing, and a wish for files of some extensions or
    /// below some directory is a wish for files or directories.
    pub fn for_shells(self) -> Self {
        let has = |bit| self.directive & bit != 0;
        match self.directive {
            _ if has(directive::ERROR) => Self::nothing(),
            _ if has(directive::DIRECTORIES) => {
                Self { notes: self.notes, ..Self::only(directive::DIRECTORIES) }
            }
            _ if has(directive::EXTENSIONS) => Self { notes: self.notes, ..Self::only(directive::DEFAULT) },
            _ => self,
        }
    }

    /// Whether an answer is complete: it holds the last line.
    pub fn is_complete(wire: &[u8]) -> bool {
        let lines = wire.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        lines
            .filter_map(|line| line.strip_prefix(b":"))
            .any(|number| std::str::from_utf8(number).is_ok_and(|number| number.trim().parse::<u8>().is_ok()))
    }
}

impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in self.notes.iter().filter(|note| is_shown(note)) {
            writeln!(f, "{NOTE} {note}")?;
        }
        for candidate in self.candidates.iter().filter(|candidate| candidate.is_sound()) {
            match candidate.help.as_str() {
                "" => writeln!(f, "{}", candidate.value)?,
                help => writeln!(f, "{}\t{help}", candidate.value)?,
            }
        }
        writeln!(f, ":{}", self.directive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let completion = Completion::words(vec![Candidate::new("a:b", "first\nsecond"), "c".into()]);
        assert_eq!(completion.to_string(), "a:b\tfirst\nc\n:36\n");
        assert_eq!(Completion::parse(&completion.to_string()), completion);
    }

    #[test]
    fn chatter_after_the_directive_and_active_help_are_no_candidates() {
        let wire =
            "_activeHelp_ read the manual\n_activeHelp_ \x1b[2J\nx\n:4\nCompletion ended with directive: 4\n";
        let read = Completion::parse(wire);
        assert_eq!((&read.candidates, read.directive), (&vec!["x".into()], 4));
        assert_eq!(read.notes, ["read the manual"]);
        assert_eq!(read.to_string(), "_activeHelp_ read the manual\nx\n:4\n");
    }

    #[test]
    fn a_directive_that_gives_candidates_another_meaning_leaves_none() {
        for (wire, directive) in [("json\nyaml\n:8\n", 0), ("x\n:1\n", 4), ("dir\n:16\n", 16), ("x\n:5\n", 4)]
        {
            assert_eq!(Completion::parse(wire).for_shells(), Completion::only(directive), "{wire:?}");
        }
        assert_eq!(Completion::parse("x\n:6\n").for_shells().candidates, ["x".into()]);
    }

    #[test]
    fn an_answer_ends_with_its_directive() {
        for (wire, complete) in
            [("a\n:4\n", true), ("a\n:4", false), (":x\n", false), (":4\nmore", true), ("", false)]
        {
            assert_eq!(Completion::is_complete(wire.as_bytes()), complete, "{wire:?}");
        }
    }

    #[test]
    fn an_answer_cut_short_offers_nothing() {
        assert_eq!(Completion::parse("a\nb\n"), Completion::nothing());
        assert_eq!(Completion::parse(""), Completion::nothing());
    }

    #[test]
    fn no_candidate_drives_the_terminal() {
        assert_eq!(Completion::parse("a\x1b[2J\nok\tfine\x07\nb\n:0\n").candidates, ["b".into()]);
        assert_eq!(Completion::words(vec!["a\nb".into()]).to_string(), ":36\n");
    }
}
