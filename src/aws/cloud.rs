//! [`Cloud`] with the SDK.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::primitives::DateTimeFormat as Format;
use aws_sdk_ecs::types::{self, DesiredStatus, ManagedAgentName, TaskField};
use aws_smithy_json::codec::{JsonCodec, JsonCodecSettings};
use aws_smithy_schema::codec::Codec as _;
use aws_smithy_schema::serde::{SerializableStruct as _, ShapeSerializer as _};

use super::{Aws, kms, sign};
use crate::ecs::{
    Cloud, CloudError, CloudErrorKind as Kind, Container, DataKey, Service, Task, Ticket, last_segment,
};

/// DescribeTasks takes no more at once.
const DESCRIBED_AT_ONCE: usize = 100;

impl Cloud for Aws {
    fn region(&self) -> &str {
        &self.caller.region
    }

    fn endpoint_overridden(&self) -> bool {
        self.caller.endpoint.is_some()
    }

    async fn list_clusters(&self) -> Result<Vec<String>, CloudError> {
        let mut arns = self.ecs.list_clusters().into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(arn) = arns.next().await {
            all.push(arn.map_err(|e| self.failed("ecs:ListClusters", &e))?);
        }
        Ok(all)
    }

    async fn list_services(&self, cluster: &str) -> Result<Vec<String>, CloudError> {
        let call = self.ecs.list_services().cluster(cluster).max_results(100);
        let mut arns = call.into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(arn) = arns.next().await {
            all.push(arn.map_err(|e| self.failed("ecs:ListServices", &e))?);
        }
        Ok(all)
    }

    async fn describe_service(&self, cluster: &str, service: &str) -> Result<Option<Service>, CloudError> {
        let call = self.ecs.describe_services().cluster(cluster).services(service);
        let answer = call.send().await.map_err(|e| self.failed("ecs:DescribeServices", &e))?;
        Ok(answer.services.and_then(|all| all.into_iter().next()).map(|service| Service {
            last_event: service.events().first().and_then(|e| e.message()).map(str::to_owned),
            status: service.status.unwrap_or_default(),
            execute_command: service.enable_execute_command,
            desired: service.desired_count,
            pending: service.pending_count,
        }))
    }

    async fn list_tasks(
        &self,
        cluster: &str,
        service: Option<&str>,
        family: Option<&str>,
    ) -> Result<Vec<String>, CloudError> {
        let call = self
            .ecs
            .list_tasks()
            .cluster(cluster)
            .set_service_name(service.map(str::to_owned))
            .set_family(family.map(str::to_owned))
            .desired_status(DesiredStatus::Running);
        let mut arns = call.into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(arn) = arns.next().await {
            all.push(arn.map_err(|e| self.failed("ecs:ListTasks", &e))?);
        }
        Ok(all)
    }

    async fn describe_tasks(&self, cluster: &str, tasks: &[String]) -> Result<Vec<Task>, CloudError> {
        let mut all = Vec::with_capacity(tasks.len());
        for some in tasks.chunks(DESCRIBED_AT_ONCE) {
            let call = self
                .ecs
                .describe_tasks()
                .cluster(cluster)
                .include(TaskField::Tags)
                .set_tasks(Some(some.to_vec()));
            let answer = call.send().await.map_err(|e| self.failed("ecs:DescribeTasks", &e))?;
            all.extend(answer.tasks.unwrap_or_default().into_iter().map(task));
        }
        Ok(all)
    }

    async fn start_session(
        &self,
        target: &str,
        document: &str,
        parameters: BTreeMap<String, Vec<String>>,
    ) -> Result<Ticket, CloudError> {
        const OPERATION: &str = "ssm:StartSession";
        let parameters = parameters.into_iter().collect();
        let call =
            self.ssm.start_session().target(target).document_name(document).set_parameters(Some(parameters));
        let answer = call.send().await.map_err(|e| self.failed(OPERATION, &e))?;
        ticket(OPERATION, answer.session_id, answer.stream_url, answer.token_value)
    }

    async fn execute_command(
        &self,
        cluster: &str,
        task: &str,
        container: &str,
        command: &str,
    ) -> Result<Ticket, CloudError> {
        const OPERATION: &str = "ecs:ExecuteCommand";
        let call = self
            .ecs
            .execute_command()
            .cluster(cluster)
            .task(task)
            .container(container)
            .command(command)
            .interactive(true);
        let answer = call.send().await.map_err(|e| self.failed(OPERATION, &e))?;
        let session = answer.session.ok_or_else(|| incomplete(OPERATION))?;
        ticket(OPERATION, session.session_id, session.stream_url, session.token_value)
    }

    async fn resume_session(&self, session_id: &str) -> Result<Option<Ticket>, CloudError> {
        const OPERATION: &str = "ssm:ResumeSession";
        let call = self.ssm.resume_session().session_id(session_id);
        let answer = match call.send().await.map_err(|e| self.failed(OPERATION, &e)) {
            Ok(answer) => answer,
            Err(e) if e.kind == Kind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if answer.token_value.as_deref().unwrap_or_default().is_empty() {
            return Ok(None);
        }
        let id = answer.session_id.or_else(|| Some(session_id.to_owned()));
        ticket(OPERATION, id, answer.stream_url.or_else(|| Some(String::new())), answer.token_value).map(Some)
    }

    async fn terminate_session(&self, session_id: &str) -> Result<(), CloudError> {
        let call = self.ssm.terminate_session().session_id(session_id);
        call.send().await.map_err(|e| self.failed("ssm:TerminateSession", &e))?;
        Ok(())
    }

    async fn sign_upgrade(&self, stream_url: &str) -> Result<Vec<(String, String)>, CloudError> {
        const OPERATION: &str = "ssmmessages:OpenDataChannel";
        if self.unsigned_upgrades {
            return Ok(Vec::new());
        }
        let credentials = match self.credentials.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(e) => match self.caller.credentials(OPERATION, &e) {
                // As Amazon's own client: whoever has none at all goes unsigned.
                error if error.kind == Kind::NoCredentials && !self.credentials.were_found() => {
                    return Ok(Vec::new());
                }
                error => return Err(error),
            },
        };
        sign::upgrade_headers(stream_url, &self.caller.region, &credentials, SystemTime::now())
            .map_err(|e| CloudError::new(OPERATION, Kind::Invalid, e.to_string()))
    }

    async fn generate_data_key(
        &self,
        key_id: &str,
        context: BTreeMap<String, String>,
    ) -> Result<DataKey, CloudError> {
        const OPERATION: &str = "kms:GenerateDataKey";
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|e| self.caller.credentials(OPERATION, &e))?;
        kms::generate_data_key(&self.http, &self.kms_endpoint, &self.caller, &credentials, key_id, &context)
            .await
            .inspect_err(|e| self.reconsider(e))
    }
}

impl Aws {
    /// An SDK call's failure.
    fn failed<E, R>(&self, operation: &'static str, error: &SdkError<E, R>) -> CloudError
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: Debug + 'static,
    {
        let error = self.caller.error(operation, error);
        self.reconsider(&error);
        error
    }

    /// Credentials that AWS does not take are not shown to it again.
    fn reconsider(&self, error: &CloudError) {
        if error.kind == Kind::BadCredentials {
            self.credentials.forget();
        }
    }
}

fn ticket(
    operation: &'static str,
    session_id: Option<String>,
    stream_url: Option<String>,
    token: Option<String>,
) -> Result<Ticket, CloudError> {
    match (session_id, stream_url, token) {
        (Some(session_id), Some(stream_url), Some(token)) => Ok(Ticket { session_id, stream_url, token }),
        _ => Err(incomplete(operation)),
    }
}

fn incomplete(operation: &'static str) -> CloudError {
    CloudError::new(operation, Kind::Other, "the answer lacks session id, stream URL or token")
}

fn task(task: types::Task) -> Task {
    Task {
        described: described(&task),
        definition: last_segment(task.task_definition_arn.as_deref().unwrap_or_default()).to_owned(),
        arn: task.task_arn.unwrap_or_default(),
        cluster_arn: task.cluster_arn.unwrap_or_default(),
        group: task.group.unwrap_or_default(),
        last_status: task.last_status.unwrap_or_default(),
        desired_status: task.desired_status.unwrap_or_default(),
        health_status: task.health_status.map(|health| health.as_str().to_owned()).unwrap_or_default(),
        created_at: task.created_at.and_then(|t| t.fmt(Format::DateTime).ok()),
        started_at: task.started_at.map(|t| t.secs()),
        launch_type: task.launch_type.map(|t| t.as_str().to_owned()).unwrap_or_default(),
        instance: task.container_instance_arn.as_deref().map(|arn| last_segment(arn).to_owned()),
        execute_command: task.enable_execute_command,
        stopped_reason: task.stopped_reason,
        containers: task.containers.unwrap_or_default().into_iter().map(container).collect(),
    }
}

/// The whole answer again, times as in Go's JSON: ecsta's queries are written for that.
fn described(task: &types::Task) -> String {
    let settings = JsonCodecSettings::builder().default_timestamp_format(Format::DateTime).build();
    let mut json = JsonCodec::new(settings).create_serializer();
    match json.write_struct(task.schema(), task) {
        Ok(()) => String::from_utf8(json.finish()).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

fn container(container: types::Container) -> Container {
    let agents = container.managed_agents.unwrap_or_default();
    let exec = agents.into_iter().find(|a| a.name == Some(ManagedAgentName::ExecuteCommandAgent));
    Container {
        name: container.name.unwrap_or_default(),
        runtime_id: container.runtime_id,
        last_status: container.last_status.unwrap_or_default(),
        exec_agent: exec.map(|a| (a.last_status.unwrap_or_default(), a.reason)),
    }
}
