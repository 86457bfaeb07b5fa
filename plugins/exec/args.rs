//! The command line of `ecsx exec`.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use ecsx::exec::{Command, Mode, quote};
use ecsx::resolve::Options;

const EXAMPLES: &str = "\
Examples:
  ecsx exec                                  a shell: bash where there is one, else sh
  ecsx exec -- rake db:migrate && deploy     its exit code is ours
  ecsx exec -c 'ls /tmp | wc -l'             a script for the container's sh
  pg_dump db | ecsx exec -- psql             stdin, stdout and stderr, byte for byte
  ecsx exec -- cat image.png > image.png

Exit codes: the command's own; 128 and a signal's number if one killed it; 124 it ended and the
container has no shell to say with which code; 125 ecsx or AWS failed; 126 it cannot be run;
127 it was not found; 130 left by a second Ctrl-C or `~.`.

Without a terminal the first Ctrl-C interrupts the command, the second ends the session.
Keys on a terminal, after Enter: `~.` leaves, `~?` helps.";

/// Run a shell or a command in a container of a running task
///
/// On a terminal when stdin and stdout are one; otherwise with stdin, stdout and stderr as pipes
/// that carry any bytes. That needs a POSIX shell in the container, and stty, dd and base64;
/// with gzip, text comes faster. Nothing is left there. ECS ends a session after 20 minutes without input: see --keepalive.
#[derive(Debug, Parser)]
#[command(name = "ecsx-exec", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Script for the container's sh; words after -- are its $1, $2 …
    #[arg(short = 'c', value_name = "SCRIPT", conflicts_with = "command")]
    script: Option<OsString>,

    /// Command line, split into words as ECS does it: no shell, quotes as in one
    #[arg(long, value_name = "LINE", conflicts_with = "words", value_parser = NonEmptyStringValueParser::new())]
    command: Option<String>,

    /// Run it on a terminal, even if stdin or stdout is none
    #[arg(short = 't', long, conflicts_with = "no_tty")]
    tty: bool,

    /// Run it with pipes, even if stdin and stdout are a terminal
    #[arg(short = 'T', long)]
    no_tty: bool,

    /// Pass stdin on: always done, accepted for the fingers' sake
    #[arg(short = 'i', long, conflicts_with = "no_stdin")]
    interactive: bool,

    /// Leave stdin alone; the command reads an empty one
    #[arg(short = 'n', long)]
    no_stdin: bool,

    /// Send the terminal's size every five minutes, so that ECS does not end the session
    #[arg(long)]
    keepalive: bool,

    /// Command to run, word by word
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<OsString>,

    // Last: clap puts what follows under the heading of its options.
    #[command(flatten)]
    pub(crate) options: Options,
}

/// How the command is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) mode: Mode,
    /// The local terminal's keys go to the command.
    pub(crate) raw: bool,
    pub(crate) stdin: bool,
    pub(crate) keepalive: bool,
}

impl Args {
    pub(crate) fn what(&self) -> Command {
        let bytes = |word: &OsString| word.clone().into_encoded_bytes();
        match (&self.script, &self.command) {
            (Some(script), _) => {
                let mut argv = vec![b"sh".to_vec(), b"-c".to_vec(), bytes(script)];
                // The word before $1 is $0.
                argv.extend((!self.words.is_empty()).then(|| b"sh".to_vec()));
                argv.extend(self.words.iter().map(bytes));
                Command::Argv(argv)
            }
            (None, Some(line)) => Command::Line(line.clone()),
            (None, None) if self.words.is_empty() => Command::Shell,
            (None, None) => Command::Argv(self.words.iter().map(bytes).collect()),
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        let keys = std::io::stdin().is_terminal() && !self.no_stdin;
        let terminal = self.tty || (keys && std::io::stdout().is_terminal() && !self.no_tty);
        Connection {
            mode: if terminal { Mode::Terminal } else { Mode::Piped },
            raw: terminal && keys,
            stdin: !self.no_stdin,
            keepalive: self.keepalive,
        }
    }
}

/// The error with what a person may have meant whose fingers know docker or ssh: `words` is the
/// whole command line.
pub(crate) fn explain(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => word.clone(),
        _ => return error,
    };
    let hint = if word == "--user" || word == "-u" {
        "ECS runs every command as root; `su` in the container changes that".to_owned()
    } else if word.starts_with('-') {
        // It is an option of ours that was meant, or clap's other tip helps.
        error.remove(ContextKind::Suggested);
        return error;
    } else {
        let is_it = |&at: &usize| words[at] == *word && Args::try_parse_from(&words[..at]).is_ok();
        let at = (1..words.len()).find(is_it).unwrap_or(words.len());
        let (before, after) = words.split_at(at);
        if after.is_empty() || after.contains(&OsString::from("--")) {
            "the container is named by --container, the task by --task, the service by --service".to_owned()
        } else {
            let before = before.iter().skip(1);
            let all = before.map(typed).chain(["--".to_owned()]).chain(after.iter().map(typed));
            format!("ecsx exec {}", all.collect::<Vec<_>>().join(" "))
        }
    };
    clap::Error::raw(
        ErrorKind::UnknownArgument,
        format!("unexpected argument '{word}' found\nhint: {hint}\n"),
    )
}

/// A word as a shell takes it.
fn typed(word: &OsString) -> String {
    let word = word.to_string_lossy();
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c)) {
        return word.into_owned();
    }
    String::from_utf8_lossy(&quote(word.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(words: &[&str]) -> Command {
        Args::parse_from([&["exec"], words].concat()).what()
    }

    #[test]
    fn every_form_of_a_command() {
        let argv = |words: &[&str]| Command::Argv(words.iter().map(|w| w.as_bytes().to_vec()).collect());
        assert_eq!(what(&[]), Command::Shell);
        assert_eq!(what(&["--", "ls", "-l", "--", "$HOME"]), argv(&["ls", "-l", "--", "$HOME"]));
        assert_eq!(what(&["-it", "-c", "a | b"]), argv(&["sh", "-c", "a | b"]));
        assert_eq!(what(&["-c", "echo $1", "--", "x y"]), argv(&["sh", "-c", "echo $1", "sh", "x y"]));
        assert_eq!(what(&["--command", "sh -c 'x y'"]), Command::Line("sh -c 'x y'".into()));
    }

    #[test]
    fn two_commands_are_refused_and_none() {
        for words in [&["--command", "x", "--", "y"][..], &["-c", "x", "--command", "y"], &["--command", ""]]
        {
            assert!(Args::try_parse_from([&["exec"], words].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn a_command_without_its_dashes_is_told_where_they_belong() {
        for (words, hint) in [
            (&["ls"][..], "hint: ecsx exec -- ls\n"),
            (&["-T", "--container", "app", "app", "-x", "a b"], "exec -T --container app -- app -x 'a b'\n"),
            (&["worker", "--", "ls"], "hint: the container is named by --container"),
            (&["--user", "root"], "hint: ECS runs every command as root"),
            (&["--servise", "x"], "--service"),
        ] {
            let words: Vec<OsString> = ["exec"].iter().chain(words).map(OsString::from).collect();
            let said = explain(Args::try_parse_from(&words).unwrap_err(), &words).to_string();
            assert!(said.contains(hint) && !said.contains("as a value"), "{said}");
        }
    }
}
