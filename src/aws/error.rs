//! What went wrong with a call, and what the person at the keyboard can do about it.

use std::error::Error;
use std::fmt::Debug;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};

use super::credentials;
use crate::ecs::{CloudError, CloudErrorKind as Kind};

/// Who called whom: what hints are made from.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) region: String,
    pub(super) profile: Option<String>,
    pub(super) keys: Keys,
    /// The overriding endpoint, if there is one.
    pub(super) endpoint: Option<String>,
}

/// Where credentials come from, as far as it can be told before they are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// `AWS_ACCESS_KEY_ID`.
    Environment,
    /// The project's envfile.
    Envfile,
    /// A profile: keys, SSO, a role, a process; or what the machine itself has.
    Profile,
}

impl Caller {
    /// An SDK call's failure as a [`CloudError`].
    pub(super) fn error<E, R>(&self, operation: &'static str, error: &SdkError<E, R>) -> CloudError
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + 'static,
    {
        match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                self.answered(operation, meta.code(), meta.message())
            }
            SdkError::ResponseError(_) => CloudError {
                hints: vec!["is a proxy in the way, or the endpoint not AWS'?".into()],
                ..CloudError::new(
                    operation,
                    Kind::Other,
                    format!("the answer cannot be read: {}", chain(error)),
                )
            },
            _ => match credentials::failure(error) {
                Some(failure) => self.credentials(operation, failure),
                None => self.network(operation, error),
            },
        }
    }

    /// AWS answered with an error.
    pub(super) fn answered(
        &self,
        operation: &'static str,
        code: Option<&str>,
        message: Option<&str>,
    ) -> CloudError {
        let kind = code.map_or(Kind::Other, kind);
        let message = match (message.filter(|m| !m.is_empty()), code) {
            (Some(message), _) => message.trim_end_matches('.').to_owned(),
            (None, Some(code)) => code.to_owned(),
            (None, None) => "AWS gave no reason".to_owned(),
        };
        let hints = self.hints(operation, kind, code.unwrap_or_default(), &message);
        CloudError { operation, kind, code: code.map(str::to_owned), message, hints }
    }

    fn hints(&self, operation: &str, kind: Kind, code: &str, message: &str) -> Vec<String> {
        match kind {
            Kind::AccessDenied => {
                // AWS names the action that was really missing, if it says so at all.
                let action = message
                    .split_once("not authorized to perform: ")
                    .and_then(|(_, rest)| rest.split([' ', ',']).next())
                    .unwrap_or(operation);
                vec![format!("the caller needs the IAM permission {action}{}", self.who())]
            }
            Kind::BadCredentials if code.contains("Expired") => vec![self.sign_in()],
            Kind::BadCredentials => vec![
                format!("AWS does not accept the credentials{}: right account, right keys?", self.whose()),
                "a clock that is minutes off makes signatures invalid too".into(),
            ],
            Kind::TargetNotConnected => vec![
                "the task's ECS Exec agent is not connected: it may still be starting, or have stopped".into(),
                "the task role needs ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and \
                 OpenDataChannel"
                    .into(),
                "the task needs a way to ssmmessages: NAT, or a VPC endpoint for it".into(),
            ],
            Kind::NotFound => vec![format!("the call went to region {}; --region names another", self.region)],
            Kind::Throttled => vec!["too many calls in this account just now; try again".into()],
            Kind::Invalid if operation == "ecs:ExecuteCommand" => vec![
                "a task that was started before execute-command was on has no agent: start a new one".into(),
            ],
            Kind::Other if is_aws_own_fault(code) => vec!["AWS itself has failed: try again".into()],
            Kind::Invalid | Kind::Other | Kind::NoCredentials | Kind::Network => Vec::new(),
        }
    }

    /// The credential chain failed.
    pub(super) fn credentials(&self, operation: &'static str, error: &CredentialsError) -> CloudError {
        let said = chain(error);
        let lower = said.to_lowercase();
        let (kind, hint) = match error {
            // The instance's metadata is the last that is tried: nothing was found before.
            _ if lower.contains("imds") => (Kind::NoCredentials, GET_SOME.to_owned()),
            _ if credentials::is_out_of_reach(error) => (Kind::Network, self.what_is_in_the_way(&lower)),
            _ if lower.contains("sso") => (Kind::BadCredentials, self.sign_in()),
            CredentialsError::CredentialsNotLoaded(_) => (Kind::NoCredentials, GET_SOME.to_owned()),
            CredentialsError::InvalidConfiguration(_) => (
                Kind::BadCredentials,
                format!("look into ~/.aws/config and ~/.aws/credentials{}", self.who()),
            ),
            _ => (Kind::BadCredentials, format!("try: aws sts get-caller-identity{}", self.profile_option())),
        };
        let message = match (kind, &self.profile) {
            (Kind::NoCredentials, Some(profile)) => {
                format!("no AWS credentials for profile {profile}: {said}")
            }
            (Kind::NoCredentials, None) => "no AWS credentials found".to_owned(),
            _ => format!("cannot get AWS credentials: {said}"),
        };
        let profiles = (kind == Kind::NoCredentials && self.profile.is_some())
            .then(|| "is there such a profile? aws configure list-profiles shows them".to_owned());
        let hints = profiles.into_iter().chain([hint]).collect();
        CloudError { hints, ..CloudError::new(operation, kind, message) }
    }

    /// No answer came.
    pub(super) fn network(&self, operation: &'static str, error: &(dyn Error + 'static)) -> CloudError {
        let said = chain(error);
        let hint = match &self.endpoint {
            Some(endpoint) => {
                format!("the endpoint is overridden: {endpoint} (AWS_ENDPOINT_URL or the profile); is it up?")
            }
            None => self.what_is_in_the_way(&said.to_lowercase()),
        };
        let message = format!("no answer from AWS in {}: {said}", self.region);
        CloudError { hints: vec![hint], ..CloudError::new(operation, Kind::Network, message) }
    }

    /// By what was said, in lower case.
    fn what_is_in_the_way(&self, lower: &str) -> String {
        if lower.contains("certificate") {
            "behind a proxy that opens TLS? name its certificates with AWS_CA_BUNDLE".to_owned()
        } else if lower.contains("dns") || lower.contains("lookup") {
            format!("is {} a region, and the network up?", self.region)
        } else {
            "is the network up? a proxy is named with HTTPS_PROXY".to_owned()
        }
    }

    fn sign_in(&self) -> String {
        let renew = match self.keys {
            Keys::Environment => "export new ones, or unset them and sign in with a profile (aws sso login)",
            Keys::Envfile => "put new ones there",
            Keys::Profile => return format!("sign in again: aws sso login{}", self.profile_option()),
        };
        format!("the credentials are those{}: {renew}", self.whose())
    }

    /// ` of the envfile`.
    fn whose(&self) -> String {
        match self.keys {
            Keys::Environment => " of AWS_ACCESS_KEY_ID in the environment".to_owned(),
            Keys::Envfile => " of the envfile".to_owned(),
            Keys::Profile => self.profile.as_ref().map(|p| format!(" of profile {p}")).unwrap_or_default(),
        }
    }

    fn profile_option(&self) -> String {
        self.profile.as_ref().map(|p| format!(" --profile {p}")).unwrap_or_default()
    }

    fn who(&self) -> String {
        self.profile.as_ref().map(|p| format!(" (profile {p})")).unwrap_or_default()
    }
}

/// AWS' codes, with and without the `Exception` that some protocols add.
fn kind(code: &str) -> Kind {
    match code.strip_suffix("Exception").unwrap_or(code) {
        "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "Unauthorized" => Kind::AccessDenied,
        "ExpiredToken"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "RequestExpired"
        | "InvalidAccessKeyId"
        | "AuthFailure" => Kind::BadCredentials,
        "ClusterNotFound" | "ServiceNotFound" | "ServiceNotActive" | "ResourceNotFound" | "DoesNotExist"
        | "NotFound" => Kind::NotFound,
        "TargetNotConnected" => Kind::TargetNotConnected,
        "Throttling"
        | "ThrottledException"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "Throttled"
        | "RequestThrottled" => Kind::Throttled,
        "InvalidParameter" | "Validation" | "Client" | "InvalidDocument" | "InvalidParameters"
        | "UnsupportedFeature" => Kind::Invalid,
        _ => Kind::Other,
    }
}

fn is_aws_own_fault(code: &str) -> bool {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    matches!(
        code,
        "Server" | "InternalServerError" | "InternalFailure" | "InternalError" | "ServiceUnavailable"
    )
}

/// What somebody without credentials can do.
const GET_SOME: &str = "name a profile (--profile, AWS_PROFILE), sign in (aws sso login, aws configure) or export \
                        AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The SDK's own layers, which say nothing to a person.
const LAYERS: [&str; 7] = [
    "dispatch failure",
    "service error",
    "other",
    "io error",
    "unhandled error",
    "client error (Connect)",
    "an error occurred while loading credentials",
];

/// The error and its causes in one line, each said once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    for cause in std::iter::successors(Some(error), |&e| e.source()) {
        let text = cause.to_string();
        if LAYERS.contains(&text.as_str()) {
            continue;
        }
        if said.is_empty() {
            said = text;
        } else if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
    }
    said
}
