//! Which task and container (until `ecsx::resolve` is there).

use ecsx::aws::{Account, Aws};
use ecsx::ecs::{Cloud as _, Target, last_segment};
use ecsx::session::forward::NoTarget;
use ecsx::ui::Failure;

use crate::args::Args;

pub(crate) async fn aws(args: &Args) -> Result<Aws, Failure> {
    let account = Account {
        region: args.globals.region.clone(),
        profile: args.globals.profile.clone(),
        ca_bundle: None,
        unsigned_upgrades: false,
    };
    Ok(Aws::new(&account).await?)
}

#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) cluster: String,
    pub(crate) service: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) container: Option<String>,
}

pub(crate) async fn choose(aws: &Aws, wish: &Wish) -> Result<Target, NoTarget> {
    let yet = |e: &dyn std::fmt::Display| NoTarget::Yet(e.to_string());
    let arns = match &wish.task {
        Some(task) => vec![task.clone()],
        None => aws
            .list_tasks(&wish.cluster, wish.service.as_deref(), wish.family.as_deref())
            .await
            .map_err(|e| yet(&e))?,
    };
    let tasks = aws.describe_tasks(&wish.cluster, &arns).await.map_err(|e| yet(&e))?;
    let task =
        tasks.iter().find(|task| task.last_status == "RUNNING").ok_or_else(|| yet(&"no running task"))?;
    let container = task
        .containers
        .iter()
        .find(|c| wish.container.as_ref().is_none_or(|name| *name == c.name))
        .ok_or_else(|| yet(&"no such container"))?;
    Ok(Target {
        region: aws.region().to_owned(),
        cluster: last_segment(&task.cluster_arn).to_owned(),
        service: wish.service.clone(),
        family: last_segment(&task.definition).split(':').next().unwrap_or_default().to_owned(),
        task_arn: task.arn.clone(),
        task_id: last_segment(&task.arn).to_owned(),
        container: container.name.clone(),
        runtime_id: container.runtime_id.clone().unwrap_or_default(),
    })
}
