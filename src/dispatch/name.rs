//! A plugin's name: what may be one, and which names a command line may mean.

use std::ffi::OsString;
use std::fmt;

/// What stands before a plugin's name in its file's name.
const PREFIX: &str = "ecsx-";
/// Longer names are nobody's: keeps file names within every file system's bounds.
const LONGEST: usize = 63;
/// Names that Windows gives to devices, with any extension and in any directory.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The plugins that come with ecsx and what they do: found beside the dispatcher, never on PATH.
pub(crate) const FIRST_PARTY: [(&str, &str); 4] = [
    ("portforward", "Forward local ports into a task, or through it to another host"),
    ("exec", "Run a command in a container, with or without a terminal"),
    ("target", "Show the task and container that would be taken"),
    ("sandbox", "A pretend ECS and SSM on this machine, to try and to test with"),
];

/// The name of a plugin: `[a-z0-9][a-z0-9-]*`, at most 63 long, no device of Windows. So it can
/// become part of a path without a look at what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

impl Name {
    /// `None`: this cannot be a plugin's name.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let sound = text.len() <= LONGEST
            && text.starts_with(letters)
            && text.chars().all(|c| letters(c) || c == '-')
            && !is_device(text);
        sound.then(|| Self(text.to_owned()))
    }

    /// The name in the file name `ecsx-NAME` (Windows: `ecsx-NAME.exe`).
    pub(crate) fn of_file(file: &str) -> Option<Self> {
        Self::new(file.strip_prefix(PREFIX)?.strip_suffix(std::env::consts::EXE_SUFFIX)?)
    }

    /// The file that holds the plugin.
    pub(crate) fn file(&self) -> String {
        format!("{PREFIX}{}{}", self.0, std::env::consts::EXE_SUFFIX)
    }

    /// What a plugin of ecsx' own does; `None` for everybody else's.
    pub(crate) fn first_party(&self) -> Option<&'static str> {
        FIRST_PARTY.iter().find(|(name, _)| *name == self.0).map(|(_, summary)| *summary)
    }

    /// The name as the user types it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_device(name: &str) -> bool {
    let numbered = |device| name.strip_prefix(device).is_some_and(|n| n.len() == 1 && n != "0");
    DEVICES.contains(&name) || numbered("com") || numbered("lpt")
}

/// The plugins that a command line may mean, longest first, each with the number of words that
/// are its name: `db dump x` may mean `db-dump-x` (3), `db-dump` (2), `db` (1).
///
/// A word that cannot be part of a name, so any that starts with `-`, ends the search. A plugin
/// of ecsx' own is always meant by its one word: nobody's `ecsx-exec-ls` catches `ecsx exec ls`.
pub(crate) fn meant(words: &[OsString]) -> Vec<(Name, usize)> {
    let mut found = Vec::new();
    let mut joined = String::new();
    for (index, word) in words.iter().enumerate() {
        let Some(word) = word.to_str().filter(|word| !word.starts_with('-')) else { break };
        if index > 0 {
            joined.push('-');
        }
        joined.push_str(word);
        let Some(name) = Name::new(&joined) else { break };
        let ours = index == 0 && name.first_party().is_some();
        found.push((name, index + 1));
        if ours {
            break;
        }
    }
    found.reverse();
    found
}

/// Up to three of `known` that are likely meant by `typed`, likeliest first.
pub(crate) fn near<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = known
        .map(|name| (strsim::osa_distance(typed, name), name))
        .filter(|(distance, name)| *distance <= 3 && *distance < name.len().min(typed.len()))
        .collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant_by(line: &str) -> Vec<(String, usize)> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        meant(&words).into_iter().map(|(name, words)| (name.0, words)).collect()
    }

    #[test]
    fn a_name_cannot_lead_out_of_a_directory() {
        for bad in ["", "..", "../x", "a/b", "a\\b", "A", "-x", "a.b", "a b", "ä", "con", "com1", "a\0"] {
            assert_eq!(Name::new(bad), None, "{bad:?}");
        }
        assert_eq!(Name::new(&"x".repeat(64)), None);
        for good in ["a", "db-dump", "2fa", "com10", "console"] {
            assert!(Name::new(good).is_some(), "{good}");
        }
    }

    #[test]
    fn the_longest_name_comes_first_and_an_option_ends_it() {
        let expected = [("db-dump-x".to_owned(), 3), ("db-dump".to_owned(), 2), ("db".to_owned(), 1)];
        assert_eq!(meant_by("db dump x -v y"), expected);
        assert_eq!(meant_by("db ./file"), [("db".to_owned(), 1)]);
        assert_eq!(meant_by("-v db"), []);
    }

    #[test]
    fn no_longer_name_takes_a_first_party_command_line() {
        assert_eq!(meant_by("exec ls"), [("exec".to_owned(), 1)]);
    }

    #[test]
    fn suggestions_are_near_and_few() {
        let known = ["portforward", "exec", "target", "sandbox", "db"];
        assert_eq!(near("portfoward", known.into_iter()), ["portforward"]);
        assert_eq!(near("exce", known.into_iter()), ["exec"]);
        assert_eq!(near("zz", known.into_iter()), [""; 0]);
    }
}
