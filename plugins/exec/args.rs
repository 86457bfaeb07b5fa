//! The command line of `ecsx exec`.

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use ecsx::exec::{Command, Mode};
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
    /// Script for the container's sh
    #[arg(short = 'c', value_name = "SCRIPT", conflicts_with_all = ["command", "words"])]
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
            (Some(script), _) => Command::Argv(vec![b"sh".to_vec(), b"-c".to_vec(), bytes(script)]),
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
        assert_eq!(what(&["--command", "sh -c 'x y'"]), Command::Line("sh -c 'x y'".into()));
    }

    #[test]
    fn two_commands_are_refused_and_none() {
        for words in [
            &["-c", "x", "--", "y"][..],
            &["--command", "x", "--", "y"],
            &["-c", "x", "--command", "y"],
            &["--command", ""],
        ] {
            assert!(Args::try_parse_from([&["exec"], words].concat()).is_err(), "{words:?}");
        }
    }
}
