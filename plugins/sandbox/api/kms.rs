//! KMS GenerateDataKey, for encrypted sessions.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::{ApiError, text, unknown};
use crate::sandbox::Sandbox;

pub(super) fn call(sandbox: &Sandbox, operation: &str, body: &Value) -> Result<Value, ApiError> {
    if operation != "GenerateDataKey" {
        return Err(unknown(operation));
    }
    let key = text(body, "KeyId").ok_or_else(|| ApiError::new("ValidationException", "KeyId is missing."))?;
    if !sandbox.world().clusters.iter().any(|cluster| cluster.kms_key.as_deref() == Some(key)) {
        return Err(ApiError::new("NotFoundException", format!("Key '{key}' does not exist")));
    }
    if body["NumberOfBytes"] != 64 {
        return Err(ApiError::new("ValidationException", "The sandbox makes data keys of 64 bytes only."));
    }
    let context: BTreeMap<String, String> =
        serde_json::from_value(body["EncryptionContext"].clone()).unwrap_or_default();
    let (plaintext, blob) = sandbox.generate_data_key(key, context);
    Ok(json!({
        "KeyId": key, "Plaintext": BASE64_STANDARD.encode(plaintext), "CiphertextBlob": BASE64_STANDARD.encode(blob),
    }))
}
