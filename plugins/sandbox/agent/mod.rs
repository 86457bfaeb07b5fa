//! The agent.
pub(crate) mod version;
use crate::sandbox::Sandbox;
use crate::session::Session;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::mpsc;
pub(crate) async fn run(
    _sandbox: Arc<Sandbox>,
    _session: Arc<Session>,
    _frames: mpsc::Receiver<Bytes>,
    _gateway: mpsc::Sender<Bytes>,
) {
}
