//! Which of several: pure choices among what ECS told.

use std::future::Future;

use super::{Container, Refusal, Selection, Task};

/// Somebody to ask when several would do. A question may be given up: it is dropped then.
pub trait Ask: Sync {
    /// Which of these clusters, when nothing at all was named? As below.
    fn cluster(&self, clusters: &[String]) -> impl Future<Output = Result<Option<usize>, Refusal>> + Send {
        let _ = clusters;
        std::future::ready(Ok(None))
    }
    /// Which of these tasks? An index; `None`: there is nobody to ask.
    fn task(&self, tasks: &[Task]) -> impl Future<Output = Result<Option<usize>, Refusal>> + Send;
    /// Which of these containers of `task`? As above.
    fn container(
        &self,
        task: &Task,
        containers: &[&str],
    ) -> impl Future<Output = Result<Option<usize>, Refusal>> + Send;
}

/// There is nobody to ask.
pub(super) struct Nobody;

impl Ask for Nobody {
    async fn task(&self, _: &[Task]) -> Result<Option<usize>, Refusal> {
        Ok(None)
    }
    async fn container(&self, _: &Task, _: &[&str]) -> Result<Option<usize>, Refusal> {
        Ok(None)
    }
}

impl Task {
    /// Last segment of the ARN.
    pub fn id(&self) -> &str {
        super::last_segment(&self.arn)
    }

    /// Name of the service it belongs to.
    pub fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }

    /// Runs, and is meant to go on running.
    pub fn is_running(&self) -> bool {
        self.last_status == "RUNNING" && self.desired_status != "STOPPED"
    }

    /// Last status, or what ECS is about to make of it.
    fn status(&self) -> &str {
        if self.last_status == "RUNNING" && !self.is_running() { "STOPPING" } else { &self.last_status }
    }

    /// Its health checks fail.
    pub fn is_unhealthy(&self) -> bool {
        self.health_status == "UNHEALTHY"
    }

    /// Runs, with the agent of at least one container.
    pub fn is_usable(&self) -> bool {
        self.is_running() && self.containers.iter().any(Container::is_usable)
    }
}

impl Container {
    /// Runs, and so does its agent.
    pub fn is_usable(&self) -> bool {
        self.runtime_id.is_some() && self.exec_agent.as_ref().is_some_and(|(status, _)| status == "RUNNING")
    }
}

/// Those that can be used before those that cannot, those whose health checks fail after the
/// others, and the newest first.
pub fn newest_first(tasks: &mut [Task]) {
    let last = |task: &Task| (!task.is_usable(), task.is_unhealthy());
    tasks.sort_by_key(|task| (last(task), std::cmp::Reverse(task.started_at), task.arn.clone()));
}

/// Leaves out what ecsta 0.8.2 leaves out when service and family are both named: tasks of the
/// family that belong to other services. Tasks of no service stay.
pub(super) fn of_service_or_none(tasks: &mut Vec<Task>, service: &str) {
    tasks.retain(|task| task.service().is_none_or(|s| s == service));
}

/// Why none of `tasks` can be used; the first of them is the one to speak of.
pub(super) fn unusable(tasks: &[Task], whose: &str) -> Refusal {
    let Some(task) = tasks.iter().find(|t| t.is_running()) else {
        let reason = tasks.first().map(|task| format!("task {} is {}", task.id(), task.status()));
        return Refusal::NoTask { whose: whose.to_owned(), reason };
    };
    unusable_task(task)
}

/// Why `task` cannot be used.
fn unusable_task(task: &Task) -> Refusal {
    if !task.is_running() {
        return Refusal::NotRunning {
            task: task.id().to_owned(),
            status: task.status().to_owned(),
            reason: task.stopped_reason.clone(),
        };
    }
    if !task.execute_command {
        return Refusal::ExecuteCommandOff { task: task.id().to_owned(), service: None, older: false };
    }
    match task.containers.iter().find(|c| c.exec_agent.is_some()).or(task.containers.first()) {
        Some(container) => not_ready(task, container),
        None => Refusal::NotRunning {
            task: task.id().to_owned(),
            status: "without containers".into(),
            reason: None,
        },
    }
}

fn not_ready(task: &Task, container: &Container) -> Refusal {
    let (task_id, name) = (task.id().to_owned(), container.name.clone());
    if container.last_status != "RUNNING" || container.runtime_id.is_none() {
        let status = if container.last_status.is_empty() { "PENDING" } else { &container.last_status };
        return Refusal::ContainerNotRunning { container: name, task: task_id, status: status.to_owned() };
    }
    let (status, reason) = container.exec_agent.clone().unwrap_or_else(|| ("absent".into(), None));
    Refusal::AgentNotRunning { task: task_id, container: name, status, reason }
}

/// One container of `task`, and why that one if it was not the only one.
pub(super) async fn container<'a, A: Ask>(
    task: &'a Task,
    selection: &Selection,
    ask: &A,
) -> Result<(&'a Container, Option<String>), Refusal> {
    if !task.is_running() || !task.execute_command {
        return Err(unusable_task(task));
    }
    let names = || task.containers.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    if let Some(name) = &selection.container {
        let named = task.containers.iter().find(|c| c.name == *name);
        let named = named.ok_or_else(|| Refusal::UnknownContainer {
            container: name.clone(),
            task: task.id().to_owned(),
            exist: names(),
        })?;
        return if named.is_usable() { Ok((named, None)) } else { Err(not_ready(task, named)) };
    }
    let usable: Vec<_> = task.containers.iter().filter(|c| c.is_usable()).collect();
    match usable[..] {
        [] => return Err(unusable_task(task)),
        [only] => {
            let why = (task.containers.len() > 1)
                .then(|| format!("container {}: the only one whose ECS Exec agent runs", only.name));
            return Ok((only, why));
        }
        _ => {}
    }
    // A tie. What the project usually takes, the service's own name, or the one that the project names, beats asking.
    let usual = usable.iter().find(|c| selection.usual_container.as_ref() == Some(&c.name));
    if let Some(usual) = usual {
        return Ok((usual, None));
    }
    let like_service = usable.iter().find(|c| Some(c.name.as_str()) == task.service());
    let mut likely = usable.iter().filter(|c| selection.likely_containers.contains(&c.name));
    let by_project = likely.next().filter(|_| likely.next().is_none());
    if let Some(preferred) = like_service.or(by_project) {
        let whose = if like_service.is_some() { "named like the service" } else { "as the project names" };
        return Ok((
            preferred,
            Some(format!("container {}: {whose}; --container names another", preferred.name)),
        ));
    }
    let candidates: Vec<_> = usable.iter().map(|c| c.name.as_str()).collect();
    match ask.container(task, &candidates).await? {
        Some(index) if index < usable.len() => Ok((usable[index], None)),
        _ => Err(Refusal::ManyContainers {
            task: task.id().to_owned(),
            containers: candidates.into_iter().map(str::to_owned).collect(),
        }),
    }
}
