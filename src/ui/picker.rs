//! One of several, asked for on the terminal or through the person's own filter (fzf, peco).

use std::io::{self, IsTerminal as _};

use dialoguer::console::{Term, truncate_str};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};

use super::{filter, one_line};

/// A choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What names it: a task id, a container.
    pub key: String,
    /// What is shown on the terminal.
    pub shown: String,
    /// The line given to a filter; begins with the key and, if there is more, a TAB.
    pub line: String,
}

/// Asks a person, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Picker {
    /// The command that filters lines, as in ecsta and ecspresso: choices on its stdin, the
    /// chosen line on its stdout. With a blank in it a shell runs it.
    pub filter: Option<String>,
    /// As `filter`, but only where there is a terminal for it to ask on.
    pub usual_filter: Option<String>,
    /// In colour.
    pub colored: bool,
}

/// Nothing was picked.
#[derive(Debug, thiserror::Error)]
pub enum PickError {
    /// Ctrl-C or Esc.
    #[error("nothing was chosen")]
    Cancelled,
    /// The filter could not run, or its answer is none of the choices.
    #[error("filter command `{filter}`: {why}")]
    Filter {
        /// The command.
        filter: String,
        /// What is wrong.
        why: String,
    },
    /// The terminal failed.
    #[error("cannot ask on the terminal: {0}")]
    Terminal(String),
}

impl Picker {
    /// Whether there is a filter or a terminal to ask.
    pub fn asks(&self) -> bool {
        let terminal = || io::stdin().is_terminal() && io::stderr().is_terminal() && is_in_foreground();
        self.filter.is_some() || terminal()
    }

    /// The index of the row that was picked; `None`: there is nobody to ask.
    ///
    /// Dropped before it is done (somebody wants the process to end), it leaves the terminal as
    /// it was, and no filter behind. A thread that waits for a key stays: the runtime must be
    /// shut down without waiting for it.
    pub async fn pick(&self, prompt: &str, rows: &[Row]) -> Result<Option<usize>, PickError> {
        if !self.asks() {
            return Ok(None);
        }
        let _modes = Modes::remember();
        match self.filter.as_ref().or(self.usual_filter.as_ref()) {
            Some(filter) => filter::run(filter, rows).await.map(Some),
            None => {
                let (prompt, colored) = (prompt.to_owned(), self.colored);
                let shown: Vec<_> = rows.iter().map(|row| one_line(&row.shown)).collect();
                let _cursor = Cursor;
                let picked = tokio::task::spawn_blocking(move || on_terminal(&prompt, &shown, colored)).await;
                picked.unwrap_or_else(|e| Err(PickError::Terminal(e.to_string()))).map(Some)
            }
        }
    }
}

/// On stderr: stdout may be a pipe. The caller must have taken over Ctrl-C, or it ends the
/// process with the cursor hidden.
fn on_terminal(prompt: &str, shown: &[String], colored: bool) -> Result<usize, PickError> {
    let theme: Box<dyn Theme> =
        if colored { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) };
    let term = Term::stderr();
    // A line that wraps is not cleared away.
    let width = usize::from(term.size().1).saturating_sub(4).max(20);
    let shown = shown.iter().map(|row| truncate_str(row, width, "…"));
    let picked = dialoguer::FuzzySelect::with_theme(&*theme)
        .with_prompt(prompt)
        .highlight_matches(colored)
        .items(shown)
        .default(0)
        .interact_on_opt(&term);
    match picked {
        Ok(Some(index)) => Ok(index),
        Ok(None) => Err(PickError::Cancelled),
        Err(dialoguer::Error::IO(e)) if e.kind() == io::ErrorKind::Interrupted => Err(PickError::Cancelled),
        Err(e) => Err(PickError::Terminal(e.to_string())),
    }
}

/// Whether the terminal listens to this program: who asks from the background is stopped, with
/// the question over the shell's prompt.
fn is_in_foreground() -> bool {
    #[cfg(unix)]
    return rustix::termios::tcgetpgrp(io::stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    #[cfg(windows)]
    true
}

/// Shows the cursor again when dropped.
struct Cursor;

impl Drop for Cursor {
    fn drop(&mut self) {
        let _ = Term::stderr().show_cursor();
    }
}

/// The terminal's modes, put back when dropped: a reader that is not waited for, or a filter
/// that had to be killed, leaves them raw.
struct Modes(#[cfg(unix)] Option<rustix::termios::Termios>);

impl Modes {
    fn remember() -> Self {
        Self(
            #[cfg(unix)]
            rustix::termios::tcgetattr(io::stdin()).ok(),
        )
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(modes) = &self.0 {
            // A terminal that is gone needs nothing.
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, modes);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        ["aaa", "bbb", "ccc"]
            .map(|key| Row { key: key.into(), shown: key.into(), line: format!("{key}\tweb:7\tRUNNING") })
            .into()
    }

    fn filter(command: &str) -> Result<Option<usize>, String> {
        let picker = Picker { filter: Some(command.into()), ..Picker::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(picker.pick("task", &rows())).map_err(|e| e.to_string())
    }

    #[test]
    fn a_filters_answer_counts_up_to_the_first_tab() {
        assert_eq!(filter("sed -n 2p"), Ok(Some(1)));
        assert_eq!(filter("printf 'ccc\\r\\n'"), Ok(Some(2)));
    }

    #[test]
    fn a_filter_that_fails_or_answers_something_else_is_named() {
        assert_eq!(filter("exit 7 ").unwrap_err(), "filter command `exit 7 `: ended with exit status: 7");
        assert!(filter("/no/such/filter").unwrap_err().contains("cannot run it"));
        assert!(filter("echo zzz").unwrap_err().contains("\"zzz\" is none of the choices"));
        assert!(filter("kill -SEGV $$").unwrap_err().contains("signal: 11"));
        assert!(filter("echo aaa; exit 1").unwrap_err().contains("exit status: 1"));
    }

    #[test]
    fn a_filter_that_was_left_is_no_failure() {
        for left in ["exit 130 ", "exit 1 ", "true", "kill -INT $$", "kill -HUP $$"] {
            assert_eq!(filter(left).unwrap_err(), "nothing was chosen", "{left}");
        }
    }
}
