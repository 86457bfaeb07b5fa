//! What can go wrong between this machine and the message gateway.

use crate::ecs::{CloudError, CloudErrorKind, Refusal};
use crate::ui::Explain;

use super::endpoint::EndpointError;

/// Why there is no session, or none right now.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The stream URL is not one to send a token to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No TCP connection.
    #[error("cannot connect to {host}:{port}: {reason}")]
    Connect {
        /// Name or address dialled: the gateway's or the proxy's.
        host: String,
        /// TCP port.
        port: u16,
        /// What the resolver or the kernel said.
        reason: String,
    },
    /// The proxy did not let us through.
    #[error("the proxy {proxy} does not let us through to {host}: {reason}")]
    Proxy {
        /// `host:port` of the proxy, or the variables it was to come from.
        proxy: String,
        /// The gateway's host.
        host: String,
        /// What the proxy answered.
        reason: String,
    },
    /// No TLS with the gateway.
    #[error("no TLS with {host}: {reason}")]
    Tls {
        /// The gateway's host.
        host: String,
        /// What rustls said.
        reason: String,
    },
    /// The gateway, or something before it, refused the WebSocket upgrade.
    #[error("{host} refused the WebSocket upgrade: HTTP {status}{}", excerpt(.body))]
    Refused {
        /// The gateway's host.
        host: String,
        /// HTTP status.
        status: u16,
        /// Beginning of the answer's body.
        body: String,
    },
    /// The WebSocket broke, or never worked.
    #[error("{0}")]
    WebSocket(String),
    /// The gateway took the WebSocket, and closed it over what it was sent: the token, that is.
    #[error("{0}")]
    ShutOut(String),
    /// A call to AWS failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The service closed the session.
    #[error("{}", closed(.0))]
    Closed(String),
    /// ResumeSession says there is nothing to resume.
    #[error("the session is over: it timed out, or somebody ended it")]
    Over,
    /// The agent broke the protocol, or does not speak it.
    #[error("the session cannot go on: {0}")]
    Broken(String),
    /// The agent never took the session up.
    #[error("the agent in container {container} did not take the session up within {seconds} s")]
    Silent {
        /// Container name.
        container: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The agent stopped answering.
    #[error("the agent has acknowledged nothing for {seconds} s")]
    Mute {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The destination moved: the agent looks its name up once per session.
    #[error(
        "{host} could be reached before and no longer can: its name is looked up again in another session"
    )]
    Stale {
        /// Host and port.
        host: String,
    },
    /// An agent without multiplexing may still have bytes of a connection that is gone.
    #[error("the network was lost during a connection, and late bytes of it could reach the next one")]
    Mixed,
    /// It was left before all that clients had sent had arrived.
    #[error("what {connections} connection{} sent may not have arrived whole", if *connections == 1 { "" } else { "s" })]
    Unsent {
        /// How many.
        connections: usize,
    },
    /// No task to go to.
    #[error(transparent)]
    NoTarget(#[from] Refusal),
    /// The task is gone.
    #[error("task {task} is gone: {reason}")]
    TaskGone {
        /// Task id.
        task: String,
        /// Status or stopped reason as ECS gives it.
        reason: String,
    },
}

impl Explain for SessionError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Cloud(error) => return error.hints(),
            Self::NoTarget(refusal) => return refusal.hints(),
            Self::Endpoint(_) => {
                "a proxy or a wrong AWS_ENDPOINT_URL_* may be answering in AWS' place; an endpoint of your own may lead to this machine as well, and nowhere else"
            }
            Self::Connect { .. } => {
                "check the network, HTTPS_PROXY, and the security group of a VPC endpoint for ssmmessages"
            }
            Self::Proxy { .. } => "check HTTPS_PROXY and NO_PROXY; the gateway needs CONNECT to port 443",
            Self::Tls { .. } => "if a proxy opens TLS here, name its CA with AWS_CA_BUNDLE",
            Self::Refused { status: 401 | 403, .. } => {
                "the caller needs ssmmessages:OpenDataChannel on its own sessions, and a correct clock"
            }
            Self::Refused { .. } => "something between here and AWS may not let WebSockets through",
            Self::Closed(_) if self.is_the_agents() => {
                "it is the task that looks the host up and connects: check the name, and what it may reach"
            }
            Self::Silent { .. } => {
                "ECS allows two sessions per container at a time: end others, or look for a full /tmp or a stopped agent in the task"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// What agents head the reason with when their own work failed.
const AGENTS_HEADING: &str = "----------ERROR-------";

impl SessionError {
    /// Whether the agent itself ended the session because it cannot do what it is for.
    pub(super) fn is_the_agents(&self) -> bool {
        matches!(self, Self::Closed(text) if text.trim_start().starts_with(AGENTS_HEADING))
    }

    /// Whether this session cannot be resumed, whoever asks however often; a new one may do.
    pub(super) fn forbids_resuming(&self) -> bool {
        match self {
            Self::Cloud(error) => error.kind == CloudErrorKind::AccessDenied,
            Self::Refused { status, .. } => is_final(*status),
            Self::Endpoint(_) | Self::ShutOut(_) => true,
            _ => false,
        }
    }

    /// Whether waiting for the network cannot heal this, only a person can.
    pub fn needs_a_person(&self) -> bool {
        use CloudErrorKind::{AccessDenied, BadCredentials, NoCredentials};
        match self {
            Self::Cloud(error) | Self::NoTarget(Refusal::Cloud(error)) => {
                matches!(error.kind, AccessDenied | BadCredentials | NoCredentials)
            }
            Self::Refused { status, .. } => is_final(*status),
            Self::Endpoint(_) | Self::Tls { .. } | Self::Proxy { .. } => true,
            _ => false,
        }
    }
}

/// Whether an HTTP status says that the same will be refused again. (Timeout, too early, too many.)
fn is_final(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 425 | 429)
}

fn excerpt(body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

fn closed(text: &str) -> String {
    let text = text.trim();
    let (who, why) = match text.strip_prefix(AGENTS_HEADING) {
        Some(why) => ("agent", why),
        None => ("service", text),
    };
    // Remote text, of any length: it shall not look like lines of ours.
    let clean: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    match clean.split_whitespace().collect::<Vec<_>>().join(" ") {
        clean if clean.is_empty() => format!("the {who} closed the session"),
        clean => format!("the {who} closed the session: {clean}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_reason_is_one_line_and_says_whose_it_is() {
        for (text, said) in [
            ("", "the service closed the session"),
            ("timed out.\n", "the service closed the session: timed out."),
            ("----------ERROR-------\nUnable to resolve", "the agent closed the session: Unable to resolve"),
            ("x\nForwarding 1 -> 2\x1b[2J", "the service closed the session: x Forwarding 1 -> 2 [2J"),
        ] {
            assert_eq!(SessionError::Closed(text.into()).to_string(), said);
        }
        assert!(SessionError::Closed("y".repeat(1 << 20)).to_string().len() < 600);
    }
}
