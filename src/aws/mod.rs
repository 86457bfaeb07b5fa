//! The one module that knows the AWS SDK; [`Aws`] implements [`Cloud`](crate::ecs::Cloud) with it.

mod cloud;
mod credentials;
mod error;
mod http;
mod kms;
mod setup;
mod sign;

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ecs::config::IdentityCache;
use aws_types::service_config::ServiceConfigKey;

pub use http::BadCaBundle;
pub use setup::{Account, SetupError};

use credentials::Remembered;
use error::Caller;
use http::Http;

/// AWS, as one caller in one region sees it. Clients, signatures and retries share one HTTP
/// client and one memory of credentials.
#[derive(Debug)]
pub struct Aws {
    caller: Caller,
    ecs: aws_sdk_ecs::Client,
    ssm: aws_sdk_ssm::Client,
    kms_endpoint: String,
    http: Http,
    credentials: Arc<Remembered>,
    unsigned_upgrades: bool,
}

impl Aws {
    /// Reads the AWS configuration (files and environment); asks AWS for nothing.
    pub async fn new(account: &Account) -> Result<Self, SetupError> {
        let http = Http::new(account.ca_bundle.as_deref())?;
        let config = setup::load(account, &http).await;
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(SetupError::NoRegion);
        };
        let account = Account { region: Some(region.clone()), ..account.clone() };
        let credentials = Remembered::new(account.clone(), http.clone(), config.credentials_provider());
        let credentials = Arc::new(credentials);
        let mut builder = config.to_builder();
        let shared: Arc<dyn ProvideCredentials> = credentials.clone();
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(shared)));
        // The SDK's own would go on with what AWS has refused.
        builder.set_identity_cache(Some(IdentityCache::no_cache()));
        // ListTasks and DescribeTasks are throttled per account: worth more than the default 3
        // attempts, unless the environment or the profile says how many.
        if let Some(retries) = config.retry_config().filter(|r| r.max_attempts() == 3) {
            builder.set_retry_config(Some(retries.clone().with_max_attempts(5)));
        }
        let config = builder.build();

        let overridden = |service| endpoint_override(&config, service);
        let kms_endpoint = overridden("KMS").unwrap_or_else(|| {
            let (fips, dual) = (config.use_fips(), config.use_dual_stack());
            kms::endpoint(&region, fips.unwrap_or_default(), dual.unwrap_or_default())
        });
        let endpoint = overridden("SSM").or_else(|| overridden("ECS"));
        Ok(Self {
            caller: Caller { region, keys: setup::keys(&account), profile: account.profile, endpoint },
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
