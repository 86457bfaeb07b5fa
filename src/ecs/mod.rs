//! Plain types and choices: cluster, service, task, container, target; and [`Cloud`], what
//! must be offered by whoever talks to AWS (or stands in for it).

mod cloud;
mod selection;

pub use cloud::{Cloud, CloudError, CloudErrorKind, DataKey, Ticket};
pub use selection::Selection;

/// A task as DescribeTasks tells it, cut down to what choosing and connecting need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// Full ARN.
    pub arn: String,
    /// ARN of its cluster.
    pub cluster_arn: String,
    /// `service:NAME` or `family:NAME`, as ECS groups it.
    pub group: String,
    /// Task definition `family:revision`.
    pub definition: String,
    /// PROVISIONING … RUNNING … STOPPED.
    pub last_status: String,
    /// Where ECS wants it: RUNNING or STOPPED.
    pub desired_status: String,
    /// Seconds since the epoch.
    pub created_at: Option<i64>,
    /// Seconds since the epoch; `None` before it ran.
    pub started_at: Option<i64>,
    /// FARGATE, EC2, EXTERNAL.
    pub launch_type: String,
    /// Id of its container instance, if it runs on one.
    pub instance: Option<String>,
    /// Whether execute-command was on when the task was started.
    pub execute_command: bool,
    /// Why it stopped, if it did.
    pub stopped_reason: Option<String>,
    /// Its containers, in ECS' order.
    pub containers: Vec<Container>,
}

/// A container of a [`Task`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Name in the task definition.
    pub name: String,
    /// Runtime id; `None` until it runs.
    pub runtime_id: Option<String>,
    /// PENDING, RUNNING, STOPPED.
    pub last_status: String,
    /// Status of its ExecuteCommandAgent (RUNNING, PENDING, STOPPED) and the reason given.
    pub exec_agent: Option<(String, Option<String>)>,
}

/// What follows the last `/` of an ARN: a name or id; a name is itself.
pub fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// One container of one running task: where a session goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// AWS region.
    pub region: String,
    /// Cluster name (not ARN).
    pub cluster: String,
    /// Service the task belongs to, if any.
    pub service: Option<String>,
    /// Full task ARN.
    pub task_arn: String,
    /// Last segment of the task ARN.
    pub task_id: String,
    /// Container name.
    pub container: String,
    /// Runtime id of the container.
    pub runtime_id: String,
}

impl Target {
    /// `ecs:CLUSTER_TASKID_RUNTIMEID`, the target SSM StartSession takes and the KMS context
    /// must repeat byte for byte.
    pub fn ssm_target(&self) -> String {
        format!("ecs:{}_{}_{}", self.cluster, self.task_id, self.runtime_id)
    }
}
