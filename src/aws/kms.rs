//! kms:GenerateDataKey by hand: one signed JSON call. The SDK's KMS crate would add minutes to
//! every build for it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::{base64, body::SdkBody};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};

use super::error::Caller;
use super::http::Http;
use super::sign;
use crate::ecs::{CloudError, CloudErrorKind as Kind, DataKey, Partition};

const OPERATION: &str = "kms:GenerateDataKey";
/// A data key's answer is a few hundred bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// KMS' address in `region`.
pub(super) fn endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let fips = if fips { "-fips" } else { "" };
    let partition = Partition::of(region);
    let suffix = if dual_stack { partition.dual_stack_dns_suffix } else { partition.dns_suffix };
    format!("https://kms{fips}.{region}.{suffix}/")
}

/// A fresh 64-byte key under `key_id` and `context`.
pub(super) async fn generate_data_key(
    http: &Http,
    endpoint: &str,
    caller: &Caller,
    credentials: &Credentials,
    key_id: &str,
    context: &BTreeMap<String, String>,
) -> Result<DataKey, CloudError> {
    let other = |message: String| CloudError::new(OPERATION, Kind::Other, message);
    let body = json!({ "KeyId": key_id, "NumberOfBytes": 64, "EncryptionContext": context }).to_string();
    let request = request(endpoint, caller, credentials, &body).map_err(other)?;
    let response = http.send(request).await.map_err(|e| caller.network(OPERATION, &e))?;
    let success = response.status().is_success();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
    let body = body.map_err(|e| other(format!("the answer cannot be read: {e}")))?.to_bytes();
    let answer: Value =
        serde_json::from_slice(&body).map_err(|e| other(format!("the answer is not JSON: {e}")))?;
    if !success {
        // `com.amazonaws.kms#NotFoundException` and the like.
        let code = answer["__type"].as_str().and_then(|code| code.rsplit('#').next());
        let message = answer["message"].as_str().or(answer["Message"].as_str());
        return Err(caller.answered(OPERATION, code, message));
    }
    let blob = |key: &str| answer[key].as_str().and_then(|text| base64::decode(text).ok());
    let (Some(plaintext), Some(ciphertext)) = (blob("Plaintext"), blob("CiphertextBlob")) else {
        return Err(other("the answer holds no key".into()));
    };
    let length = plaintext.len();
    let plaintext =
        plaintext.try_into().map_err(|_| other(format!("the key is {length} bytes long, not 64")))?;
    Ok(DataKey { plaintext, ciphertext })
}

fn request(
    endpoint: &str,
    caller: &Caller,
    credentials: &Credentials,
    body: &str,
) -> Result<HttpRequest, String> {
    let headers =
        [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.GenerateDataKey")];
    let scope = ("kms", caller.region.as_str());
    let now = SystemTime::now();
    let signature = sign::headers("POST", endpoint, &headers, body.as_bytes(), scope, credentials, now)
        .map_err(|e| e.to_string())?;
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method("POST").map_err(|e| e.to_string())?;
    request.set_uri(endpoint).map_err(|e| e.to_string())?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    for (name, value) in signature {
        request.headers_mut().try_insert(name, value).map_err(|e| e.to_string())?;
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_follows_partition_fips_and_dual_stack() {
        assert_eq!(endpoint("eu-west-1", false, false), "https://kms.eu-west-1.amazonaws.com/");
        assert_eq!(endpoint("us-gov-west-1", true, false), "https://kms-fips.us-gov-west-1.amazonaws.com/");
        assert_eq!(endpoint("us-east-1", false, true), "https://kms.us-east-1.api.aws/");
        assert_eq!(endpoint("eusc-de-east-1", false, false), "https://kms.eusc-de-east-1.amazonaws.eu/");
        assert_eq!(endpoint("us-isof-south-1", false, false), "https://kms.us-isof-south-1.csp.hci.ic.gov/");
        assert_eq!(endpoint("us-iso-east-1", true, true), "https://kms-fips.us-iso-east-1.api.aws.ic.gov/");
        assert_eq!(endpoint("cn-north-1", false, false), "https://kms.cn-north-1.amazonaws.com.cn/");
    }
}
