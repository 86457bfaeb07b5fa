//! The agent's side of the handshake (protocol.md 4).

use std::time::{Duration, Instant};

use ecsx::ssm::wire::PayloadType;
use serde::Deserialize;
use serde_json::{Value, json};

use super::End;
use super::link::{Link, Over};
use super::version::{self, Version};

/// How long a client may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const TIMED_OUT: &str =
    "Handshake timed out. Please ensure that you have the latest version of the session manager plugin.";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    client_version: String,
    #[serde(default)]
    processed_client_actions: Vec<Processed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Processed {
    action_type: String,
    action_status: u32,
    #[serde(default)]
    error: Option<String>,
}

/// Shakes hands with the client about a session of this type; answers the client's version.
pub(super) async fn shake(
    link: &mut Link,
    agent: &str,
    session_type: &str,
    properties: Value,
) -> Result<Version, End> {
    let started = Instant::now();
    let request = json!({
        "AgentVersion": agent,
        "RequestedClientActions": [{
            "ActionType": "SessionType",
            "ActionParameters": {"SessionType": session_type, "Properties": properties},
        }],
    });
    link.send(PayloadType::HandshakeRequest, request.to_string().into());
    let response = match tokio::time::timeout(TIMEOUT, response(link)).await {
        Ok(response) => response?,
        Err(_) => return Err(failed(TIMED_OUT)),
    };
    for action in &response.processed_client_actions {
        if action.action_status != 1 {
            let reason = action.error.as_deref().unwrap_or_default();
            return Err(failed(&format!(
                "{} failed on client with status {} error: {reason}",
                action.action_type, action.action_status
            )));
        }
    }
    let complete = json!({
        "HandshakeTimeToComplete": started.elapsed().as_nanos() as u64, "CustomerMessage": "",
    });
    link.send(PayloadType::HandshakeComplete, complete.to_string().into());
    Ok(version::parse(&response.client_version))
}

/// The client's response. Other input of this time is acknowledged and thrown away.
async fn response(link: &mut Link) -> Result<Response, Over> {
    loop {
        let Some(input) = link.input(true).await? else { continue };
        if input.payload_type != PayloadType::HandshakeResponse {
            link.took();
            continue;
        }
        match serde_json::from_slice(&input.payload) {
            Ok(response) => {
                link.took();
                return Ok(response);
            }
            Err(_) => link.refuse(),
        }
    }
}

fn failed(reason: &str) -> End {
    End::Failed(format!("Encountered error while initiating handshake. {reason}"))
}
