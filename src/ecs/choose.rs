//! From a [`Selection`] to one container of one running task.

use super::pick::{self, Ask, Nobody, newest_first};
use super::{Cloud, CloudError, CloudErrorKind as Kind, Refusal, Selection, Target, Task, last_segment};

/// A target, and what is worth saying of how it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Where to go.
    pub target: Target,
    /// Lines for stderr: what was taken without asking, though others were there.
    pub remarks: Vec<String>,
}

/// The cluster that ECS takes when none is named.
const DEFAULT_CLUSTER: &str = "default";

/// Chooses a task and a container of it. One candidate is taken without asking; of several
/// `ask` decides, and with nobody to ask the newest healthy task of the service or family.
pub async fn choose<C: Cloud, A: Ask>(cloud: &C, selection: &Selection, ask: &A) -> Result<Chosen, Refusal> {
    let picked;
    let selection = if selection.names_nothing() {
        picked = in_some_cluster(cloud, selection, ask).await?;
        &picked
    } else {
        selection
    };
    let scope = Scope::of(cloud, selection)?;
    if let Some(task) = &selection.task {
        let task = scope.named(task).await?;
        return scope.target(&task, ask, Vec::new()).await;
    }
    let mut tasks = scope.tasks().await?;
    newest_first(&mut tasks);
    let usable = tasks.iter().filter(|t| t.is_usable()).count();
    if usable == 0 {
        return Err(scope.why(pick::unusable(&tasks, &scope.whose())).await);
    }
    tasks.truncate(usable);
    if let [only] = &tasks[..] {
        let ill = only.is_unhealthy();
        let remark =
            ill.then(|| format!("task {} is UNHEALTHY: the only one of {}", only.id(), scope.whose()));
        return scope.target(only, ask, remark.into_iter().collect()).await;
    }
    match ask.task(&tasks).await? {
        Some(index) if index < tasks.len() => scope.target(&tasks[index], ask, Vec::new()).await,
        _ if selection.service.is_some() || selection.family.is_some() => {
            let ill = tasks.iter().filter(|t| t.is_unhealthy()).count();
            let health = match ill {
                0 => String::new(),
                _ if ill == tasks.len() => ", all of them UNHEALTHY".into(),
                _ => format!(", {ill} of them UNHEALTHY and passed over"),
            };
            let (id, n) = (tasks[0].id(), tasks.len());
            let remark = format!("task {id}: the newest of {n} of {}{health}", scope.whose());
            scope.target(&tasks[0], ask, vec![remark]).await
        }
        _ => {
            let (of_services, alone): (Vec<_>, Vec<_>) = tasks.iter().partition(|t| t.service().is_some());
            let names = |tasks: Vec<&Task>| {
                let mut names: Vec<_> = tasks.into_iter().map(|t| group(t).to_owned()).collect();
                names.sort();
                names.dedup();
                names
            };
            let (services, families) = (names(of_services), names(alone));
            Err(Refusal::ManyTasks { cluster: scope.cluster_name(), services, families })
        }
    }
}

/// Has a cluster picked for those who named nothing at all.
async fn in_some_cluster<C: Cloud, A: Ask>(
    cloud: &C,
    selection: &Selection,
    ask: &A,
) -> Result<Selection, Refusal> {
    let mut clusters: Vec<_> =
        cloud.list_clusters().await?.iter().map(|arn| last_segment(arn).to_owned()).collect();
    clusters.sort();
    let picked = match &clusters[..] {
        [] => None,
        _ => ask.cluster(&clusters).await?.and_then(|index| clusters.get(index).cloned()),
    };
    match picked {
        Some(cluster) => Ok(Selection { cluster: Some(cluster), ..selection.clone() }),
        None => Err(Refusal::NothingNamed),
    }
}

/// Chooses again without asking, when `last` cannot be reached any more: another task of the
/// same service (or family), the same container; `last` itself only if nothing else runs. A
/// task that the user named stays the one.
pub async fn choose_next<C: Cloud>(
    cloud: &C,
    selection: &Selection,
    last: &Target,
) -> Result<Target, Refusal> {
    let mut selection = selection.clone();
    selection.cluster.get_or_insert_with(|| last.cluster.clone());
    selection.container = Some(last.container.clone());
    if selection.task.is_some() {
        let scope = Scope::of(cloud, &selection)?;
        let task = scope.named(&last.task_arn).await?;
        return Ok(scope.target(&task, &Nobody, Vec::new()).await?.target);
    }
    if selection.service.is_none() && selection.family.is_none() {
        // It was picked from the whole cluster: stay with what it belongs to.
        selection.service.clone_from(&last.service);
        selection.family = last.service.is_none().then(|| last.family.clone());
    }
    let scope = Scope::of(cloud, &selection)?;
    let mut tasks = scope.tasks().await?;
    newest_first(&mut tasks);
    tasks.sort_by_key(|task| (!task.is_usable(), task.arn == last.task_arn));
    match tasks.first().filter(|t| t.is_usable()) {
        Some(task) => Ok(scope.target(task, &Nobody, Vec::new()).await?.target),
        None => Err(pick::unusable(&tasks, &scope.whose())),
    }
}

fn group(task: &Task) -> &str {
    task.group.split_once(':').map_or(&task.group, |(_, name)| name)
}

/// Where to look, and for what.
struct Scope<'a, C> {
    cloud: &'a C,
    selection: &'a Selection,
    /// Name or ARN.
    cluster: String,
}

impl<'a, C: Cloud> Scope<'a, C> {
    fn of(cloud: &'a C, selection: &'a Selection) -> Result<Self, Refusal> {
        let Selection { cluster, task, .. } = selection;
        if selection.names_nothing() {
            return Err(Refusal::NothingNamed);
        }
        // arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID
        let of_arn = task.as_deref().filter(|t| t.starts_with("arn:")).and_then(|arn| {
            let mut parts = arn.split('/');
            let (cluster, id) = (parts.nth(1)?, parts.next());
            id.map(|_| cluster.to_owned())
        });
        let cluster = of_arn.or_else(|| cluster.clone()).unwrap_or_else(|| DEFAULT_CLUSTER.to_owned());
        Ok(Self { cloud, selection, cluster })
    }

    fn cluster_name(&self) -> String {
        last_segment(&self.cluster).to_owned()
    }

    fn service_name(&self) -> Option<&str> {
        self.selection.service.as_deref().map(last_segment)
    }

    /// For people: `service S in cluster C`.
    fn whose(&self) -> String {
        let cluster = self.cluster_name();
        match (self.service_name(), &self.selection.family) {
            (Some(service), _) => format!("service {service} in cluster {cluster}"),
            (None, Some(family)) => format!("family {family} in cluster {cluster}"),
            (None, None) => format!("cluster {cluster}"),
        }
    }

    /// The tasks that ECS wants to run, of the service, the family, both or all the cluster.
    async fn tasks(&self) -> Result<Vec<Task>, Refusal> {
        let (service, family) = (self.selection.service.as_deref(), self.selection.family.as_deref());
        // Both: by family, as ecsta does, which finds the family's stand-alone tasks as well.
        let by_service = service.filter(|_| family.is_none());
        let arns = self.cloud.list_tasks(&self.cluster, by_service, family).await;
        let arns = match arns {
            Ok(arns) => arns,
            Err(e) => return Err(self.named_wrongly(e).await),
        };
        let mut tasks = self.describe(&arns).await?;
        if let (Some(_), Some(service)) = (family, self.service_name()) {
            pick::of_service_or_none(&mut tasks, service);
        }
        Ok(tasks)
    }

    async fn describe(&self, arns: &[String]) -> Result<Vec<Task>, Refusal> {
        match arns {
            [] => Ok(Vec::new()),
            _ => match self.cloud.describe_tasks(&self.cluster, arns).await {
                Ok(tasks) => Ok(tasks),
                Err(e) => Err(self.named_wrongly(e).await),
            },
        }
    }

    /// The task of this id, ARN or beginning of an id.
    async fn named(&self, task: &str) -> Result<Task, Refusal> {
        let id = last_segment(task);
        if task.starts_with("arn:") || is_full_id(id) {
            let mut found = self.describe(std::slice::from_ref(&task.to_owned())).await?;
            if let Some(task) = found.pop() {
                return Ok(task);
            }
        }
        // ListTasks of the whole cluster: a task that is named need not be of the service.
        let arns = match self.cloud.list_tasks(&self.cluster, None, None).await {
            Ok(arns) => arns,
            Err(e) => return Err(self.named_wrongly(e).await),
        };
        let (ids, matching): (Vec<_>, Vec<_>) = (
            arns.iter().map(|arn| last_segment(arn).to_owned()).collect(),
            arns.iter().filter(|arn| last_segment(arn).starts_with(id)).cloned().collect(),
        );
        match &matching[..] {
            [_] => self.describe(&matching).await?.pop().ok_or_else(|| self.unknown_task(id, None, ids)),
            [] => Err(self.unknown_in_scope(id, ids).await),
            several => Err(Refusal::AmbiguousTask {
                task: id.to_owned(),
                ids: several.iter().map(|arn| last_segment(arn).to_owned()).collect(),
            }),
        }
    }

    fn unknown_task(&self, id: &str, of: Option<String>, running: Vec<String>) -> Refusal {
        Refusal::UnknownTask { task: id.to_owned(), cluster: self.cluster_name(), of, running }
    }

    /// No task begins with `id`: with the tasks that could have been meant, `all` of the cluster's
    /// if nothing narrows them down.
    async fn unknown_in_scope(&self, id: &str, all: Vec<String>) -> Refusal {
        let (service, family) = (self.selection.service.as_deref(), self.selection.family.as_deref());
        let (by_service, of) = match (self.service_name(), family) {
            (_, Some(family)) => (None, format!("family {family}")),
            (Some(name), None) => (service, format!("service {name}")),
            (None, None) => return self.unknown_task(id, None, all),
        };
        match self.cloud.list_tasks(&self.cluster, by_service, family).await {
            Ok(arns) if !arns.is_empty() => {
                let ids = arns.iter().map(|arn| last_segment(arn).to_owned()).collect();
                self.unknown_task(id, Some(of), ids)
            }
            _ => self.unknown_task(id, None, all),
        }
    }

    /// A cluster or service that AWS does not know: with the names that it does.
    async fn named_wrongly(&self, error: CloudError) -> Refusal {
        let names = |arns: Vec<String>| {
            let mut names: Vec<_> = arns.iter().map(|arn| last_segment(arn).to_owned()).collect();
            names.sort();
            names
        };
        let code = error.code.clone().unwrap_or_default();
        match (error.kind, code.trim_end_matches("Exception"), self.service_name()) {
            (Kind::NotFound, "ClusterNotFound", _) => match self.cloud.list_clusters().await {
                Ok(arns) => Refusal::UnknownCluster {
                    cluster: self.cluster_name(),
                    named: self.selection.cluster.is_some() || self.selection.task.is_some(),
                    region: self.cloud.region().to_owned(),
                    exist: names(arns),
                },
                Err(_) => error.into(),
            },
            (Kind::NotFound, "ServiceNotFound" | "ServiceNotActive", Some(service)) => {
                match self.cloud.list_services(&self.cluster).await {
                    Ok(arns) => Refusal::UnknownService {
                        service: service.to_owned(),
                        cluster: self.cluster_name(),
                        is_family: self.is_family(service).await,
                        exist: names(arns),
                    },
                    Err(_) => error.into(),
                }
            }
            _ => error.into(),
        }
    }

    /// Whether tasks of no service are called so.
    async fn is_family(&self, name: &str) -> bool {
        matches!(self.cloud.list_tasks(&self.cluster, None, Some(name)).await, Ok(arns) if !arns.is_empty())
    }

    /// A refusal made more exact by what the service is set to.
    async fn why(&self, refusal: Refusal) -> Refusal {
        let Some(name) = self.service_name() else { return refusal };
        // Only an explanation: a caller who may not ask for it gets the refusal as it is.
        let Ok(Some(service)) = self.cloud.describe_service(&self.cluster, name).await else {
            return refusal;
        };
        match refusal {
            Refusal::NoTask { whose, .. } if service.desired == 0 => {
                Refusal::NoTask { whose, reason: Some("its desired count is 0".into()) }
            }
            Refusal::NoTask { whose, reason: None } => Refusal::NoTask { whose, reason: service.last_event },
            Refusal::ExecuteCommandOff { task, .. } if service.execute_command => {
                Refusal::ExecuteCommandOff { task, service: None, older: true }
            }
            Refusal::ExecuteCommandOff { task, .. } => {
                Refusal::ExecuteCommandOff { task, service: Some(name.to_owned()), older: false }
            }
            other => other,
        }
    }

    /// The container of `task`, and all that a session needs of both.
    async fn target<A: Ask>(
        &self,
        task: &Task,
        ask: &A,
        mut remarks: Vec<String>,
    ) -> Result<Chosen, Refusal> {
        let (container, remark) = match pick::container(task, self.selection, ask).await {
            Ok(found) => found,
            Err(refusal) => return Err(self.why(refusal).await),
        };
        remarks.extend(remark);
        let Some(runtime_id) = container.runtime_id.clone() else {
            return Err(Refusal::ContainerNotRunning {
                container: container.name.clone(),
                task: task.id().to_owned(),
                status: container.last_status.clone(),
            });
        };
        let cluster = if task.cluster_arn.is_empty() { &self.cluster } else { &task.cluster_arn };
        let target = Target {
            region: self.cloud.region().to_owned(),
            cluster: last_segment(cluster).to_owned(),
            service: task.service().map(str::to_owned),
            family: task.definition.split(':').next().unwrap_or_default().to_owned(),
            task_arn: task.arn.clone(),
            task_id: task.id().to_owned(),
            container: container.name.clone(),
            runtime_id,
        };
        Ok(Chosen { target, remarks })
    }
}

/// 32 hex digits, or the older UUID.
fn is_full_id(id: &str) -> bool {
    let hex = |c: char| c.is_ascii_hexdigit();
    (id.len() == 32 && id.chars().all(hex)) || (id.len() == 36 && id.chars().all(|c| hex(c) || c == '-'))
}
