//! An interactive shell on a terminal, judged by the words that it makes of a line with TABs.

use std::process::Command;

use super::terminal::Terminal;

/// What the shell is set up to show when it waits for a line.
pub(crate) const PROMPT: &str = "READY> ";

/// The arguments and the first line that make bash, zsh or fish a shell of nobody's settings with
/// [`PROMPT`]; `load` has it load the completion.
pub(crate) fn plain(program: &str, load: &str) -> (&'static [&'static str], String) {
    match program {
        "bash" => (&["--norc", "--noprofile", "-i"], format!("{load}; echo 'SET' UP")),
        "zsh" => {
            let after = "autoload -Uz compinit; compinit -u -D; bindkey -e; PS1='READY> '; echo 'SET' UP";
            (&["-f", "-i"], format!("unsetopt promptsp zle_bracketed_paste; {load}; {after}"))
        }
        "fish" => {
            let before = "function fish_prompt; echo -n 'READY> '; end; set fish_greeting; \
                          function fish_right_prompt; end";
            (&["-i"], format!("{before}; {load}; echo 'SET' UP"))
        }
        other => panic!("no setup for {other}"),
    }
}

/// A shell at its prompt.
pub(crate) struct Shell {
    pub(crate) terminal: Terminal,
}

impl Shell {
    /// Starts `command`, has it run the line `setup`, which prints `SET UP` and makes the prompt
    /// [`PROMPT`].
    pub(crate) fn start(command: &Command, setup: &str) -> Self {
        let mut terminal = Terminal::start(command);
        terminal.type_keys(&format!("{setup}\r"));
        terminal.wait_for("SET UP");
        terminal.wait_for(PROMPT);
        Self { terminal }
    }

    /// Types a line with TABs in it, and expects its words, each in `<>`.
    pub(crate) fn complete(&mut self, keys: &str, expected: &str) {
        self.terminal.type_keys(keys);
        // To the beginning of the line: have it print its words, run nothing.
        self.terminal.type_keys("\x01printf '<%s>' \x05\r");
        self.terminal.wait_for(expected);
        self.terminal.wait_for(PROMPT);
    }
}
