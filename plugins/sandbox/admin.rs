//! The admin interface, `/_sandbox/SECRET/…`: faults, events and counters for tests. It can do all
//! that the key can, so it has a secret as well.
//!
//! | request | effect |
//! |---|---|
//! | `GET state` | API calls, sessions with counters, tasks, faults |
//! | `DELETE calls` | start counting anew |
//! | `PUT faults` | replace all faults (`{}`: none) |
//! | `PATCH faults` | change some |
//! | `PATCH names` | what names mean from now on: `{"db.internal:5432": "127.0.0.1:15432"}` |
//! | `POST outage` | `{"seconds": 5}`: reset every WebSocket, answer nothing meanwhile |
//! | `POST key/expire` | the key is refused as expired; answers the one that is taken from now on |
//! | `POST tasks/ID/kill` | the task stops, silently for its sessions |
//! | `POST tasks/ID/health` | `{"status": "UNHEALTHY"}`: what its health checks say from now on |
//! | `POST tasks/ID/stop_agents` | its ECS Exec agents stop, silently; the task runs on |
//! | `POST services/CLUSTER/NAME/deploy` | `{"after_ms": 2000}`: new tasks now, the old ones stop then |
//! | `POST sessions/ID/ACTION` | ID may be `last` or `all`; see [`act`] |

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::gateway::{Order, messages};
use crate::sandbox::Sandbox;
use crate::session::{Ending, Session};

/// Where it is; the secret of the run follows.
pub(crate) const ROOT: &str = "/_sandbox/";

/// The answer to who does not know the secret.
pub(crate) fn stranger() -> (u16, Value) {
    (403, json!({"error": "the admin interface is at $ECSX_SANDBOX_ADMIN, which the sandbox exports"}))
}

/// Answers one admin request: status and JSON.
pub(crate) fn answer(sandbox: &Arc<Sandbox>, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
    let body = match body {
        [] => json!({}),
        body => match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return (400, json!({"error": format!("the body is no JSON: {error}")})),
        },
    };
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match route(sandbox, method.as_str(), &parts, body) {
        Ok(answer) => (200, answer),
        Err(Wrong { status, error }) => (status, json!({"error": error})),
    }
}

/// Why a request was not obeyed.
struct Wrong {
    status: u16,
    error: String,
}

impl Wrong {
    fn missing(what: impl std::fmt::Display) -> Self {
        Self { status: 404, error: format!("there is no {what}") }
    }
}

impl From<String> for Wrong {
    fn from(error: String) -> Self {
        Self { status: 400, error }
    }
}

impl From<&str> for Wrong {
    fn from(error: &str) -> Self {
        error.to_owned().into()
    }
}

fn route(sandbox: &Arc<Sandbox>, method: &str, parts: &[&str], body: Value) -> Result<Value, Wrong> {
    match (method, parts) {
        ("GET", ["state"]) => return Ok(state(sandbox)),
        ("DELETE", ["calls"]) => sandbox.calls().clear(),
        ("PUT", ["faults"]) => {
            let faults = serde_json::from_value(body).map_err(|error| error.to_string())?;
            *sandbox.faults() = faults;
        }
        ("PATCH", ["faults"]) => {
            let mut faults = sandbox.faults();
            let mut changed = serde_json::to_value(&*faults).map_err(|error| error.to_string())?;
            merge(&mut changed, body);
            *faults = serde_json::from_value::<Faults>(changed).map_err(|error| error.to_string())?;
        }
        ("PATCH", ["names"]) => {
            let names: std::collections::BTreeMap<String, String> =
                serde_json::from_value(body).map_err(|error| error.to_string())?;
            sandbox.world().names.extend(names);
        }
        ("POST", ["outage"]) => {
            let seconds =
                body["seconds"].as_f64().filter(|it| (0.0..1e6).contains(it)).ok_or("seconds is missing")?;
            *sandbox.outage() = Some(Instant::now() + Duration::from_secs_f64(seconds));
            for session in sandbox.sessions().values() {
                session.order(Order::Cut);
            }
        }
        ("POST", ["key", "expire"]) => return Ok(json!({"AWS_ACCESS_KEY_ID": sandbox.expire_key()})),
        ("POST", ["tasks", task, "health"]) => {
            let status = body["status"].as_str().ok_or("status is missing")?;
            let mut world = sandbox.world();
            let task = world.task_mut(task).ok_or_else(|| Wrong::missing(format_args!("task {task}")))?;
            status.clone_into(&mut task.health);
        }
        ("POST", ["tasks", task, "kill"]) => {
            let reason = body["reason"].as_str().unwrap_or("Essential container in task exited");
            if !sandbox.kill_task(task, reason) {
                return Err(Wrong::missing(format_args!("task {task}")));
            }
        }
        ("POST", ["tasks", task, "stop_agents"]) => {
            if !sandbox.stop_agents(task) {
                return Err(Wrong::missing(format_args!("task {task}")));
            }
        }
        ("POST", ["services", cluster, service, "deploy"]) => {
            let old = sandbox.world().deploy(cluster, service);
            let old = old.ok_or_else(|| Wrong::missing(format_args!("service {service} in {cluster}")))?;
            let (sandbox, after) = (sandbox.clone(), body["after_ms"].as_u64().unwrap_or(2000));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                for task in old {
                    sandbox.kill_task(&task, "Scaling activity initiated by deployment");
                }
            });
        }
        ("POST", ["sessions", which, action]) => {
            let sessions = sessions(sandbox, which);
            if sessions.is_empty() {
                return Err(Wrong::missing(format_args!("session {which}")));
            }
            let acted = sessions.iter().map(|session| act(session, action, &body));
            let acted: Vec<_> = acted.collect::<Result<_, _>>()?;
            return Ok(json!({"done": acted.iter().filter(|done| **done).count()}));
        }
        _ => {
            return Err(Wrong::missing(format_args!("{method} /{} here (docs/sandbox.md)", parts.join("/"))));
        }
    }
    Ok(json!({}))
}

/// Does something to a session; `false` if no client is connected to see it.
///
/// `cut` (TCP reset), `close` (`code`, `reason`; 1000 `Bye`), `pause`, `start`, `pause_agent`, `start_agent`,
/// `end` (channel_closed with `output`), `kill_agent` (silent), `send` (`hex`, or `text` for a text frame).
fn act(session: &Session, action: &str, body: &Value) -> Result<bool, String> {
    let text = |field: &str, default: &str| body[field].as_str().unwrap_or(default).to_owned();
    Ok(match action {
        "cut" => session.order(Order::Cut),
        "close" => {
            session.order(Order::Close(body["code"].as_u64().unwrap_or(1000) as u16, text("reason", "Bye")))
        }
        "pause" => session.order(Order::Send(messages::pause_publication())),
        "start" => session.order(Order::Send(messages::start_publication())),
        "pause_agent" => publish(session, false),
        "start_agent" => publish(session, true),
        "end" => {
            session.end(Ending::Admin, &text("output", ""));
            true
        }
        "kill_agent" => {
            session.kill_agent();
            true
        }
        "send" => match (body["hex"].as_str(), body["text"].as_str()) {
            (Some(hex), _) => session.order(Order::SendRaw(unhex(hex)?)),
            (None, Some(text)) => session.order(Order::SendText(text.to_owned())),
            (None, None) => return Err("hex or text is missing".to_owned()),
        },
        _ => return Err(format!("a session has no action {action}")),
    })
}

fn publish(session: &Session, publish: bool) -> bool {
    session.wishes.send_modify(|wishes| wishes.publish = publish);
    true
}

fn sessions(sandbox: &Sandbox, which: &str) -> Vec<Arc<Session>> {
    let sessions = sandbox.sessions();
    match which {
        "all" => sessions.values().cloned().collect(),
        "last" => sessions.values().max_by_key(|session| session.number).cloned().into_iter().collect(),
        id => sessions.get(id).cloned().into_iter().collect(),
    }
}

fn state(sandbox: &Sandbox) -> Value {
    let mut sessions: Vec<_> = sandbox.sessions().values().cloned().collect();
    sessions.sort_by_key(|session| session.number);
    let open = sessions.iter().filter(|session| !session.is_over()).count();
    let sessions: Vec<_> = sessions.iter().map(|session| session.to_json()).collect();
    let world = sandbox.world();
    let tasks = world.clusters.iter().flat_map(|cluster| {
        cluster.tasks.iter().map(|task| {
            let containers = task.containers.iter().map(|it| {
                let target = format!("ecs:{}_{}_{}", cluster.name, task.id, it.runtime_id);
                json!({"name": it.name, "runtime_id": it.runtime_id, "target": target, "exec_agent": it.exec_agent})
            });
            json!({
                "cluster": cluster.name, "id": task.id, "arn": task.arn, "group": task.group, "revision": task.revision,
                "status": task.last_status(), "containers": containers.collect::<Vec<_>>(),
            })
        })
    });
    json!({
        "calls": *sandbox.calls(), "open_sessions": open, "sessions": sessions, "tasks": tasks.collect::<Vec<_>>(),
        "faults": *sandbox.faults(), "names": world.names,
    })
}

/// Puts the fields of `change` into `base`, objects field by field.
fn merge(base: &mut Value, change: Value) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (name, value) in change {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, change) => *base = change,
    }
}

fn unhex(hex: &str) -> Result<Bytes, String> {
    let digits: Option<Vec<u8>> = hex.chars().map(|it| it.to_digit(16).map(|it| it as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or("hex holds something else")?;
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
