//! Credentials, looked up once and kept until they are about to expire.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use tokio::sync::Mutex;

/// The SDK's own chain (environment, profile, SSO, assumed role, web identity, process,
/// container, instance) behind a memory that the clients and the signing of upgrades share.
#[derive(Debug)]
pub(super) struct Remembered {
    chain: SharedCredentialsProvider,
    last: Mutex<Option<Credentials>>,
}

/// Credentials that live no longer than this are fetched anew.
const MARGIN: Duration = Duration::from_secs(60);

impl Remembered {
    pub(super) fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, last: Mutex::new(None) }
    }

    async fn credentials(&self) -> provider::Result {
        let mut last = self.last.lock().await;
        if let Some(known) = &*last
            && known.expiry().is_none_or(|expiry| expiry > SystemTime::now() + MARGIN)
        {
            return Ok(known.clone());
        }
        let fresh = self.chain.provide_credentials().await?;
        *last = Some(fresh.clone());
        Ok(fresh)
    }
}

impl ProvideCredentials for Remembered {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

/// The error of the credential chain in `error`, if that is what failed.
pub(super) fn failure<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CredentialsError> {
    std::iter::successors(Some(error), |&e| e.source()).find_map(|e| e.downcast_ref())
}
