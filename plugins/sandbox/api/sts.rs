//! STS GetCallerIdentity: query in, XML out.

use super::{Answer, ApiError};
use crate::sandbox::Sandbox;

/// The `Action` of a form body.
pub(super) fn operation(body: &[u8]) -> &str {
    let form = std::str::from_utf8(body).unwrap_or_default();
    form.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default()
}

pub(super) fn answer(sandbox: &Sandbox, operation: &str) -> Answer {
    if operation != "GetCallerIdentity" {
        return failure(&ApiError::new("InvalidAction", format!("Could not find operation {operation:?}")));
    }
    let account = &sandbox.world().account;
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/sandbox</Arn><UserId>AIDASANDBOX</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    Answer { status: 200, content_type: "text/xml", body }
}

pub(super) fn failure(error: &ApiError) -> Answer {
    // STS' own names of the errors that the JSON services spell with Exception.
    let code = match error.code.as_str() {
        "ExpiredTokenException" => "ExpiredToken",
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "MissingAuthenticationTokenException" => "MissingAuthenticationToken",
        code => code,
    };
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{}</Message></Error></ErrorResponse>",
        error.message.replace('&', "&amp;").replace('<', "&lt;")
    );
    let status = if error.status == 400 { 403 } else { error.status };
    Answer { status, content_type: "text/xml", body }
}
