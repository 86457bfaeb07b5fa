//! Why a command could not be run, or not to its end.

use crate::ecs::{CloudError, Target};
use crate::plugin::exit;
use crate::session::SessionError;
use crate::ui::Explain;

/// Why a command could not be run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No session, or none any more.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// No session, and the answer of ECS says why.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The container has no shell, and one is needed.
    #[error("container {container} has no shell (sh)")]
    NoShell {
        /// Its name.
        container: String,
    },
    /// The agent could not start the command.
    #[error("container {container} could not start the command: {reason}")]
    CannotStart {
        /// Its name.
        container: String,
        /// The agent's words.
        reason: String,
    },
    /// The container has no such program, or it is none.
    #[error("{}: {} container {container}", shown(.program), if *.code == exit::NOT_FOUND { "not found in" } else { "cannot be run (permission denied) in" })]
    Unrunnable {
        /// The container's name.
        container: String,
        /// The program as it was named.
        program: String,
        /// The exit code: 126 or 127.
        code: u8,
    },
    /// The shell in the container did not do as it should.
    #[error("the shell of container {container} did not start the command: {said}")]
    StrangeShell {
        /// Its name.
        container: String,
        /// What it said instead.
        said: String,
    },
    /// A tool that pipes need.
    #[error("container {container} has no {tool}, and without a terminal ecsx cannot do without it")]
    NoTool {
        /// Its name.
        container: String,
        /// The tool.
        tool: String,
    },
    /// The streams cannot be told apart any more.
    #[error("the command's output is damaged: {0}")]
    Damaged(String),
    /// The session ended and the command had not.
    #[error("the session ended before the command did: {0}")]
    EndedEarly(String),
    /// The local terminal or a local stream.
    #[error("{0}: {1}")]
    Local(&'static str, std::io::Error),
}

impl ExecError {
    /// What the session's end means, when it was not the command's. `begun`: the container's
    /// shell was heard of.
    pub(super) fn ended(error: SessionError, target: &Target, begun: bool) -> Self {
        let SessionError::Closed(text) = &error else { return error.into() };
        let (text, container) = (text.trim(), target.container.clone());
        if let Some(reason) = after(text, "Unable to start command: ") {
            return Self::CannotStart { container, reason: reason.to_owned() };
        }
        match text {
            "" if begun => Self::EndedEarly("it was ended from elsewhere, or timed out".into()),
            "" => Self::StrangeShell { container, said: "it ended at once".into() },
            _ if begun => Self::EndedEarly(text.to_owned()),
            _ => error.into(),
        }
    }

    /// Whether the program itself was not there to be started.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::CannotStart { reason, .. }
            if reason.contains("no such file") || reason.contains("not found"))
    }
}

/// A name that shows, be it empty.
fn shown(program: &str) -> &str {
    if program.is_empty() { "''" } else { program }
}

fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let at = text.find(start)? + start.len();
    text[at..].lines().next().map(str::trim)
}

impl Explain for ExecError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Session(error @ SessionError::Closed(text)) => match text {
                text if text.contains("Plugin with name") => {
                    "the agent cannot start its worker: look for a full disk or /tmp in the task, or a read-only root file system; a new task helps"
                }
                text if text.contains("handshake") || text.contains("Handshake") => {
                    "the task role needs kms:Decrypt on the cluster's key, and the way to KMS"
                }
                _ => return error.hints(),
            },
            Self::Session(error) => return error.hints(),
            Self::Cloud(error) => return error.hints(),
            Self::NoShell { .. } => "name a program of the image: `ecsx exec -- PROGRAM`",
            Self::NoTool { .. } => "with -t the command runs on a terminal, and its exit code is still ours",
            Self::EndedEarly(text) if text.contains("inactivity") => {
                "ECS ends a session without input after 20 minutes; --keepalive prevents that"
            }
            Self::EndedEarly(_) => {
                "ECS ends a session without input after 20 minutes; if that was it, --keepalive prevents it"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NoShell { .. } => exit::NOT_FOUND,
            Self::Unrunnable { code, .. } => *code,
            Self::CannotStart { .. } if self.is_not_found() => exit::NOT_FOUND,
            Self::CannotStart { .. } => exit::CANNOT_RUN,
            _ => exit::ECSX_FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(text: &str, begun: bool) -> ExecError {
        let target = Target {
            region: "us-east-1".into(),
            cluster: "c".into(),
            service: None,
            family: "f".into(),
            task_arn: "arn:aws:ecs:us-east-1:1:task/c/t".into(),
            task_id: "t".into(),
            container: "app".into(),
            runtime_id: "r".into(),
        };
        ExecError::ended(SessionError::Closed(text.into()), &target, begun)
    }

    #[test]
    fn the_agents_closing_words_become_causes() {
        let missing = ended(
            "----------ERROR-------\nUnable to start command: Failed to start pty: fork/exec sh: no such file or directory\n",
            false,
        );
        assert_eq!(missing.exit_code(), exit::NOT_FOUND);
        assert!(
            missing.to_string().starts_with("container app could not start the command: Failed to start pty")
        );
        let refused = ended("Unable to start command: fork/exec /x: permission denied", false);
        assert_eq!(refused.exit_code(), exit::CANNOT_RUN);
        let full =
            ended("Plugin with name InteractiveCommands not found. Step name: InteractiveCommands", false);
        assert_eq!(full.exit_code(), exit::ECSX_FAILED);
        assert!(full.hints()[0].contains("/tmp"), "{full:?}");
        let idle = ended("Your session timed out due to inactivity and has been terminated.", true);
        assert!(idle.hints()[0].contains("--keepalive"), "{idle:?}");
        assert!(matches!(ended("", true), ExecError::EndedEarly(_)));
    }
}
