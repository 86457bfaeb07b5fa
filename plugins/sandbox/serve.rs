//! `ecsx sandbox serve`: a sandbox until interrupted.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::sandbox::Sandbox;
use crate::world::Fixture;
use crate::{Options, Output, http};

/// Environment that would lead programs away from the sandbox.
pub(crate) const UNSET: &[&str] = &["AWS_PROFILE", "AWS_SESSION_TOKEN"];

/// Starts a sandbox; it runs as long as the runtime does.
pub(crate) async fn start(options: &Options) -> Result<Arc<Sandbox>, String> {
    let mut fixture = Fixture::read(options.fixture.as_deref())?;
    if let Some(fault) = &options.fault {
        fixture.faults = serde_json::from_str(fault).map_err(|error| format!("--fault: {error}"))?;
    }
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on 127.0.0.1:{}: {error}", options.port))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let sandbox = Sandbox::new(port, fixture);
    tokio::spawn(http::serve(listener, sandbox.clone()));
    Ok(sandbox)
}

/// Serves until interrupted.
pub(crate) async fn serve(options: &Options, output: Output) -> Result<u8, String> {
    let sandbox = start(options).await?;
    let text = match output {
        Output::Sh => shell(&sandbox),
        Output::Json => json!({
            "event": "ready", "endpoint": sandbox.endpoint(), "admin": format!("{}/_sandbox/", sandbox.endpoint()),
            "env": environment(&sandbox),
        })
        .to_string(),
    };
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| format!("stdout: {error}"))?;
    drop(stdout);
    interrupted().await;
    Ok(0)
}

fn environment(sandbox: &Sandbox) -> Map<String, Value> {
    sandbox.environment().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn shell(sandbox: &Sandbox) -> String {
    let exports = sandbox.environment().into_iter().map(|(name, value)| format!("export {name}={value}\n"));
    format!("{}unset {}", exports.collect::<String>(), UNSET.join(" "))
}

/// Until somebody wants this process to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
