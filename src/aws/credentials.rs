//! Credentials, looked up once and kept until they are about to expire or AWS refuses them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use tokio::sync::Mutex;

use super::http::Http;
use super::setup::{self, Account};

/// The SDK's own chain (environment, profile, SSO, assumed role, web identity, process,
/// container, instance) behind a memory that the clients and the signing of upgrades share.
#[derive(Debug)]
pub(super) struct Remembered {
    account: Account,
    http: Http,
    refused: AtomicBool,
    found: AtomicBool,
    kept: Mutex<Kept>,
}

/// What is known for now.
#[derive(Debug, Default)]
struct Kept {
    /// It has read its files, and does not read them again.
    chain: Option<SharedCredentialsProvider>,
    last: Option<Credentials>,
}

/// Credentials that live no longer than this are fetched anew.
const MARGIN: Duration = Duration::from_secs(60);

impl Remembered {
    /// `chain`: of `account`, if it was made already.
    pub(super) fn new(account: Account, http: Http, chain: Option<SharedCredentialsProvider>) -> Self {
        let kept = Mutex::new(Kept { chain, last: None });
        Self { account, http, refused: AtomicBool::new(false), found: AtomicBool::new(false), kept }
    }

    /// AWS does not take them (any more). Somebody may have renewed them: files and all are
    /// read again.
    pub(super) fn forget(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether there ever were any.
    pub(super) fn were_found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    async fn credentials(&self) -> provider::Result {
        let mut kept = self.kept.lock().await;
        if self.refused.swap(false, Ordering::Relaxed) {
            *kept = Kept::default();
        }
        let outlives = |known: &&Credentials, margin| {
            known.expiry().is_none_or(|expiry| expiry > SystemTime::now() + margin)
        };
        if let Some(known) = kept.last.as_ref().filter(|known| outlives(known, MARGIN)) {
            return Ok(known.clone());
        }
        let chain = match &kept.chain {
            Some(chain) => Some(chain.clone()),
            None => setup::load(&self.account, &self.http).await.credentials_provider(),
        };
        let chain = chain.ok_or_else(|| CredentialsError::not_loaded("there is no credentials provider"))?;
        match chain.provide_credentials().await {
            Ok(fresh) => {
                *kept = Kept { chain: Some(chain), last: Some(fresh.clone()) };
                self.found.store(true, Ordering::Relaxed);
                Ok(fresh)
            }
            Err(error) => {
                kept.chain = None;
                // Out of reach for a moment, and what is known still holds.
                kept.last.clone().filter(|known| outlives(&known, Duration::ZERO)).ok_or(error)
            }
        }
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

/// Whether the chain failed because something could not be reached: SSO or STS, say. Not the
/// instance's metadata: those are asked last, and nearly nowhere there.
pub(super) fn is_out_of_reach(error: &CredentialsError) -> bool {
    let error: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(error), |&e| e.source())
        .any(|e| e.downcast_ref::<ConnectorError>().is_some_and(|e| e.is_io() || e.is_timeout()))
}
