//! What people see besides the bytes they asked for. All of it goes to stderr; stdout carries
//! only what was asked for.
//!
//! A typed error says what can be done about it by implementing [`Explain`] (any module but
//! `ssm` may), and a program ends with [`Ui::report`]:
//!
//! ```no_run
//! use ecsx::ui::{Failure, Ui};
//!
//! fn run() -> Result<(), Failure> {
//!     Err(Failure::new("no cluster named").hint("say which with --cluster"))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let ui = Ui::new(clap::ColorChoice::Auto, 0, false);
//!     match run() {
//!         Ok(()) => std::process::ExitCode::SUCCESS,
//!         Err(failure) => ui.report(failure),
//!     }
//! }
//! ```

mod failure;
mod filter;
mod picker;

use std::io::Write as _;
use std::process::ExitCode;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};

pub use failure::{Explain, Failure};
pub use picker::{PickError, Picker, Row};

/// How much to tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `-q`: warnings and errors only.
    Quiet,
    /// Status lines as well.
    #[default]
    Normal,
    /// `-v`: why, and from where.
    Verbose,
}

/// The person's end of stderr. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    choice: ColorChoice,
    verbosity: Verbosity,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

impl Ui {
    /// From `--color`, `-v` (how often) and `-q`. Looks at stderr and the environment
    /// (`NO_COLOR`, `TERM`) once.
    pub fn new(color: clap::ColorChoice, verbose: u8, quiet: bool) -> Self {
        let choice = match color {
            clap::ColorChoice::Auto => anstream::AutoStream::choice(&std::io::stderr()),
            clap::ColorChoice::Always => ColorChoice::Always,
            clap::ColorChoice::Never => ColorChoice::Never,
        };
        let verbosity = match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        Self { choice, verbosity }
    }

    /// How much is told.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether colours are wanted, for those who draw by themselves.
    pub fn colored(&self) -> bool {
        self.choice != ColorChoice::Never
    }

    /// A line on how things go; not with `-q`.
    pub fn status(&self, line: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.write(&format!("{}\n", one_line(line)));
        }
    }

    /// A line on why and from where, its further lines behind a margin; only with `-v`.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.write(&detailed(text));
        }
    }

    /// Something that went wrong and did not stop the work.
    pub fn warn(&self, line: &str) {
        self.write(&format!("{WARNING}warning{WARNING:#}: {}\n", one_line(line)));
    }

    /// A failure with its causes and hints; the exit code is the failure's own.
    pub fn report(&self, failure: impl Into<Failure>) -> ExitCode {
        let failure = failure.into();
        self.show(&failure);
        failure.exit_code().into()
    }

    /// The same for a failure that is not (yet) the end.
    pub fn show(&self, failure: &Failure) {
        self.write(&render(failure));
    }

    /// stderr that is gone is no reason to fail.
    fn write(&self, text: &str) {
        let mut stderr = anstream::AutoStream::new(std::io::stderr(), self.choice);
        let _ = stderr.write_all(text.as_bytes());
    }
}

/// In grey. Errors are told in several lines: the caret belongs below its line.
fn detailed(text: &str) -> String {
    format!("{DIM}{}{DIM:#}\n", indented(text, "  "))
}

/// `error: …`, then the causes, then the hints, in colours. Only these begin a line.
fn render(failure: &Failure) -> String {
    let mut said = failure.error().to_string();
    let mut text = format!("{ERROR}error{ERROR:#}: {}\n", indented(&said, "  "));
    let mut cause = failure.error().source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Many errors repeat their source in their own words.
        if !said.contains(&message) {
            text += &format!("  {DIM}caused by{DIM:#}: {}\n", indented(&message, "    "));
            said = message;
        }
        cause = error.source();
    }
    for hint in failure.hints() {
        text += &format!("{HINT}hint{HINT:#}: {}\n", indented(hint, "      "));
    }
    text
}

/// Characters of a text that are shown. Our own are far shorter.
const LONGEST: usize = 4000;

/// `text` on one line, harmless and not too long. Texts come from AWS, from files, from other
/// machines: none of them may drive the terminal, or look like a line of ours.
pub fn one_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// The same with its lines, all but the first behind `margin`.
fn indented(text: &str, margin: &str) -> String {
    clean(text).replace('\n', &format!("\n{margin}"))
}

/// `text` without control characters, and without those that turn the direction of writing
/// around: fit to be shown on stdout, too. Lines and tabs stay.
pub fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    let harmless = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || turns(c) || breaks(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}

fn clean(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => harmless(&text[..end]) + "…",
        None => harmless(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(failure: &Failure) -> String {
        anstream::adapter::strip_str(&render(failure)).to_string()
    }

    #[test]
    fn causes_come_before_hints() {
        let failure = Failure::because("cannot reach ECS", std::io::Error::other("connection refused"))
            .hint("is the sandbox running?");
        assert_eq!(
            plain(&failure),
            "error: cannot reach ECS\n  caused by: connection refused\nhint: is the sandbox running?\n"
        );
    }

    #[test]
    fn details_keep_their_lines_and_none_looks_like_one_of_ours() {
        let told = anstream::adapter::strip_str(&detailed("x:1:1: no\n 1 | a\nerror: b\n")).to_string();
        assert_eq!(told, "x:1:1: no\n   1 | a\n  error: b\n");
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_repeated() {
        let failure = Failure::because("cannot read x: not found", std::io::Error::other("not found"));
        assert_eq!(plain(&failure), "error: cannot read x: not found\n");
    }

    #[test]
    fn a_caret_snippet_stays_as_it_is() {
        let snippet = "bad key\n --> a.yml:1:3\n  |\n1 | x: {\n  |   ^ here";
        let shown = "error: bad key\n   --> a.yml:1:3\n    |\n  1 | x: {\n    |   ^ here\n";
        assert_eq!(plain(&Failure::new(snippet)), shown);
    }

    #[test]
    fn escape_sequences_in_messages_do_not_reach_the_terminal() {
        let text = render(&Failure::new("task \x1b]0;evil\x07"));
        assert!(!text.contains("\x1b]") && !text.contains('\x07'), "{text:?}");
    }

    #[test]
    fn a_text_from_elsewhere_cannot_look_like_a_line_of_ours() {
        let text = plain(&Failure::new("gone\nForwarding 127.0.0.1:5432").hint("try\nerror: x"));
        assert_eq!(text, "error: gone\n  Forwarding 127.0.0.1:5432\nhint: try\n      error: x\n");
        assert_eq!(one_line("gone\r\nForwarding\n"), "gone\u{fffd} Forwarding");
        assert_eq!(one_line("a\u{2028}b\u{202e}c\u{2066}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        assert_eq!(one_line(&"é".repeat(1 << 20)), "é".repeat(LONGEST) + "…");
        assert_eq!(one_line(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
    }

    #[test]
    fn a_typed_error_keeps_its_hints_and_exit_code_through_the_question_mark() {
        #[derive(Debug, thiserror::Error)]
        #[error("no such thing")]
        struct Typed;
        impl Explain for Typed {
            fn hints(&self) -> Vec<String> {
                vec!["try another".into()]
            }
            fn exit_code(&self) -> u8 {
                127
            }
        }
        fn run() -> Result<(), Failure> {
            Err(Typed)?
        }
        let failure = run().unwrap_err();
        assert_eq!(plain(&failure), "error: no such thing\nhint: try another\n");
        assert_eq!(failure.exit_code(), 127);
    }
}
