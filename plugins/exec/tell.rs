//! Notices in words, on stderr.

use std::io::Write as _;
use std::sync::Arc;

use ecsx::session::exec::{Notice, Report};
use ecsx::ui::{Ui, Verbosity};

/// Tells on stderr, on a raw terminal with what that needs.
pub(crate) fn report(ui: Ui) -> Report {
    Arc::new(move |notice, raw| {
        let detail = matches!(notice, Notice::Opened(_));
        let warning = matches!(
            notice,
            Notice::Bare | Notice::Stuck(_) | Notice::Doubtful(_) | Notice::Leaving | Notice::Idle
        );
        let words = words(&notice, raw, ui.verbosity());
        match (raw, detail, warning) {
            (_, true, _) => ui.detail(&words),
            (false, _, true) => ui.warn(&words),
            (false, _, false) => ui.status(&words),
            (true, _, false) if ui.verbosity() < Verbosity::Normal => {}
            // Whatever is on the screen, the remote program drew it: no colours, own lines.
            (true, ..) => {
                let words: String = words.chars().filter(|c| !c.is_control()).collect();
                let _ = write!(std::io::stderr(), "\r\n[ecsx: {words}]\r\n");
            }
        }
    })
}

fn words(notice: &Notice, raw: bool, verbosity: Verbosity) -> String {
    match notice {
        Notice::Opened(id) => format!("session {id}"),
        Notice::Bare => {
            "the container has no shell: the command runs without one. It gets no stdin from a pipe, stdout and stderr come as one, through a terminal, and its exit code cannot be known (124)".into()
        }
        Notice::Agent(text) => text.clone(),
        Notice::Lost(why) => {
            // The system's own words help nobody who did not ask.
            let why = if verbosity >= Verbosity::Verbose { format!(" ({why})") } else { String::new() };
            let leave = if raw { "~. after Enter" } else { "Ctrl-C" };
            format!("connection lost{why}; making it anew. {leave} leaves")
        }
        Notice::Stuck(error) => format!("the connection cannot be made anew: {error}"),
        Notice::Resumed(after) => format!("the connection is back after {} s", after.as_secs()),
        Notice::Doubtful(silence) => {
            let leave = if raw { "~. after Enter" } else { "Ctrl-C" };
            format!("the agent has not answered for {} s, though the connection is up. {leave} leaves", silence.as_secs())
        }
        Notice::Left { ended: true } => "left; the session is ended".into(),
        Notice::Left { ended: false } => {
            "left; ECS could not be told, and ends the session after 20 minutes without input".into()
        }
        Notice::Leaving => "ECS is about to stop this task".into(),
        Notice::Interrupted { waits: false } => {
            "the command goes on after Ctrl-C; another one ends the session".into()
        }
        Notice::Interrupted { waits: true } => {
            "Ctrl-C waits behind stdin that the command does not read; another one ends the session".into()
        }
        Notice::Idle => {
            "ECS ends this session in two minutes unless something is typed; --keepalive prevents that".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_told_with_the_way_out_there_is_and_its_cause_to_who_asks() {
        let lost = Notice::Lost("IO error: reset (os error 104)".into());
        for raw in [true, false] {
            let said = words(&lost, raw, Verbosity::Normal);
            assert_eq!((said.contains("~."), said.contains("Ctrl-C")), (raw, !raw), "{said}");
            assert!(!said.contains("os error"), "{said}");
            assert!(words(&lost, raw, Verbosity::Verbose).contains("os error 104"));
        }
    }
}
