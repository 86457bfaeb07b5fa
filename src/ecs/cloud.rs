//! What ecsx needs from a cloud. `aws` implements it with the SDK; tests implement it by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use super::{Service, Task};
use crate::ui::Explain;

/// An open session's way in: what StartSession, ExecuteCommand and ResumeSession answer.
#[derive(Clone)]
pub struct Ticket {
    /// Session id, for ResumeSession and TerminateSession.
    pub session_id: String,
    /// `wss://…` stream URL, exactly as received.
    pub stream_url: String,
    /// Secret token for the open message.
    pub token: String,
}

impl fmt::Debug for Ticket {
    /// Shows the session id only: URL and token let anybody in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// Long-lived or temporary AWS credentials.
#[derive(Clone)]
pub struct AccessKey {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
    /// Session token, of temporary ones.
    pub session_token: Option<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A KMS data key for an encrypted session.
pub struct DataKey {
    /// 64 bytes: the first half decrypts, the second encrypts (client's view).
    pub plaintext: [u8; 64],
    /// The same key as KMS encrypted it, for the agent.
    pub ciphertext: Vec<u8>,
}

/// What kind of failure a [`CloudError`] is: what callers decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudErrorKind {
    /// No credentials were found.
    NoCredentials,
    /// Credentials are expired or refused.
    BadCredentials,
    /// The caller may not do this.
    AccessDenied,
    /// Cluster, service, task or session does not exist.
    NotFound,
    /// The target's agent is not connected (TargetNotConnectedException).
    TargetNotConnected,
    /// Too many requests, after the SDK's own retries.
    Throttled,
    /// The request itself is wrong.
    Invalid,
    /// No answer: name resolution, connection, TLS, timeout.
    Network,
    /// Anything else.
    Other,
}

/// A call to AWS that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} failed: {message}")]
pub struct CloudError {
    /// `ecs:DescribeTasks` and so on, as IAM names it.
    pub operation: &'static str,
    /// What to decide on.
    pub kind: CloudErrorKind,
    /// AWS' error code, `ClusterNotFoundException` and the like, where there was one.
    pub code: Option<String>,
    /// For people: AWS' own message.
    pub message: String,
    /// For people: what to try next.
    pub hints: Vec<String>,
}

impl CloudError {
    /// A failure without a code or hints.
    pub fn new(operation: &'static str, kind: CloudErrorKind, message: impl Into<String>) -> Self {
        Self { operation, kind, code: None, message: message.into(), hints: Vec::new() }
    }
}

impl Explain for CloudError {
    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

/// The calls ecsx makes. Clusters, services and tasks may be names or ARNs.
///
/// Every list is complete: paging is the implementation's business, and so are retries of
/// throttled calls.
pub trait Cloud: Send + Sync + 'static {
    /// The region calls go to.
    fn region(&self) -> &str;

    /// Whether an endpoint was overridden (then a stream URL may be on loopback).
    fn endpoint_overridden(&self) -> bool;

    /// ARNs of the clusters.
    fn list_clusters(&self) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;

    /// ARNs of a cluster's services.
    fn list_services(&self, cluster: &str) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;

    /// What a service is set to, for explaining why nothing of it can be used; `None` if there is
    /// no such service, or it cannot be told.
    fn describe_service(
        &self,
        cluster: &str,
        service: &str,
    ) -> impl Future<Output = Result<Option<Service>, CloudError>> + Send {
        let _ = (cluster, service);
        std::future::ready(Ok(None))
    }

    /// ARNs of the tasks whose desired status is RUNNING, of a service, of a family, or of all
    /// the cluster. ECS allows one of service and family in a call.
    fn list_tasks(
        &self,
        cluster: &str,
        service: Option<&str>,
        family: Option<&str>,
    ) -> impl Future<Output = Result<Vec<String>, CloudError>> + Send;

    /// The tasks themselves, any number; ones that ECS does not know are left out.
    fn describe_tasks(
        &self,
        cluster: &str,
        tasks: &[String],
    ) -> impl Future<Output = Result<Vec<Task>, CloudError>> + Send;

    /// ssm:StartSession.
    fn start_session(
        &self,
        target: &str,
        document: &str,
        parameters: BTreeMap<String, Vec<String>>,
    ) -> impl Future<Output = Result<Ticket, CloudError>> + Send;

    /// ecs:ExecuteCommand, interactive.
    fn execute_command(
        &self,
        cluster: &str,
        task: &str,
        container: &str,
        command: &str,
    ) -> impl Future<Output = Result<Ticket, CloudError>> + Send;

    /// ssm:ResumeSession. `None`: the session is over (no token came back).
    fn resume_session(
        &self,
        session_id: &str,
    ) -> impl Future<Output = Result<Option<Ticket>, CloudError>> + Send;

    /// ssm:TerminateSession.
    fn terminate_session(&self, session_id: &str) -> impl Future<Output = Result<(), CloudError>> + Send;

    /// Headers that sign a WebSocket upgrade to `stream_url` now; empty without credentials or
    /// for a presigned URL.
    fn sign_upgrade(
        &self,
        stream_url: &str,
    ) -> impl Future<Output = Result<Vec<(String, String)>, CloudError>> + Send;

    /// kms:GenerateDataKey, 64 bytes, under `context`.
    fn generate_data_key(
        &self,
        key_id: &str,
        context: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<DataKey, CloudError>> + Send;
}
