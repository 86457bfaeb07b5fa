//! The one module that knows the AWS SDK; [`Aws`] implements [`Cloud`](crate::ecs::Cloud) with it.

mod cloud;
mod credentials;
mod error;
mod http;
mod kms;
mod sign;

use std::path::PathBuf;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;

pub use http::BadCaBundle;

use crate::ecs::AccessKey;
use crate::ui::Explain;
use credentials::Remembered;
use error::Caller;
use http::Http;

/// Which account and region to talk to; `None` leaves it to the SDK's own chain (environment,
/// profile, instance).
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Region.
    pub region: Option<String>,
    /// Profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// The profile was asked for just now: its credentials are taken though the environment
    /// holds others, as Amazon's CLI does for `--profile` and not for `AWS_PROFILE`.
    pub profile_only: bool,
    /// Credentials that need no looking up.
    pub access_key: Option<AccessKey>,
    /// PEM file that replaces the system's certificates (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<PathBuf>,
    /// Leave WebSocket upgrades unsigned (`SSM_PLUGIN_SKIP_CLIENT_CONFIGURE=true`).
    pub unsigned_upgrades: bool,
}

/// AWS, as one caller in one region sees it. Clients, signatures and retries share one HTTP
/// client and one memory of credentials.
#[derive(Debug)]
pub struct Aws {
    caller: Caller,
    ecs: aws_sdk_ecs::Client,
    ssm: aws_sdk_ssm::Client,
    kms_endpoint: String,
    http: Http,
    credentials: Option<SharedCredentialsProvider>,
    unsigned_upgrades: bool,
}

/// AWS cannot even be called.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Neither flags, environment, project nor profile name a region.
    #[error("no AWS region is named by flags, environment, project or profile")]
    NoRegion,
    /// `AWS_CA_BUNDLE` cannot be used.
    #[error(transparent)]
    CaBundle(#[from] BadCaBundle),
}

impl Explain for SetupError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoRegion => {
                vec![
                    "name it: --region REGION, AWS_REGION, region in ecspresso.yml, or in the profile".into(),
                ]
            }
            Self::CaBundle(_) => vec!["unset AWS_CA_BUNDLE, or name a PEM file with it".into()],
        }
    }
}

impl Aws {
    /// Reads the AWS configuration (files and environment); asks AWS for nothing.
    pub async fn new(account: &Account) -> Result<Self, SetupError> {
        let http = Http::new(account.ca_bundle.as_deref())?;
        let timeouts = TimeoutConfig::builder()
            .read_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_secs(90))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .timeout_config(timeouts);
        if let Ok(name) = AppName::new("ecsx") {
            loader = loader.app_name(name);
        }
        if let Some(region) = &account.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &account.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(profile) = account.profile.as_ref().filter(|_| account.profile_only) {
            let region = account.region.clone().map(Region::new);
            let basis = ProviderConfig::default().with_http_client(http.clone()).with_region(region);
            let provider = ProfileFileCredentialsProvider::builder().configure(&basis).profile_name(profile);
            loader = loader.credentials_provider(provider.build());
        }
        if let Some(AccessKey { id, secret, session_token }) = account.access_key.clone() {
            loader = loader.credentials_provider(Credentials::new(id, secret, session_token, None, "given"));
        }
        let config = loader.load().await;
        let credentials =
            config.credentials_provider().map(|chain| SharedCredentialsProvider::new(Remembered::new(chain)));
        let mut builder = config.to_builder();
        builder.set_credentials_provider(credentials.clone());
        // ListTasks and DescribeTasks are throttled per account: worth more than the default 3
        // attempts, unless the environment or the profile says how many.
        if let Some(retries) = config.retry_config().filter(|r| r.max_attempts() == 3) {
            builder.set_retry_config(Some(retries.clone().with_max_attempts(5)));
        }
        let config = builder.build();
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(SetupError::NoRegion);
        };

        let overridden = |service| endpoint_override(&config, service);
        let kms_endpoint = overridden("KMS").unwrap_or_else(|| {
            let (fips, dual) = (config.use_fips(), config.use_dual_stack());
            kms::endpoint(&region, fips.unwrap_or_default(), dual.unwrap_or_default())
        });
        let endpoint = overridden("SSM").or_else(|| overridden("ECS"));
        Ok(Self {
            caller: Caller { region, profile: account.profile.clone(), endpoint },
            ecs: aws_sdk_ecs::Client::new(&config),
            ssm: aws_sdk_ssm::Client::new(&config),
            kms_endpoint,
            http,
            credentials,
            unsigned_upgrades: account.unsigned_upgrades,
        })
    }
}

/// `AWS_ENDPOINT_URL_SERVICE`, `AWS_ENDPOINT_URL` or the profile's `endpoint_url`, as the SDK
/// reads them.
fn endpoint_override(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config.service_config().and_then(|services| services.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}
