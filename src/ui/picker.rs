//! One of several, asked for on the terminal or through the person's own filter (fzf, peco).

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use dialoguer::console::{Term, truncate_str};
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};

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
    /// The index of the row that was picked; `None`: there is neither filter nor terminal.
    pub fn pick(&self, prompt: &str, rows: &[Row]) -> Result<Option<usize>, PickError> {
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        match (&self.filter, &self.usual_filter) {
            (Some(filter), _) => run_filter(filter, rows).map(Some),
            _ if !terminal => Ok(None),
            (None, Some(filter)) => run_filter(filter, rows).map(Some),
            (None, None) => self.on_terminal(prompt, rows).map(Some),
        }
    }

    /// On stderr: stdout may be a pipe. The caller must have taken over Ctrl-C, or it ends the
    /// process with the cursor hidden.
    fn on_terminal(&self, prompt: &str, rows: &[Row]) -> Result<usize, PickError> {
        let theme: Box<dyn Theme> =
            if self.colored { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) };
        let term = Term::stderr();
        // A line that wraps is not cleared away.
        let width = usize::from(term.size().1).saturating_sub(4).max(20);
        let shown = rows.iter().map(|row| truncate_str(&row.shown, width, "…"));
        let picked = dialoguer::FuzzySelect::with_theme(&*theme)
            .with_prompt(prompt)
            .highlight_matches(self.colored)
            .items(shown)
            .default(0)
            .interact_on_opt(&term);
        let _ = term.show_cursor();
        match picked {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Err(PickError::Cancelled),
            Err(dialoguer::Error::IO(e)) if e.kind() == io::ErrorKind::Interrupted => {
                Err(PickError::Cancelled)
            }
            Err(e) => Err(PickError::Terminal(e.to_string())),
        }
    }
}

fn run_filter(filter: &str, rows: &[Row]) -> Result<usize, PickError> {
    let failed = |why: String| PickError::Filter { filter: filter.to_owned(), why };
    let mut child = command(filter)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("cannot run it: {e}")))?;
    let lines: String = rows.iter().map(|row| format!("{}\n", row.line)).collect();
    // In a thread of its own, so that a filter that answers before it has read all cannot block.
    let feeder = child.stdin.take().map(|mut stdin| {
        std::thread::spawn(move || {
            // A filter that has seen enough closes the pipe: no failure.
            let _ = stdin.write_all(lines.as_bytes());
        })
    });
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    if let Some(feeder) = feeder {
        let _ = feeder.join();
    }
    match output.status.code() {
        Some(0) => {}
        Some(130) => return Err(PickError::Cancelled),
        _ => return Err(failed(format!("ended with {}", output.status))),
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    let answer = answer.trim_end_matches(['\r', '\n']);
    let key = answer.split('\t').next().unwrap_or_default();
    if key.is_empty() {
        return Err(failed("nothing was chosen".into()));
    }
    rows.iter()
        .position(|row| row.key == key)
        .ok_or_else(|| failed(format!("its answer {key:?} is none of the choices")))
}

fn command(filter: &str) -> Command {
    if !filter.contains(' ') {
        return Command::new(filter);
    }
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.args([option, filter]);
    command
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
        picker.pick("task", &rows()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_filters_answer_counts_up_to_the_first_tab() {
        assert_eq!(filter("sed -n 2p"), Ok(Some(1)));
        assert_eq!(filter("printf 'ccc\\r\\n'"), Ok(Some(2)));
    }

    #[test]
    fn a_filter_that_fails_or_answers_something_else_is_named() {
        assert_eq!(filter("exit 1 ").unwrap_err(), "filter command `exit 1 `: ended with exit status: 1");
        assert!(filter("/no/such/filter").unwrap_err().contains("cannot run it"));
        assert!(filter("echo zzz").unwrap_err().contains("\"zzz\" is none of the choices"));
        assert!(filter("true").unwrap_err().contains("nothing was chosen"));
    }
}
