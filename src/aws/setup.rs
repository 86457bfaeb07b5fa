//! Account and region become the SDK's configuration.

use std::path::PathBuf;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_ecs::config::timeout::TimeoutConfig;

use super::error::Keys;
use super::http::{BadCaBundle, Http};
use crate::ecs::AccessKey;
use crate::ui::Explain;

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

/// The SDK's configuration of `account`: its files and the environment as they are now.
pub(super) async fn load(account: &Account, http: &Http) -> SdkConfig {
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
    loader.load().await
}

/// Whose credentials [`load`] finds first.
pub(super) fn keys(account: &Account) -> Keys {
    let exported = || std::env::var_os("AWS_ACCESS_KEY_ID").is_some_and(|id| !id.is_empty());
    match account {
        Account { access_key: Some(_), .. } => Keys::Envfile,
        Account { profile_only: false, .. } if exported() => Keys::Environment,
        _ => Keys::Profile,
    }
}
