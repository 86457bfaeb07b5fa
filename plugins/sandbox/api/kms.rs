//! KMS GenerateDataKey, for encrypted sessions.

use serde_json::Value;

use super::{ApiError, unknown};
use crate::sandbox::Sandbox;

pub(super) fn call(_sandbox: &Sandbox, operation: &str, _body: &Value) -> Result<Value, ApiError> {
    Err(unknown(operation))
}
