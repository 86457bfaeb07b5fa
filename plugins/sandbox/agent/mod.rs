//! The agent in a container: one per session, as ssm-session-worker is.

mod basic;
mod channel;
mod cipher;
mod handshake;
mod link;
mod mux;
mod port;
#[cfg(unix)]
mod shell;
#[cfg(unix)]
pub(crate) mod terminal;
#[cfg(unix)]
mod utf8;
pub(crate) mod version;
#[cfg(unix)]
mod words;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::sandbox::Sandbox;
use crate::session::{Document, Ending, Session};
use link::{Link, Over};

/// Why an agent's work is done.
enum End {
    /// As it should be.
    Finished,
    /// The client's flag asked for it.
    Flag,
    /// The session was ended elsewhere.
    Over,
    /// With this to say to the client.
    Failed(String),
}

impl From<Over> for End {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

/// Serves one session to its end.
pub(crate) async fn run(
    sandbox: Arc<Sandbox>,
    session: Arc<Session>,
    frames: mpsc::Receiver<Bytes>,
    gateway: mpsc::Sender<Bytes>,
) {
    let faults = sandbox.faults().clone();
    let mut link = Link::new(session.clone(), frames, gateway, &faults);
    let end = match &session.document {
        Document::Port { host, port, local_port } => {
            let mut properties = json!({
                "portNumber": port.to_string(), "localPortNumber": local_port, "type": "LocalPortForwarding",
            });
            if let Some(host) = host {
                properties["host"] = json!(host);
            }
            port::serve(&sandbox, &mut link, &faults.agent_version, host.as_deref(), *port, properties).await
        }
        Document::Ssh { port } => {
            let properties = json!({"portNumber": port.to_string()});
            port::serve(&sandbox, &mut link, &faults.agent_version, None, *port, properties).await
        }
        Document::Command { command, kms_key } => {
            commands(&sandbox, &mut link, "InteractiveCommands", command, kms_key.as_deref()).await
        }
        Document::Shell => commands(&sandbox, &mut link, "Standard_Stream", "", None).await,
    };
    match end {
        End::Finished | End::Failed(_) => link.drain().await,
        End::Flag | End::Over => link.leave(),
    }
    match end {
        End::Finished => session.end(Ending::Agent, ""),
        End::Flag => session.end(Ending::Flag, ""),
        End::Over => {}
        End::Failed(output) => session.end(Ending::Agent, &output),
    }
}

/// Runs a command on a terminal. There is no handshake unless the session is to be encrypted.
#[cfg(unix)]
async fn commands(
    sandbox: &Sandbox,
    link: &mut Link,
    session_type: &str,
    command: &str,
    kms_key: Option<&str>,
) -> End {
    if kms_key.is_some() {
        let agent = sandbox.faults().agent_version.clone();
        let properties = serde_json::Value::Null;
        let request = handshake::Request { agent: &agent, session_type, properties, kms_key };
        if let Err(end) = handshake::shake(link, sandbox, request).await {
            return end;
        }
    }
    shell::serve(link, command).await
}

/// There are no ptys here.
#[cfg(not(unix))]
async fn commands(_: &Sandbox, _: &mut Link, _: &str, _: &str, _: Option<&str>) -> End {
    End::Failed("Plugin with name InteractiveCommands not found. Step name: InteractiveCommands".to_owned())
}
