//! What a session asks of AWS while it lives: a socket, another socket, a key, its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::ecs::Cloud;
use crate::ssm::channel::Key;

use super::dial::{Network, Socket};
use super::endpoint::Endpoint;
use super::error::SessionError;

/// How long one attempt to resume may take, API call included.
const ATTEMPT: Duration = Duration::from_secs(40);
/// How long leaving a session may take, all in all: whoever pressed Ctrl-C waits 2 s at most.
pub(super) const FAREWELL: Duration = Duration::from_millis(1800);

/// A new socket and the token to open with.
pub(super) struct Joined {
    pub(super) socket: Socket,
    pub(super) token: String,
    pub(super) stream_url: String,
}

/// ssm:TerminateSession, within [`FAREWELL`] of the caller's. A failure is no news: the session may
/// be over, or the caller not allowed to, and then the service's idle timeout ends it. `false`: it
/// failed.
pub(super) async fn terminate<C: Cloud>(cloud: &C, id: &str) -> bool {
    cloud.terminate_session(id).await.is_ok()
}

/// Dials.
pub(super) async fn join<C: Cloud>(
    cloud: Arc<C>,
    network: Arc<Network>,
    stream_url: String,
    token: String,
) -> Result<Joined, SessionError> {
    let endpoint = Endpoint::check(&stream_url, cloud.region(), cloud.endpoint_overridden())?;
    // Signed afresh for every dial: a signature is good for five minutes only.
    let headers = cloud.sign_upgrade(&stream_url).await?;
    let socket = network.dial(&endpoint, &headers).await?;
    Ok(Joined { socket, token, stream_url })
}

/// ssm:ResumeSession, and dials. [`SessionError::Over`]: there is nothing to resume.
pub(super) async fn resume<C: Cloud>(
    cloud: Arc<C>,
    network: Arc<Network>,
    id: String,
    last_url: String,
) -> Result<Joined, SessionError> {
    use crate::ecs::CloudErrorKind::{Invalid, NotFound};
    let attempt = async {
        let ticket = match cloud.resume_session(&id).await {
            Ok(Some(ticket)) if !ticket.token.is_empty() => ticket,
            Ok(_) => return Err(SessionError::Over),
            Err(e) if matches!(e.kind, NotFound | Invalid) => return Err(SessionError::Over),
            Err(e) => return Err(e.into()),
        };
        // The answer may leave the URL out: then the last one still holds.
        let url = if ticket.stream_url.is_empty() { last_url } else { ticket.stream_url };
        join(cloud.clone(), network, url, ticket.token).await
    };
    let late = || Err(SessionError::WebSocket(format!("no answer within {} s", ATTEMPT.as_secs())));
    timeout(ATTEMPT, attempt).await.unwrap_or_else(|_| late())
}

/// A data key under the context that the agent will repeat.
pub(super) async fn data_key<C: Cloud>(
    cloud: Arc<C>,
    key_id: String,
    challenge: Option<String>,
    session_id: String,
    ssm_target: String,
) -> Result<Key, String> {
    let mut context = BTreeMap::from([
        ("aws:ssm:SessionId".to_owned(), session_id),
        ("aws:ssm:TargetId".to_owned(), ssm_target),
    ]);
    let challenge_acknowledged = challenge.is_some();
    context.extend(challenge.map(|challenge| ("aws:ssm:RandomChallenge".to_owned(), challenge)));
    let key = cloud.generate_data_key(&key_id, context).await.map_err(|e| e.to_string())?;
    Ok(Key { plaintext: key.plaintext, ciphertext: key.ciphertext, challenge_acknowledged })
}
