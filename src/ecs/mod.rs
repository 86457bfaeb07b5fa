//! Plain types and choices: cluster, service, task, container, target; and [`Cloud`], what
//! must be offered by whoever talks to AWS (or stands in for it).

mod choose;
mod cloud;
mod partition;
mod pick;
mod refusal;
mod selection;
#[cfg(test)]
mod tests;

pub use choose::{Chosen, choose, choose_next};
pub use cloud::{AccessKey, Cloud, CloudError, CloudErrorKind, DataKey, Ticket};
pub use partition::Partition;
pub use pick::{Ask, newest_first};
pub use refusal::Refusal;
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
    /// What its containers' health checks say: HEALTHY, UNHEALTHY, UNKNOWN (also without any).
    pub health_status: String,
    /// When it was created, RFC 3339.
    pub created_at: Option<String>,
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
    /// The whole of what DescribeTasks tells, tags included: JSON with the API's names.
    pub described: String,
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

/// A service as DescribeServices tells it, cut down to what explains that nothing of it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// ACTIVE, DRAINING, INACTIVE.
    pub status: String,
    /// Whether execute-command is on for the tasks it starts from now on.
    pub execute_command: bool,
    /// How many tasks it is to have.
    pub desired: i32,
    /// How many are starting.
    pub pending: i32,
    /// Its newest event.
    pub last_event: Option<String>,
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
    /// Family of its task definition.
    pub family: String,
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
