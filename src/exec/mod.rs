//! Commands in a container, as they were meant: argv to the byte, both streams, the exit code.
//!
//! ECS Exec offers less. It splits a line without a shell, runs it on a terminal, joins
//! stdout and stderr there, damages some bytes on their way (U+FFFD is cut, an unfinished
//! UTF-8 tail is lost), knows no end of stdin and returns no exit code. A [`Wrapper`] makes up
//! for it with a POSIX shell in the container and nothing else: no file, no helper.
//!
//! ```text
//! ExecuteCommand: sh -c BOOT ecsx ARGV…          script.rs
//!   <- mark hello                                marks.rs
//!   -> the script, escaped, and an empty line
//!   <- mark start
//!   Terminal: the command has the terminal, then <- mark CODE
//!   Piped:    <- frames of stdout and stderr   -> SIZE stdin     frames.rs
//!             <- mark CODE within stdout, mark end within stderr, -> bye
//! ```
//!
//! Pure like `ssm`: bytes in, bytes out. `session` does the I/O.

mod frames;
mod marks;
mod quote;
mod script;
mod wrapper;

pub use quote::quote;
pub use wrapper::{Output, Wrapper};

/// What is to run in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A shell: bash where there is one, else sh.
    Shell,
    /// These words exactly; the first is looked up in the container's PATH. No word holds a NUL.
    Argv(Vec<Vec<u8>>),
    /// A line as ECS takes it: the agent splits it into words by its own rules.
    Line(String),
}

impl Command {
    /// The program's name, for people: of a line, its first word as it stands there.
    pub fn program(&self) -> String {
        match self {
            Self::Shell => "sh".into(),
            Self::Argv(words) => {
                String::from_utf8_lossy(words.first().map_or(&[][..], Vec::as_slice)).into_owned()
            }
            Self::Line(line) => line.split_whitespace().next().unwrap_or_default().to_owned(),
        }
    }

    /// The line that makes ECS run this without a wrapper, where one exists: a word that is no
    /// UTF-8 cannot be said.
    pub fn direct_line(&self) -> Option<String> {
        match self {
            Self::Shell => Some("sh".into()),
            Self::Argv(words) => quote::line(words),
            Self::Line(line) => Some(line.clone()),
        }
    }
}

/// How a command is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It has the terminal.
    Terminal,
    /// It has three pipes.
    Piped,
}
