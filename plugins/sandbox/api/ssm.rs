//! SSM: sessions started, resumed, ended and listed.

use serde_json::{Map, Value, json};

use super::{ApiError, Caller, date, page, text, unknown};
use crate::agent::version;
use crate::sandbox::Sandbox;
use crate::session::{Document, Ending, Session};
use crate::world::{Cluster, Container, Task, World};

pub(super) fn call(
    sandbox: &Sandbox,
    caller: &Caller,
    operation: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    match operation {
        "StartSession" => start(sandbox, caller, body),
        "ResumeSession" => {
            let session = session(sandbox, body)?;
            let over = session.is_over() || sandbox.faults().resume_null_token;
            if over {
                return Ok(json!({"SessionId": session.id, "TokenValue": null, "StreamUrl": null}));
            }
            let ticket = sandbox.resume_session(&session);
            Ok(
                json!({"SessionId": ticket.session_id, "TokenValue": ticket.token, "StreamUrl": ticket.stream_url}),
            )
        }
        "TerminateSession" => {
            let session = session(sandbox, body)?;
            session.end(Ending::Api, "");
            Ok(json!({"SessionId": session.id}))
        }
        "DescribeSessions" => {
            let active = match text(body, "State") {
                Some("Active") => true,
                Some("History") => false,
                _ => return Err(ApiError::new("ValidationException", "State must be Active or History.")),
            };
            let owner = format!("arn:aws:iam::{}:user/sandbox", sandbox.world().account);
            let sessions = sandbox.sessions();
            let sessions = sessions
                .values()
                .filter(|it| it.is_over() != active)
                .map(|it| describe(it, &owner))
                .collect();
            let request = json!({"maxResults": body["MaxResults"], "nextToken": body["NextToken"]});
            let (sessions, next) = page(sandbox, &request, 100, sessions)?;
            Ok(json!({"Sessions": sessions, "NextToken": next}))
        }
        _ => Err(unknown(operation)),
    }
}

fn session(sandbox: &Sandbox, body: &Value) -> Result<std::sync::Arc<Session>, ApiError> {
    let id = text(body, "SessionId").unwrap_or_default();
    let missing = || ApiError::new("DoesNotExistException", format!("Session {id} does not exist."));
    sandbox.sessions().get(id).cloned().ok_or_else(missing)
}

fn describe(session: &Session, owner: &str) -> Value {
    let status = if session.is_over() { "Terminated" } else { "Connected" };
    json!({
        "SessionId": session.id, "Target": session.target, "Status": status, "StartDate": date(session.started),
        "DocumentName": session.document.name(), "Owner": owner,
        "MaxSessionDuration": "20",
    })
}

fn start(sandbox: &Sandbox, caller: &Caller, body: &Value) -> Result<Value, ApiError> {
    let target =
        text(body, "Target").ok_or_else(|| ApiError::new("ValidationException", "Target is missing."))?;
    let parameters = parameters(body)?;
    let document = document(text(body, "DocumentName"), &parameters)?;
    let agent = version::parse(&sandbox.faults().agent_version);
    if matches!(&document, Document::Port { host: Some(_), .. }) && agent < version::REMOTE_HOST {
        return Err(ApiError::new(
            "BadRequest",
            "The version of SSM Agent on the target doesn't support port forwarding sessions to remote hosts.",
        ));
    }
    let world = sandbox.world();
    let found = if caller.region == world.region { find(&world, target) } else { None };
    let not_connected = || ApiError::new("TargetNotConnected", format!("{target} is not connected."));
    let (cluster, task, container) = found.ok_or_else(not_connected)?;
    let ticket = sandbox.start_session("dev@example.com", cluster, task, container, document);
    Ok(json!({"SessionId": ticket.session_id, "TokenValue": ticket.token, "StreamUrl": ticket.stream_url}))
}

/// The running container that `ecs:CLUSTER_TASKID_RUNTIMEID` names, if its agent runs.
fn find<'a>(world: &'a World, target: &str) -> Option<(&'a Cluster, &'a Task, &'a Container)> {
    // Cluster names may hold underscores; task and runtime ids do not.
    let mut parts = target.strip_prefix("ecs:")?.rsplitn(3, '_');
    let (runtime, task, cluster) = (parts.next()?, parts.next()?, parts.next()?);
    let cluster = world.clusters.iter().find(|it| it.name == cluster)?;
    let task = cluster.tasks.iter().find(|it| it.id == task && it.stopped.is_none() && it.execute_command)?;
    let container =
        task.containers.iter().find(|it| it.runtime_id == runtime && it.exec_agent == "RUNNING")?;
    Some((cluster, task, container))
}

/// A document's parameters: each a list of one string.
fn parameters(body: &Value) -> Result<Map<String, Value>, ApiError> {
    let mut parameters = Map::new();
    for (name, values) in body["Parameters"].as_object().into_iter().flatten() {
        match values.as_array().map(Vec::as_slice) {
            Some([Value::String(value)]) => parameters.insert(name.clone(), json!(value)),
            _ => return Err(invalid(format!("Parameter {name:?} must be a list of one string."))),
        };
    }
    Ok(parameters)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameters", message)
}

/// What a document and its parameters ask the agent to do.
fn document(name: Option<&str>, given: &Map<String, Value>) -> Result<Document, ApiError> {
    let name = name.unwrap_or("SSM-SessionManagerRunShell");
    let allowed: &[&str] = match name {
        "SSM-SessionManagerRunShell" => &[],
        "AWS-StartInteractiveCommand" => &["command"],
        "AWS-StartSSHSession" => &["portNumber"],
        "AWS-StartPortForwardingSession" => &["portNumber", "localPortNumber"],
        "AWS-StartPortForwardingSessionToRemoteHost" => &["host", "portNumber", "localPortNumber"],
        _ => {
            let message = format!("Document with name {name} does not exist.");
            return Err(ApiError::new("InvalidDocument", message));
        }
    };
    if let Some(name) = given.keys().find(|name| !allowed.contains(&name.as_str())) {
        return Err(invalid(format!("Parameter {name:?} is not defined in the document.")));
    }
    let get = |name: &str| given.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let port = |name: &str, default: u16| match get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| invalid(format!("Parameter {name:?} is no port: {text:?}"))),
    };
    let command =
        || get("command").map(str::to_owned).ok_or_else(|| invalid("Parameter \"command\" is missing."));
    Ok(match name {
        "SSM-SessionManagerRunShell" => Document::Shell,
        "AWS-StartInteractiveCommand" => Document::Command { command: command()?, kms_key: None },
        "AWS-StartSSHSession" => Document::Ssh { port: port("portNumber", 22)? },
        name => {
            port("localPortNumber", 0)?;
            let host = get("host").map(str::to_owned);
            if name.ends_with("RemoteHost") && host.is_none() {
                return Err(invalid("Parameter \"host\" is missing."));
            }
            let local_port = get("localPortNumber").unwrap_or("0").to_owned();
            Document::Port { host, port: port("portNumber", 80)?, local_port }
        }
    })
}
