//! Why no task and container could be chosen.

use super::CloudError;
use crate::ui::Explain;

/// No task and container could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Neither flags, environment nor project say anything.
    #[error("nothing says which ECS task is meant: no project here, no --cluster, --service or --task")]
    NothingNamed,
    /// There is no such cluster.
    #[error(
        "{}no cluster {cluster} in {region}{}",
        if *named { "" } else { "no cluster was named, and there is " },
        listing("clusters", exist)
    )]
    UnknownCluster {
        /// As it was asked for, or the one that ECS takes when none is.
        cluster: String,
        /// Whether anybody asked for it.
        named: bool,
        /// Where it was looked for.
        region: String,
        /// The clusters there are.
        exist: Vec<String>,
    },
    /// There is no such service, or it is inactive.
    #[error("no service {service} in cluster {cluster}{}", listing("services", exist))]
    UnknownService {
        /// As it was asked for.
        service: String,
        /// Its cluster.
        cluster: String,
        /// Whether tasks of no service have this name as their family.
        is_family: bool,
        /// The services there are.
        exist: Vec<String>,
    },
    /// No task has this id, or begins with it.
    #[error("no task {task} in cluster {cluster}{}", listing(&running_of(of), running))]
    UnknownTask {
        /// As it was asked for.
        task: String,
        /// Its cluster.
        cluster: String,
        /// What the tasks belong to that are named instead; `None`: the cluster.
        of: Option<String>,
        /// Ids of those that run.
        running: Vec<String>,
    },
    /// Several tasks begin with this.
    #[error("several tasks begin with {task}: {}", ids.join(", "))]
    AmbiguousTask {
        /// As it was asked for.
        task: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// Nothing runs.
    #[error("no running task of {whose}{}", said(reason))]
    NoTask {
        /// `service S in cluster C` and the like.
        whose: String,
        /// What ECS says of it.
        reason: Option<String>,
    },
    /// The task that was asked for does not run.
    #[error("task {task} is {status}, not RUNNING{}", said(reason))]
    NotRunning {
        /// Its id.
        task: String,
        /// PENDING, STOPPED and so on.
        status: String,
        /// Why, as ECS says.
        reason: Option<String>,
    },
    /// Execute-command is off, so no session can be had.
    #[error("execute-command is off in {}", match service { Some(s) => format!("service {s}, and so in task {task}"), None => format!("task {task}") })]
    ExecuteCommandOff {
        /// A task's id.
        task: String,
        /// The service, if it is known to be off there as well.
        service: Option<String>,
        /// Whether the service has it on by now, and the task is older.
        older: bool,
    },
    /// The agent in the container does not run.
    #[error(
        "the ECS Exec agent of container {container} in task {task} is {status}, not RUNNING{}",
        said(reason)
    )]
    AgentNotRunning {
        /// Task id.
        task: String,
        /// Container name.
        container: String,
        /// PENDING, STOPPED, or that there is none.
        status: String,
        /// Why, as ECS says.
        reason: Option<String>,
    },
    /// There is no such container.
    #[error("no container {container} in task {task}{}", listing("containers", exist))]
    UnknownContainer {
        /// As it was asked for.
        container: String,
        /// Task id.
        task: String,
        /// The containers there are.
        exist: Vec<String>,
    },
    /// The container does not run.
    #[error("container {container} of task {task} is {status}, not RUNNING")]
    ContainerNotRunning {
        /// Container name.
        container: String,
        /// Task id.
        task: String,
        /// PENDING, STOPPED.
        status: String,
    },
    /// Several containers would do, and nobody is there to ask.
    #[error("task {task} has several containers: {}", containers.join(", "))]
    ManyContainers {
        /// Task id.
        task: String,
        /// Their names.
        containers: Vec<String>,
    },
    /// Several tasks would do, of different services, and nobody is there to ask.
    #[error(
        "several tasks run in cluster {cluster}{}{}",
        if services.is_empty() { String::new() } else { listing("services", services) },
        if families.is_empty() { String::new() } else { listing("families of tasks on their own", families) }
    )]
    ManyTasks {
        /// The cluster.
        cluster: String,
        /// Services that they belong to.
        services: Vec<String>,
        /// Families of those that belong to none.
        families: Vec<String>,
    },
    /// Asking failed, or nothing was picked.
    #[error("{0}")]
    Asking(String),
    /// Ctrl-C while being asked.
    #[error("nothing was chosen")]
    Cancelled,
    /// AWS refused a call.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

impl Refusal {
    /// Whether waiting may help: a deployment under way, an agent that still starts.
    pub fn may_pass(&self) -> bool {
        use super::CloudErrorKind::{Network, Throttled};
        match self {
            Self::NoTask { .. } | Self::AgentNotRunning { .. } | Self::ContainerNotRunning { .. } => true,
            Self::NotRunning { status, .. } => !matches!(
                status.as_str(),
                "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" | "STOPPED" | "DELETED"
            ),
            Self::Cloud(error) => matches!(error.kind, Network | Throttled),
            _ => false,
        }
    }
}

impl Explain for Refusal {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NothingNamed => vec![
                "go to a directory with an ecspresso.yml, or name one with --config".into(),
                "or name the task: --cluster CLUSTER with --service SERVICE or --task ID".into(),
            ],
            Self::UnknownCluster { named: false, exist, .. } if !exist.is_empty() => {
                vec!["say which with --cluster".into()]
            }
            Self::UnknownCluster { cluster, exist, .. } => match near(cluster, exist) {
                Some(name) => vec![format!("did you mean {name}?")],
                None => vec!["right account and region? --profile and --region name others".into()],
            },
            Self::UnknownService { service, is_family: true, .. } => {
                vec![format!("it is a family of tasks without a service: --family {service}")]
            }
            Self::UnknownService { service: name, exist, .. } => vec![match near(name, exist) {
                Some(name) => format!("did you mean {name}?"),
                None => "--service and --cluster name others".into(),
            }],
            Self::UnknownContainer { container: name, exist, .. } => vec![match near(name, exist) {
                Some(name) => format!("did you mean {name}?"),
                None => "say which with --container".into(),
            }],
            Self::UnknownTask { .. } => {
                vec!["a task that stopped is forgotten after about an hour; leave --task out to choose one".into()]
            }
            Self::AmbiguousTask { .. } => vec!["give more of the id".into()],
            Self::NoTask { whose, .. } if whose.starts_with("service ") => {
                vec!["its events say why: aws ecs describe-services, ecspresso status".into()]
            }
            Self::NoTask { .. } => {
                vec!["those that ended lately: aws ecs list-tasks --desired-status STOPPED".into()]
            }
            Self::NotRunning { .. } => vec!["leave --task out to choose one that runs".into()],
            Self::ExecuteCommandOff { older: true, .. } => vec![
                "the service has it on by now, but this task is older: redeploy it (--force-new-deployment)".into(),
            ],
            Self::ExecuteCommandOff { .. } => vec![
                "redeploy with --enable-execute-command (ecspresso: \"enableExecuteCommand\": true in the service \
                 definition)"
                    .into(),
            ],
            Self::AgentNotRunning { status, .. } if status == "PENDING" => {
                vec!["it is starting: try again in a moment".into()]
            }
            Self::AgentNotRunning { .. } => vec![
                "the task role needs ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and \
                 OpenDataChannel, and the task a way to ssmmessages"
                    .into(),
                "an agent that stopped does not come back: start a new task".into(),
            ],
            Self::ContainerNotRunning { .. } => vec!["--container names another".into()],
            Self::ManyContainers { containers, .. } => vec![
                "say which with --container".into(),
                format!("or once and for all in ecsx.yml: \"container: {}\"", containers.first().map_or("NAME", String::as_str)),
            ],
            Self::ManyTasks { .. } => vec!["say which with --service, --family or --task".into()],
            Self::Asking(_) => vec!["name it instead: --task, --container".into()],
            Self::Cancelled => Vec::new(),
            Self::Cloud(error) => error.hints(),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            // 128 + SIGINT, as a shell counts it.
            Self::Cancelled => 130,
            _ => 1,
        }
    }
}

/// As many names as fit in a message.
const NAMED: usize = 12;

fn listing(what: &str, names: &[String]) -> String {
    match names.len() {
        0 => format!("; there are no {what}"),
        n if n <= NAMED => format!("; {what} there: {}", names.join(", ")),
        n => format!("; {what} there: {} and {} more", names[..NAMED].join(", "), n - NAMED),
    }
}

fn running_of(of: &Option<String>) -> String {
    of.as_ref().map_or_else(|| "running tasks".to_owned(), |of| format!("running tasks of {of}"))
}

fn said(reason: &Option<String>) -> String {
    match reason.as_deref().map(|r| r.trim_end_matches('.')) {
        None | Some("") => String::new(),
        Some(reason) => format!(": {reason}"),
    }
}

/// The name that was probably meant.
fn near<'a>(name: &str, exist: &'a [String]) -> Option<&'a str> {
    let likeness = |other: &&String| strsim::jaro_winkler(name, other);
    // A typing mistake in a short name leaves little that is alike.
    let slip = exist.iter().find(|known| name.len() > 2 && strsim::damerau_levenshtein(name, known) == 1);
    let nearest = slip.or_else(|| exist.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))))?;
    (slip.is_some() || likeness(&nearest) > 0.8).then_some(nearest)
}
