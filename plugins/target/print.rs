//! What was resolved, on stdout.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ecsx::ecs::Target;
use ecsx::project::{Preset, Project};
use ecsx::ui::Failure;
use serde_json::{Value, json};

/// `-o`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// `ecs:CLUSTER_TASK_RUNTIME`, as StartSession takes it
    #[default]
    Text,
    /// One JSON object
    Json,
    /// NAME='VALUE' lines, for eval in a shell
    Env,
}

pub(crate) fn target(target: &Target, config: Option<&Path>, format: Format) -> Result<(), Failure> {
    let config = config.map(|path| path.display().to_string());
    let text = match format {
        Format::Text => target.ssm_target() + "\n",
        Format::Json => {
            let object = json!({
                "target": target.ssm_target(),
                "region": target.region,
                "cluster": target.cluster,
                "service": target.service,
                "family": target.family,
                "task_arn": target.task_arn,
                "task_id": target.task_id,
                "container": target.container,
                "runtime_id": target.runtime_id,
                "config": config,
            });
            format!("{object:#}\n")
        }
        Format::Env => lines(&[
            ("ECSX_TARGET", Some(&target.ssm_target())),
            ("ECSX_REGION", Some(&target.region)),
            ("ECSX_CLUSTER", Some(&target.cluster)),
            ("ECSX_SERVICE", target.service.as_ref()),
            ("ECSX_FAMILY", Some(&target.family)),
            ("ECSX_TASK", Some(&target.task_id)),
            ("ECSX_TASK_ARN", Some(&target.task_arn)),
            ("ECSX_CONTAINER", Some(&target.container)),
            ("ECSX_RUNTIME_ID", Some(&target.runtime_id)),
            ("ECSX_CONFIG", config.as_ref()),
        ]),
    };
    write(&text)
}

/// The project alone, and the container that was chosen: null where it does not say.
pub(crate) fn project(project: &Project, container: Option<&String>, format: Format) -> Result<(), Failure> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let text = match format {
        // Only AWS knows a target: what leads to one.
        Format::Text => [
            ("config", path(&project.config).as_ref()),
            ("region", project.region.as_ref()),
            ("cluster", project.cluster.as_ref()),
            ("service", project.service.as_ref()),
            ("family", project.family.as_ref()),
            ("container", container),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("{name:<10}{value}\n")))
        .collect(),
        Format::Json => {
            let containers = Some(&project.containers).filter(|names| !names.is_empty());
            let presets: Option<Vec<Value>> =
                project.presets_file.is_some().then(|| project.presets.iter().map(preset).collect());
            let object = json!({
                "config": path(&project.config),
                "region": project.region,
                "cluster": project.cluster,
                "service": project.service,
                "service_definition": path(&project.service_definition),
                "task_definition": path(&project.task_definition),
                "family": project.family,
                "container": container,
                "containers": containers,
                "presets": presets,
            });
            format!("{object:#}\n")
        }
        Format::Env => lines(&[
            ("ECSX_REGION", project.region.as_ref()),
            ("ECSX_CLUSTER", project.cluster.as_ref()),
            ("ECSX_SERVICE", project.service.as_ref()),
            ("ECSX_FAMILY", project.family.as_ref()),
            ("ECSX_CONTAINER", container),
            ("ECSX_CONFIG", path(&project.config).as_ref()),
        ]),
    };
    write(&text)
}

fn preset(preset: &Preset) -> Value {
    match &preset.forward {
        Ok(forward) => json!({
            "name": preset.name,
            "host": forward.host,
            "port": forward.port,
            "local_port": forward.local_port,
            "container": forward.container,
            "address": forward.address,
        }),
        // It matters only to who wants this one.
        Err(error) => json!({ "name": preset.name, "error": error.to_string() }),
    }
}

/// What is not known is left out.
fn lines(values: &[(&str, Option<&String>)]) -> String {
    let line = |(name, value): &(&str, Option<&String>)| value.map(|v| format!("{name}={}\n", quoted(v)));
    values.iter().filter_map(line).collect()
}

/// For any POSIX shell: nothing inside single quotes is special but the single quote.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A reader that has seen enough closes the pipe: no failure.
fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Failure::because("cannot write to stdout", e)),
        _ => Ok(()),
    }
}
