//! The agent's side of the handshake (protocol.md 4 and 5).

use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ecsx::ssm::wire::PayloadType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::End;
use super::cipher::Cipher;
use super::link::{Link, Over};
use super::version::{self, Version};
use crate::sandbox::{Sandbox, random};

/// How long a client may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const TIMED_OUT: &str =
    "Handshake timed out. Please ensure that you have the latest version of the session manager plugin.";
const ENCRYPTED: &str = "This session is encrypted using AWS KMS.";

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
    action_result: Value,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Challenge {
    challenge: String,
}

/// What the agent asks of the client.
pub(super) struct Request<'a> {
    pub(super) agent: &'a str,
    pub(super) session_type: &'a str,
    pub(super) properties: Value,
    /// Encrypt with a data key of this KMS key.
    pub(super) kms_key: Option<&'a str>,
}

/// Shakes hands with the client; answers its version.
pub(super) async fn shake(link: &mut Link, sandbox: &Sandbox, request: Request<'_>) -> Result<Version, End> {
    let started = Instant::now();
    let mut actions = vec![json!({
        "ActionType": "SessionType",
        "ActionParameters": {"SessionType": request.session_type, "Properties": request.properties},
    })];
    let nonce = BASE64_STANDARD.encode(random::<16>());
    if let Some(key) = request.kms_key {
        let mut parameters = json!({"KMSKeyId": key});
        if version::parse(request.agent) >= version::RANDOM_CHALLENGE {
            parameters["Challenge"] = json!(nonce);
        }
        actions.push(json!({"ActionType": "KMSEncryption", "ActionParameters": parameters}));
    }
    let body = json!({"AgentVersion": request.agent, "RequestedClientActions": actions});
    link.send_whole(PayloadType::HandshakeRequest, body.to_string().into());
    let response: Response = answer(link, PayloadType::HandshakeResponse, |_| true).await?;
    for action in &response.processed_client_actions {
        if action.action_status != 1 {
            let (name, status) = (&action.action_type, action.action_status);
            let reason = action.error.as_deref().unwrap_or_default();
            return Err(failed(&format!("{name} failed on client with status {status} error: {reason}")));
        }
    }
    if let Some(key) = request.kms_key {
        let actions = &response.processed_client_actions;
        let action = actions.iter().find(|action| action.action_type == "KMSEncryption");
        let result = &action.ok_or_else(|| failed("The client did not agree to encryption."))?.action_result;
        let cipher = cipher(link, sandbox, key, result, &nonce)?;
        challenge(link, cipher).await?;
    }
    let message = if request.kms_key.is_some() { ENCRYPTED } else { "" };
    let took = started.elapsed().as_nanos() as u64;
    let complete = json!({"HandshakeTimeToComplete": took, "CustomerMessage": message});
    link.send_whole(PayloadType::HandshakeComplete, complete.to_string().into());
    Ok(version::parse(&response.client_version))
}

/// The data key that the client had made, as KMS decrypts it for the agent.
fn cipher(link: &Link, sandbox: &Sandbox, key: &str, result: &Value, nonce: &str) -> Result<Cipher, End> {
    let blob = result["KMSCipherTextKey"].as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
    let mut context =
        vec![("aws:ssm:SessionId", link.session.id.as_str()), ("aws:ssm:TargetId", &link.session.target)];
    if result["ChallengeAcknowledgement"] == true {
        context.push(("aws:ssm:RandomChallenge", nonce));
    }
    let plaintext = blob.and_then(|blob| sandbox.decrypt_data_key(key, &blob, &context));
    plaintext.as_ref().and_then(Cipher::new).ok_or_else(|| {
        failed("Fetching data key failed: Unable to retrieve data key, Error when decrypting data key InvalidCiphertextException: ")
    })
}

/// Has the client prove that it can read and write with the key, then uses it.
async fn challenge(link: &mut Link, mut cipher: Cipher) -> Result<(), End> {
    let secret = random::<64>();
    let sealed = cipher.encrypt(&secret).map(|sealed| BASE64_STANDARD.encode(sealed));
    let body = json!({"Challenge": sealed});
    link.send_whole(PayloadType::EncChallengeRequest, body.to_string().into());
    let right = |answer: &Challenge| {
        let sealed = BASE64_STANDARD.decode(&answer.challenge).ok();
        sealed.and_then(|sealed| cipher.decrypt(&sealed)).is_some_and(|plain| plain == secret[..])
    };
    answer(link, PayloadType::EncChallengeResponse, right).await?;
    link.encrypt(cipher);
    Ok(())
}

/// The client's answer, in time. One that cannot be read or is wrong counts as not received;
/// other input of this time is acknowledged and thrown away.
async fn answer<T: DeserializeOwned>(
    link: &mut Link,
    payload_type: PayloadType,
    right: impl Fn(&T) -> bool,
) -> Result<T, End> {
    let answer = async {
        loop {
            let Some(input) = link.input(true).await? else { continue };
            if input.payload_type != payload_type {
                link.took();
                continue;
            }
            match serde_json::from_slice(&input.payload) {
                Ok(answer) if right(&answer) => {
                    link.took();
                    return Ok(answer);
                }
                _ => link.refuse(),
            }
        }
    };
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|Over| End::Over),
        Err(_) => Err(failed(TIMED_OUT)),
    }
}

fn failed(reason: &str) -> End {
    End::Failed(format!("Encountered error while initiating handshake. {reason}"))
}
