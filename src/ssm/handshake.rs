//! What an agent asks for at the start of a session, and the answer (protocol.md section 4).
//!
//! Pure: request in, response out. The channel sends it, once.

use serde_json::Value;

use super::body::{
    Base64, HandshakeRequest, HandshakeResponse, KmsParameters, KmsResult, ProcessedAction, RequestedAction,
    SessionTypeParameters,
};
use super::channel::{Key, Kind};

/// The version this client gives: high enough for smux and for agents to leave keep-alives off.
pub const CLIENT_VERSION: &str = "1.2.764.0";

const SUCCESS: i64 = 1;
const FAILED: i64 = 2;
const UNSUPPORTED: i64 = 3;

/// What an agent offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The agent's version.
    pub agent_version: String,
    /// What kind of session this will be.
    pub kind: Kind,
    /// The key that is to encrypt it.
    pub encryption: Option<KmsParameters>,
    actions: Vec<RequestedAction>,
}

impl Offer {
    /// Reads a handshake request.
    pub fn new(request: HandshakeRequest) -> Self {
        let parameters = |wanted| {
            let mut actions = request.requested_client_actions.iter();
            actions.find(|action| action.action_type == wanted).map(|action| &action.action_parameters)
        };
        let kind =
            parameters("SessionType").and_then(|value| session_kind(value, &request.agent_version).ok());
        let encryption = parameters("KMSEncryption").and_then(|value| parse(value).ok());
        Self {
            kind: kind.unwrap_or(Kind::Shell),
            encryption,
            agent_version: request.agent_version,
            actions: request.requested_client_actions,
        }
    }

    /// The answer. `key` is what became of the key that [`Self::encryption`] names, `None` if none was asked for.
    pub fn answer(&self, key: Option<&Result<Key, String>>) -> HandshakeResponse {
        let processed: Vec<_> = self.actions.iter().map(|action| self.process(action, key)).collect();
        let errors: Vec<_> = processed
            .iter()
            .filter(|action| !action.error.is_empty())
            .map(|action| action.error.clone())
            .collect();
        HandshakeResponse {
            client_version: CLIENT_VERSION.to_owned(),
            processed_client_actions: processed,
            errors: (!errors.is_empty()).then_some(errors),
        }
    }

    fn process(&self, action: &RequestedAction, key: Option<&Result<Key, String>>) -> ProcessedAction {
        let (action_status, action_result, error) = match action.action_type.as_str() {
            "SessionType" => match session_kind(&action.action_parameters, &self.agent_version) {
                Ok(_) => (SUCCESS, Value::Null, String::new()),
                Err(error) => (FAILED, Value::Null, format!("Failed to process action SessionType: {error}")),
            },
            "KMSEncryption" => match key {
                Some(Ok(key)) => (SUCCESS, kms_result(key), String::new()),
                Some(Err(error)) => {
                    (FAILED, Value::Null, format!("Failed to process action KMSEncryption: {error}"))
                }
                None => (
                    FAILED,
                    Value::Null,
                    "Failed to process action KMSEncryption: its parameters cannot be read".to_owned(),
                ),
            },
            other => (UNSUPPORTED, Value::Null, format!("Unsupported action {other}")),
        };
        ProcessedAction { action_type: action.action_type.clone(), action_status, action_result, error }
    }
}

fn kms_result(key: &Key) -> Value {
    let result = KmsResult {
        ciphertext_key: Base64(key.ciphertext.clone()),
        ciphertext_hash: None,
        challenge_acknowledgement: key.challenge_acknowledged,
    };
    serde_json::to_value(result).unwrap_or_default()
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn session_kind(parameters: &Value, agent_version: &str) -> Result<Kind, String> {
    let parameters: SessionTypeParameters = parse(parameters)?;
    match parameters.session_type.as_str() {
        "Standard_Stream" | "InteractiveCommands" | "NonInteractiveCommands" => Ok(Kind::Shell),
        "Port" if parameters.properties["type"] != "LocalPortForwarding" => Ok(Kind::Raw),
        "Port" if supports_mux(agent_version) => {
            Ok(Kind::Mux { keep_alive: !disables_keep_alive(agent_version) })
        }
        "Port" => Ok(Kind::Basic { terminate_flag: supports_terminate_flag(agent_version) }),
        other => Err(format!("Unknown session type {other}")),
    }
}

/// Whether this agent takes the flag TerminateSession.
pub fn supports_terminate_flag(agent_version: &str) -> bool {
    is_later(agent_version, [2, 3, 722, 0])
}

/// Whether this agent speaks smux in port sessions.
pub fn supports_mux(agent_version: &str) -> bool {
    is_later(agent_version, [3, 0, 196, 0])
}

/// Whether this agent, knowing our version, neither sends nor expects smux NOPs.
pub fn disables_keep_alive(agent_version: &str) -> bool {
    is_later(agent_version, [3, 1, 1511, 0])
}

/// Strictly later. Four parts, read only as far as they decide, as Amazon's client does.
fn is_later(version: &str, than: [u64; 4]) -> bool {
    let parts: Vec<_> = version.split('.').collect();
    if parts.len() != than.len() {
        return false;
    }
    for (part, than) in parts.into_iter().zip(than) {
        match part.parse::<u64>() {
            Ok(part) if part == than => {}
            Ok(part) => return part > than,
            Err(_) => return false,
        }
    }
    false
}
