//! SigV4 for what the SDK does not send itself: the WebSocket upgrade of a data channel.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

/// A request could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign the request: {0}")]
pub(super) struct SignError(String);

/// The headers that sign a GET of `stream_url` (`wss://…`, as received) at `time` for the
/// message gateway: service `ssmmessages`, empty payload, `host` and what is added here signed.
/// Empty for a URL that is signed already.
///
/// The canonical path is encoded once more than the URL's, and a raw `+` of the query (in
/// `cell-number`) counts as a blank: that is what Amazon's own client signs (measured).
pub(super) fn upgrade_headers(
    stream_url: &str,
    region: &str,
    credentials: &Credentials,
    time: SystemTime,
) -> Result<Vec<(String, String)>, SignError> {
    if is_presigned(stream_url) {
        return Ok(Vec::new());
    }
    // The signature covers host, path and query; aws-sigv4 wants a scheme that it knows.
    let uri = match stream_url.split_once("://") {
        Some(("wss", rest)) => format!("https://{rest}"),
        Some(("ws", rest)) => format!("http://{rest}"),
        _ => return Err(SignError("the stream URL is no WebSocket URL".into())),
    };
    headers("GET", &uri, &[], b"", ("ssmmessages", region), credentials, time)
}

/// The headers that sign a request as given: nothing of its path is normalised.
pub(super) fn headers(
    method: &str,
    uri: &str,
    signed: &[(&str, &str)],
    body: &[u8],
    (service, region): (&str, &str),
    credentials: &Credentials,
    time: SystemTime,
) -> Result<Vec<(String, String)>, SignError> {
    let mut settings = SigningSettings::default();
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|e| SignError(e.to_string()))?
        .into();
    let request = SignableRequest::new(method, uri, signed.iter().copied(), SignableBody::Bytes(body))
        .map_err(|e| SignError(e.to_string()))?;
    let (instructions, _) = sign(request, &params).map_err(|e| SignError(e.to_string()))?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Whether the URL carries a signature of its own: any of these query keys, in exactly this
/// spelling.
fn is_presigned(url: &str) -> bool {
    const KEYS: [&str; 7] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    ];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| KEYS.contains(&pair.split('=').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;
    use serde_json::Value;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/data/signing.json")).unwrap()
    }

    fn text<'a>(value: &'a Value, key: &str) -> &'a str {
        value[key].as_str().unwrap()
    }

    #[test]
    fn upgrades_are_signed_as_amazons_client_signs_them() {
        for case in vectors()["sigv4_websocket_upgrade"].as_array().unwrap() {
            let token = Some(text(case, "session_token")).filter(|t| !t.is_empty()).map(str::to_owned);
            let credentials =
                Credentials::new(text(case, "access_key"), text(case, "secret_key"), token, None, "test");
            let time = DateTime::from_str(text(case, "time"), Format::DateTime).unwrap();
            let mut ours = upgrade_headers(
                text(case, "url"),
                text(case, "region"),
                &credentials,
                SystemTime::try_from(time).unwrap(),
            )
            .unwrap();
            let mut theirs: Vec<_> = case["request_headers_added"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
                .collect();
            ours.sort();
            theirs.sort();
            assert_eq!(ours, theirs, "{}", text(case, "name"));
        }
    }

    #[test]
    fn a_presigned_url_is_left_alone() {
        for case in vectors()["presigned_url_test"].as_array().unwrap() {
            assert_eq!(is_presigned(text(case, "url")), case["presigned"].as_bool().unwrap(), "{case}");
        }
    }
}
