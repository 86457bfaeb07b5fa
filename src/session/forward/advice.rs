//! What is known to be wrong with an agent's version.

use crate::ecs::CloudError;
use crate::ssm::channel::{Kind, Ready};

use super::spec::Destination;

const UPDATE: &str =
    "start the task anew on a current Fargate platform version, or update the ECS agent of its instance";

/// What to tell about the agent, if anything.
pub(super) fn on(ready: &Ready, remote: &Destination) -> Option<String> {
    let version = ready.agent_version.as_deref()?;
    let number = parse(version)?;
    let trouble = if matches!(ready.kind, Kind::Basic { .. }) {
        "serves one connection at a time, and does not tell when the remote end closes"
    } else if remote.host.is_some() && number < [3, 1, 1374, 0] {
        "may not forward to a remote host (3.1.1374.0 and later do) but to the container's own port"
    } else if (([3, 1, 1446, 0])..[3, 1, 1476, 0]).contains(&number) {
        "closes idle forwards after 30 to 60 s (3.1.1476.0 and later do not)"
    } else {
        return None;
    };
    Some(format!("SSM agent {version} in the task {trouble}: {UPDATE}"))
}

/// Adds what helps to SSM's refusal of a remote host for an agent that is too old.
pub(super) fn on_refusal(mut error: CloudError) -> CloudError {
    if error.message.contains("doesn't support port forwarding sessions to remote hosts") {
        error.hints.push(format!("agents from 3.1.1374.0 on do: {UPDATE}"));
    }
    error
}

fn parse(version: &str) -> Option<[u64; 4]> {
    let mut parts = [0; 4];
    let mut words = version.split('.');
    for part in &mut parts {
        *part = words.next()?.parse().ok()?;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(version: &str, kind: Kind, host: Option<&str>) -> Option<String> {
        let ready = Ready { kind, agent_version: Some(version.to_owned()), message: String::new() };
        on(&ready, &Destination::new(host, 5432))
    }

    #[test]
    fn an_old_agent_is_named_with_what_helps() {
        let mux = Kind::Mux { keep_alive: true };
        for (version, kind, host, expected) in [
            ("3.0.196.0", Kind::Basic { terminate_flag: true }, None, Some("one connection at a time")),
            ("3.1.1000.0", mux, Some("db"), Some("remote host")),
            ("3.1.1000.0", mux, None, None),
            ("3.1.1446.0", mux, Some("db"), Some("idle")),
            ("3.1.1476.0", mux, Some("db"), None),
            ("3.3.4851.0", mux, Some("db"), None),
            ("garbage", mux, Some("db"), None),
        ] {
            let advice = advice(version, kind, host);
            match expected {
                Some(words) => {
                    let advice = advice.expect(version);
                    assert!(
                        advice.contains(words) && advice.contains(version) && advice.contains(UPDATE),
                        "{advice}"
                    );
                }
                None => assert_eq!(advice, None, "{version}"),
            }
        }
    }
}
