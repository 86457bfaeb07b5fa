//! `ecsx sandbox serve`: a sandbox until interrupted.

use std::io::Write as _;
use std::sync::Arc;

use ecsx::plugin::exit;
use ecsx::session::terminal::Signals;
use ecsx::ui::{Failure, Ui};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::sandbox::Sandbox;
use crate::world::Fixture;
use crate::{Options, Output, http};

/// Environment that would lead programs away from the sandbox.
pub(crate) const UNSET: &[&str] = &[
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "ECSX_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_KMS",
];

/// Starts a sandbox; it runs as long as the runtime does.
pub(crate) async fn start(options: &Options) -> Result<Arc<Sandbox>, Failure> {
    let mut fixture = Fixture::read(options.fixture.as_deref()).map_err(Failure::new)?;
    if let Some(fault) = &options.fault {
        let wrong = |error| Failure::because("--fault cannot be understood", error).code(exit::USAGE);
        fixture.faults = serde_json::from_str(fault).map_err(wrong)?;
    }
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
    let (port, listener) = bound.map_err(|error| {
        let failure = Failure::because(format!("cannot listen on 127.0.0.1:{}", options.port), error);
        failure.hint("another sandbox may run there; without --port a free one is taken")
    })?;
    let sandbox = Sandbox::new(port, fixture);
    tokio::spawn(http::serve(listener, sandbox.clone()));
    Ok(sandbox)
}

/// Serves until interrupted.
pub(crate) async fn serve(options: &Options, output: Output, ui: Ui) -> Result<u8, Failure> {
    let mut signals = signals()?;
    let sandbox = start(options).await?;
    let text = match output {
        Output::Sh => shell(&sandbox),
        Output::Json => json!({
            "event": "ready", "endpoint": sandbox.endpoint(), "admin": sandbox.admin(),
            "env": environment(&sandbox),
        })
        .to_string(),
    };
    print(&format!("{text}\n"))?;
    if matches!(output, Output::Sh) {
        tell(&sandbox, ui);
    }
    signals.next().await;
    Ok(0)
}

/// On stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::because("cannot write to stdout", error))
}

/// What there is, and how to come to it.
fn tell(sandbox: &Sandbox, ui: Ui) {
    ui.status("A pretend AWS runs until Ctrl-C. Paste the lines above into another shell to use it.");
    let world = sandbox.world();
    for cluster in &world.clusters {
        let families = cluster.tasks.iter().filter(|task| task.service().is_none());
        let families = families.map(|task| format!("{} (a family)", task.family));
        let services = cluster.services.iter().map(|service| service.name.clone());
        let names: Vec<_> = services.chain(families).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        ui.status(&format!("  cluster {}: {names}", cluster.name));
    }
    for (name, address) in &world.names {
        ui.status(&format!("  {name} is {address}"));
    }
    // Its secret goes where the key goes, to stdout alone: stderr ends in logs.
    ui.status("  what happens, and faults: curl $ECSX_SANDBOX_ADMIN/state (docs/sandbox.md)");
}

fn environment(sandbox: &Sandbox) -> Map<String, Value> {
    sandbox.environment().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn shell(sandbox: &Sandbox) -> String {
    let exports = sandbox.environment().into_iter().map(|(name, value)| format!("export {name}={value}\n"));
    format!("{}unset {}", exports.collect::<String>(), UNSET.join(" "))
}

/// What may end this process, from now on: it is to leave nothing behind.
pub(crate) fn signals() -> Result<Signals, Failure> {
    Signals::new().map_err(|error| Failure::because("cannot listen for signals", error))
}
