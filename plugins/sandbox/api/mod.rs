//! The AWS APIs: JSON 1.1 for ECS, SSM and KMS, query and XML for STS.

mod ecs;
mod kms;
mod ssm;
mod sts;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// An error in AWS' shape.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }
}

/// Who calls, from the Authorization header.
struct Caller {
    region: String,
}

/// An answer, ready for HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

/// Answers one call. `target` is the `X-Amz-Target` header; without it the call is STS'.
pub(crate) async fn call(
    sandbox: &Sandbox,
    target: Option<&str>,
    authorization: Option<&str>,
    body: &[u8],
) -> Answer {
    let (service, operation) = match target {
        Some(target) => target.split_once('.').unwrap_or((target, "")),
        None => ("sts", sts::operation(body)),
    };
    let result = match fault(sandbox, operation).await.and_then(|()| caller(sandbox, authorization)) {
        Err(error) => Err(error),
        Ok(caller) => match service {
            "sts" => return sts::answer(sandbox, operation),
            "AmazonEC2ContainerServiceV20141113" => {
                parse(body).and_then(|body| ecs::call(sandbox, &caller, operation, &body))
            }
            "AmazonSSM" => parse(body).and_then(|body| ssm::call(sandbox, &caller, operation, &body)),
            "TrentService" => parse(body).and_then(|body| kms::call(sandbox, operation, &body)),
            _ => Err(unknown(operation)),
        },
    };
    let content_type = "application/x-amz-json-1.1";
    match result {
        Ok(body) => Answer { status: 200, content_type, body: body.to_string() },
        Err(error) if service == "sts" => sts::failure(&error),
        Err(error) => Answer {
            status: error.status,
            content_type,
            body: json!({"__type": error.code, "message": error.message}).to_string(),
        },
    }
}

/// Counts the call and meets the fault set for it.
async fn fault(sandbox: &Sandbox, operation: &str) -> Result<(), ApiError> {
    *sandbox.calls().entry(operation.to_owned()).or_default() += 1;
    let Some(fault) = sandbox.faults().api(operation) else { return Ok(()) };
    if fault.delay_ms > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(fault.delay_ms)).await;
    }
    match fault.code {
        None => Ok(()),
        Some(code) => Err(ApiError { status: fault.status.unwrap_or(400), code, message: fault.message }),
    }
}

/// Reads who signed. Signatures of API calls are not verified, keys and regions are looked at.
fn caller(sandbox: &Sandbox, authorization: Option<&str>) -> Result<Caller, ApiError> {
    let Some(authorization) = authorization else {
        return Err(ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    let credential = authorization.split(['=', ',', ' ']).skip_while(|word| *word != "Credential").nth(1);
    let mut scope = credential.unwrap_or_default().split('/');
    let (key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
    match key {
        key if key == sandbox.access_key_id() => Ok(Caller { region: region.to_owned() }),
        key if key.contains("EXPIRED") || sandbox.has_expired(key) => Err(ApiError::new(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        )),
        _ => Err(ApiError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )),
    }
}

fn parse(body: &[u8]) -> Result<Value, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        _ => Err(ApiError::new("SerializationException", "The request body is not a JSON object.")),
    }
}

fn unknown(operation: &str) -> ApiError {
    ApiError::new(
        "UnknownOperationException",
        format!("The sandbox does not know the operation {operation:?}."),
    )
}

/// A string field of a request; empty counts as absent.
fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body[field].as_str().filter(|text| !text.is_empty())
}

/// The strings of a list field.
fn texts<'a>(body: &'a Value, field: &str) -> Vec<&'a str> {
    body[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Seconds since 1970, as AWS JSON has dates.
fn date(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64 / 1000.0)
}

/// One page of a list, and the token of the next. `size` is what ECS gives if nothing is asked.
fn page<T>(
    sandbox: &Sandbox,
    body: &Value,
    size: usize,
    items: Vec<T>,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    let asked = match &body["maxResults"] {
        Value::Null => size,
        given => match given.as_u64() {
            Some(given @ 1..=100) => given as usize,
            _ => return Err(ApiError::invalid("maxResults must be from 1 to 100.")),
        },
    };
    let size = asked.min(sandbox.faults().page_size.unwrap_or(100).max(1));
    let start = match text(body, "nextToken") {
        None => 0,
        Some(token) => token
            .strip_prefix("from-")
            .and_then(|start| start.parse().ok())
            .filter(|start| *start <= items.len())
            .ok_or_else(|| ApiError::invalid("Invalid token."))?,
    };
    let end = items.len().min(start + size);
    let next = (end < items.len()).then(|| format!("from-{end}"));
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}
