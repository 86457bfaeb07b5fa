//! The person, asked: which task, which container.

use std::time::{SystemTime, UNIX_EPOCH};

use super::query;
use crate::ecs::{Ask, Refusal, Task};
use crate::ui::{PickError, Picker, Row};

/// Asks on the terminal, in the lines of ecsta.
pub(super) struct Asker {
    pub(super) picker: Picker,
    /// ecsta's `task_format_query`.
    pub(super) query: Option<String>,
}

impl Ask for Asker {
    async fn cluster(&self, clusters: &[String]) -> Result<Option<usize>, Refusal> {
        let row = |name: &String| Row { key: name.clone(), shown: name.clone(), line: name.clone() };
        let rows: Vec<_> = clusters.iter().map(row).collect();
        self.picker.pick("cluster", &rows).await.map_err(refusal)
    }

    async fn task(&self, tasks: &[Task]) -> Result<Option<usize>, Refusal> {
        let now = now();
        let mut rows: Vec<_> = tasks.iter().map(|task| row(task, now)).collect();
        if let Some(query) = self.query.as_ref().filter(|_| self.picker.asks()) {
            let lines = query::describe(query, tasks)
                .await
                .map_err(|why| Refusal::Asking(format!("ecsta's task_format_query `{query}`: {why}")))?;
            for (row, line) in rows.iter_mut().zip(lines) {
                row.shown = format!("{}  {}", row.key, line.replace('\t', "  "));
                row.line = format!("{}\t{line}", row.key);
            }
        }
        self.picker.pick("task", &rows).await.map_err(refusal)
    }

    async fn container(&self, task: &Task, containers: &[&str]) -> Result<Option<usize>, Refusal> {
        let row = |name: &&str| Row { key: (*name).into(), shown: (*name).into(), line: (*name).into() };
        let rows: Vec<_> = containers.iter().map(row).collect();
        self.picker.pick(&format!("container of {}", task.id()), &rows).await.map_err(refusal)
    }
}

fn refusal(error: PickError) -> Refusal {
    match error {
        PickError::Cancelled => Refusal::Cancelled,
        other => Refusal::Asking(other.to_string()),
    }
}

/// ecsta's line: id, definition, instance, status, desired status, creation, group, launch type.
fn row(task: &Task, now: i64) -> Row {
    let line = [
        task.id(),
        &task.definition,
        task.instance.as_deref().unwrap_or_default(),
        &task.last_status,
        &task.desired_status,
        task.created_at.as_deref().unwrap_or_default(),
        &task.group,
        &task.launch_type,
    ]
    .join("\t");
    let age = task.started_at.map(|at| age(now - at)).unwrap_or_default();
    let health = if task.is_unhealthy() { "  UNHEALTHY" } else { "" };
    let shown = format!("{}  {}  {}  {age}{health}", task.id(), task.definition, task.group);
    Row { key: task.id().to_owned(), shown, line }
}

/// `5m`, `3h`, `12d`.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s if s < 60 => format!("{s}s"),
        s if s < 3600 => format!("{}m", s / 60),
        s if s < 86400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86400),
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_gets_ecstas_line() {
        let task = Task {
            arn: "arn:aws:ecs:eu-west-1:1:task/prod/abc".into(),
            definition: "web:7".into(),
            group: "service:web".into(),
            last_status: "RUNNING".into(),
            desired_status: "RUNNING".into(),
            launch_type: "FARGATE".into(),
            created_at: Some("2023-11-14T22:13:20Z".into()),
            started_at: Some(1_700_000_000),
            ..Task::default()
        };
        assert_eq!(
            row(&task, 1_700_007_200).line,
            "abc\tweb:7\t\tRUNNING\tRUNNING\t2023-11-14T22:13:20Z\tservice:web\tFARGATE"
        );
        assert_eq!(row(&task, 1_700_007_200).shown, "abc  web:7  service:web  2h");
    }
}
