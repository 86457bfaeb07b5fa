//! What TAB offers for `--cluster`, `--service`, `--task`, `--container`, `--profile`, `--region`
//! and the names of forwards: what the project says, at once; what AWS says, from a cache on
//! disk or within [`NETWORK`].
//!
//! ```no_run
//! # use clap::Parser;
//! # #[derive(Parser)] struct Arguments { #[command(flatten)] options: ecsx::resolve::Options }
//! let arguments: Arguments = ecsx::live::values(ecsx::plugin::Plugin::new()).parse();
//! ```

mod cache;
mod profiles;

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::aws::Aws;
use crate::ecs::{self, Cloud, CloudError};
use crate::plugin::{Asked, Candidate, Plugin};
use crate::resolve::{Options, Wanted};
use cache::{Cache, Fresh};

/// How long TAB waits for AWS. The dispatcher kills a plugin after 800 ms.
pub const NETWORK: Duration = Duration::from_millis(600);
/// How long a process that nobody waits for may take to fill the cache after a TAB in vain.
const PATIENCE: Duration = Duration::from_secs(10);
/// Set in that process.
const REFRESHING: &str = "ECSX_COMPLETE_REFRESH";
/// Variables that decide whom AWS answers, and about what, besides those that are resolved.
const CALLER: [&str; 11] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_ECS",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
/// More candidates than this are of no use to anybody.
const MOST: usize = 500;

/// Has a plugin that flattens [`Options`], or [`Globals`](crate::plugin::Globals) alone, complete
/// their values.
pub fn values(plugin: Plugin) -> Plugin {
    plugin
        .values("cluster", |asked| Question::of(asked).answer(Kind::Clusters))
        .values("service", |asked| Question::of(asked).answer(Kind::Services))
        .values("task", |asked| Question::of(asked).answer(Kind::Tasks))
        .values("container", |asked| Question::of(asked).answer(Kind::Containers))
        .values("profile", |_| profiles::names(&profiles::files()))
        .values("region", |_| profiles::regions(&profiles::files()))
}

/// The forwards that `ecsx.yml` has names for, and where they go.
pub fn forwards(asked: &Asked) -> Vec<Candidate> {
    let presets = Question::of(asked).0.project.presets;
    let described = presets.into_iter().map(|preset| {
        let help = match preset.forward {
            Ok(forward) => match forward.host {
                Some(host) => format!("{host}:{}", forward.port),
                None => format!("the container's port {}", forward.port),
            },
            Err(_) => String::new(),
        };
        Candidate::new(preset.name, help)
    });
    described.collect()
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Clusters,
    Services,
    Tasks,
    Containers,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Services => "services",
            Self::Tasks => "tasks",
            Self::Containers => "containers",
        }
    }

    /// How long a list stays true enough.
    fn fresh_for(self) -> Duration {
        match self {
            Self::Clusters => Duration::from_secs(3600),
            Self::Services => Duration::from_secs(300),
            Self::Tasks | Self::Containers => Duration::from_secs(30),
        }
    }
}

/// Where the line so far leads: the very account and selection that running it would take.
struct Question(Wanted);

impl Question {
    fn of(asked: &Asked) -> Self {
        // Not every plugin has all of the options.
        let many = |id: &str| {
            let values = asked.matches.try_get_many::<String>(id).ok().flatten();
            values.into_iter().flatten().cloned().collect()
        };
        let mut options = Options {
            globals: asked.globals.clone(),
            task: asked.value("task").map(str::to_owned),
            envfile: many("envfile"),
            ext_str: many("ext_str"),
            ext_code: many("ext_code"),
            ..Options::default()
        };
        Self(options.guess())
    }

    fn cluster(&self) -> &str {
        self.0.project.cluster.as_deref().unwrap_or("default")
    }

    /// What the project's files know of it.
    fn known(&self, kind: Kind) -> Vec<Candidate> {
        let names: Vec<&String> = match kind {
            Kind::Clusters => self.0.project.cluster.iter().collect(),
            Kind::Services => self.0.project.service.iter().collect(),
            Kind::Tasks => Vec::new(),
            Kind::Containers => self.0.project.containers.iter().collect(),
        };
        let names = names.into_iter().filter(|name| is_name(name));
        names.map(|name| Candidate::new(name.as_str(), "of this project")).collect()
    }

    fn answer(&self, kind: Kind) -> Vec<Candidate> {
        let mut candidates = self.known(kind);
        // The task definition at hand names the containers: no need to ask.
        if kind == Kind::Containers && !candidates.is_empty() && self.0.selection.task.is_none() {
            return candidates;
        }
        for candidate in self.listed(kind) {
            if candidates.len() < MOST && !candidates.iter().any(|known| known.value == candidate.value) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// What AWS says, or said.
    fn listed(&self, kind: Kind) -> Vec<Candidate> {
        let cache = Cache::of(&self.key(kind));
        let refreshing = std::env::var_os(REFRESHING).is_some();
        let stale = match cache.read(kind.fresh_for()) {
            Fresh::Yes(candidates) if !refreshing => return candidates,
            Fresh::Yes(candidates) | Fresh::No(candidates) => candidates,
        };
        if !refreshing && cache.is_refreshed(PATIENCE) {
            return stale;
        }
        match self.ask(kind, if refreshing { PATIENCE } else { NETWORK }) {
            Some(Ok(candidates)) => {
                cache.write(&candidates);
                candidates
            }
            Some(Err(_)) => {
                cache.write_failure(&stale);
                stale
            }
            None if refreshing => stale,
            None => {
                if cache.begin_refresh(PATIENCE) {
                    refresh();
                }
                stale
            }
        }
    }

    /// What the answer depends on.
    fn key(&self, kind: Kind) -> Vec<String> {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let said = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut key = vec![
            kind.word().to_owned(),
            said(&self.0.region),
            said(&self.0.profile),
            self.cluster().to_owned(),
        ];
        // Who asks. A key's id names an account, and is no secret.
        key.push(self.0.profile_only.to_string());
        key.push(self.0.access_key.as_ref().map(|key| key.id.clone()).unwrap_or_default());
        key.extend(CALLER.map(variable));
        if matches!(kind, Kind::Tasks | Kind::Containers) {
            key.push(said(&self.0.project.service));
            key.push(said(&self.0.selection.task));
        }
        key
    }

    /// `None`: no answer in time.
    fn ask(&self, kind: Kind, time: Duration) -> Option<Result<Vec<Candidate>, CloudError>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let asking = async {
            // Without a region there is nobody to ask: the same as an empty list.
            let Ok(cloud) = Aws::new(&self.0.account()).await else { return Ok(Vec::new()) };
            self.list(&cloud, kind).await
        };
        let answer = runtime.block_on(async { tokio::time::timeout(time, asking).await });
        // A name that is still being looked up must not hold the process.
        runtime.shutdown_background();
        answer.ok()
    }

    async fn list(&self, cloud: &impl Cloud, kind: Kind) -> Result<Vec<Candidate>, CloudError> {
        let names = |arns: Vec<String>| {
            let mut names: Vec<_> = arns.iter().map(|arn| ecs::last_segment(arn).to_owned()).collect();
            names.sort();
            names.into_iter().map(Candidate::from).collect()
        };
        match kind {
            Kind::Clusters => cloud.list_clusters().await.map(names),
            Kind::Services => cloud.list_services(self.cluster()).await.map(names),
            Kind::Tasks => Ok(tasks(self.tasks(cloud).await?)),
            Kind::Containers => Ok(containers(&self.tasks(cloud).await?)),
        }
    }

    /// The tasks the line so far allows, newest first.
    async fn tasks(&self, cloud: &impl Cloud) -> Result<Vec<ecs::Task>, CloudError> {
        let arns = match &self.0.selection.task {
            Some(task) => vec![task.clone()],
            None => cloud.list_tasks(self.cluster(), self.0.project.service.as_deref(), None).await?,
        };
        let mut tasks = cloud.describe_tasks(self.cluster(), &arns[..arns.len().min(100)]).await?;
        tasks.sort_by_key(|task| std::cmp::Reverse(task.started_at));
        Ok(tasks)
    }
}

/// Whether this can be the name or the ARN of anything in ECS. A file may say what it likes; what
/// is no name is not put onto a command line.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_:/".contains(c))
}

/// Short ids: an ARN's colons split words in bash.
fn tasks(tasks: Vec<ecs::Task>) -> Vec<Candidate> {
    let help = |task: &ecs::Task| format!("{} {}", task.definition, task.last_status.to_lowercase());
    tasks.iter().map(|task| Candidate::new(ecs::last_segment(&task.arn), help(task))).collect()
}

fn containers(tasks: &[ecs::Task]) -> Vec<Candidate> {
    let mut names: Vec<&str> = Vec::new();
    for container in tasks.iter().flat_map(|task| &task.containers) {
        if !names.contains(&container.name.as_str()) {
            names.push(&container.name);
        }
    }
    names.into_iter().map(Candidate::from).collect()
}

/// Asks the same question again in a process that nobody waits for, so that the next TAB finds
/// the answer in the cache.
fn refresh() {
    let Ok(program) = std::env::current_exe() else { return };
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(program);
    command.args(words).env(REFRESHING, "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Out of the group that the dispatcher kills after the answer.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let _ = command.spawn();
}
