//! `ecsx target`, as a person or a script meets it, against the sandbox.
#![cfg(feature = "aws")]

mod asking;
mod credentials;
#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Output};

use serde_json::{Value, json};
use support::Sandbox;

const WORLD: &str = "
clusters:
  - name: prod
    services:
      - { name: web, tasks: 2, containers: [web, envoy] }
      - { name: worker, containers: [main] }
      - { name: pair, containers: [left, right] }
      - { name: old, execute_command: false, containers: [app] }
      - { name: broken, containers: [{ name: app, exec_agent: STOPPED, reason: CannotStartAgent }] }
      - { name: idle, tasks: 0, containers: [app] }
    tasks:
      - { family: batch, containers: [job] }
  - name: other
";

/// A sandbox, and a directory with an ecspresso project of cluster prod, service worker.
struct Place {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = "region: us-east-1\ncluster: prod\nservice: worker\n";
        std::fs::write(directory.path().join("ecspresso.yml"), config).unwrap();
        Self { sandbox: Sandbox::with_fixture(WORLD), directory }
    }

    /// `ecsx target` with these words, in the project's directory and with nothing of the home
    /// of whoever runs the tests.
    fn target(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.command("ecsx-target");
        // The project and the flags name the region, as for people.
        command
            .args(words)
            .current_dir(&self.directory)
            .env_remove("AWS_REGION")
            .env_remove("AWS_DEFAULT_REGION")
            .env_remove("ECSX_REGION");
        command.env("HOME", self.directory.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Stdout of a run that must succeed.
    fn prints(&self, words: &[&str]) -> String {
        let output = self.target(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.prints(&[words, &["-o", "json"]].concat())).unwrap()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The run must fail with exit code 1, one error that says `texts`, and nothing on stdout.
fn refuses(mut command: Command, texts: &[&str]) {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}

#[test]
fn the_target_alone_is_on_stdout() {
    let place = Place::new();
    let output = place.target(&[]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let target = printed.strip_suffix('\n').unwrap();
    assert!(target.starts_with("ecs:prod_") && target.split('_').count() == 3, "{target}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn json_holds_all_that_was_resolved() {
    let place = Place::new();
    let found = place.json(&[]);
    let id = found["task_id"].as_str().unwrap();
    let runtime = found["runtime_id"].as_str().unwrap();
    let config = std::fs::canonicalize(place.directory.path()).unwrap().join("ecspresso.yml");
    assert_eq!(
        found,
        json!({
            "target": format!("ecs:prod_{id}_{runtime}"),
            "region": "us-east-1",
            "cluster": "prod",
            "service": "worker",
            "family": "worker",
            "task_arn": format!("arn:aws:ecs:us-east-1:123456789012:task/prod/{id}"),
            "task_id": id,
            "container": "main",
            "runtime_id": runtime,
            "config": config,
        })
    );
}

#[cfg(unix)]
#[test]
fn env_lines_survive_a_shells_eval_whatever_the_path_is() {
    let mut place = Place::new();
    let nasty = place.directory.path().join("it's $(touch pwned) `x` \"y\"");
    std::fs::create_dir(&nasty).unwrap();
    let config = place.directory.path().join("ecspresso.yml");
    std::fs::rename(config, nasty.join("ecspresso.yml")).unwrap();
    let lines = place.prints(&["-C", nasty.to_str().unwrap(), "-o", "env"]);
    place.directory = tempfile::tempdir().unwrap();
    let shell = Command::new("sh")
        .args(["-c", "eval \"$1\"; printf '%s|%s' \"$ECSX_CONFIG\" \"$ECSX_CONTAINER\"", "sh", &lines])
        .current_dir(&place.directory)
        .output()
        .unwrap();
    let shown = String::from_utf8(shell.stdout).unwrap();
    assert!(shown.ends_with("it's $(touch pwned) `x` \"y\"/ecspresso.yml|main"), "{shown}");
    assert_eq!(std::fs::read_dir(&place.directory).unwrap().count(), 0);
}

#[test]
fn what_env_prints_names_the_same_target_again() {
    let place = Place::new();
    let lines = place.prints(&["--service", "web", "-o", "env"]);
    let mut again = place.target(&[]);
    for line in lines.lines() {
        let (name, value) = line.split_once('=').unwrap();
        again.env(name, value.trim_matches('\''));
    }
    let target = again.output().unwrap().stdout;
    assert!(lines.contains(String::from_utf8(target).unwrap().trim()), "{lines}");
}

#[test]
fn flags_choose_service_family_task_and_container() {
    let place = Place::new();
    let web = place.json(&["--service", "web", "--container", "envoy"]);
    assert_eq!((&web["service"], &web["container"]), (&json!("web"), &json!("envoy")));
    let batch = place.json(&["--family", "batch"]);
    assert_eq!((&batch["service"], &batch["container"]), (&Value::Null, &json!("job")));
    let id = batch["task_id"].as_str().unwrap();
    for named in [id, &id[..12], batch["task_arn"].as_str().unwrap()] {
        assert_eq!(place.json(&["--id", named])["task_id"], batch["task_id"]);
    }
}

#[test]
fn of_several_tasks_the_newest_is_taken_and_said_when_nobody_can_be_asked() {
    let place = Place::new();
    let output = place.target(&["--service", "web"]).output().unwrap();
    let said = stderr(&output);
    assert!(said.contains("the newest of 2 of service web in cluster prod"), "{said}");
    assert!(said.contains("container web: named like the service"), "{said}");
    let quiet = place.target(&["--service", "web", "-q"]).output().unwrap();
    assert_eq!(stderr(&quiet), "");
    assert_eq!(quiet.stdout, output.stdout);
}

/// What of a service's tasks the sandbox lists under this id is ill from now on.
fn falls_ill(place: &Place, task: &Value) {
    let path = format!("tasks/{}/health", task.as_str().unwrap());
    place.sandbox.admin("POST", &path, json!({"status": "UNHEALTHY"}));
}

#[test]
fn a_task_whose_health_checks_fail_is_taken_only_when_there_is_no_other() {
    let place = Place::new();
    let newest = place.json(&["--service", "web"])["task_id"].clone();
    falls_ill(&place, &newest);
    let output = place.target(&["--service", "web", "-o", "json"]).output().unwrap();
    let healthy: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(healthy["task_id"], newest);
    assert!(stderr(&output).contains("1 of them UNHEALTHY and passed over"), "{}", stderr(&output));

    falls_ill(&place, &healthy["task_id"]);
    let output = place.target(&["--service", "web"]).output().unwrap();
    assert!(output.status.success());
    assert!(stderr(&output).contains("all of them UNHEALTHY"), "{}", stderr(&output));

    falls_ill(&place, &place.json(&[])["task_id"]);
    let output = place.target(&[]).output().unwrap();
    assert!(output.status.success());
    let said = stderr(&output);
    assert!(said.contains("is UNHEALTHY: the only one of service worker in cluster prod"), "{said}");
}

#[test]
fn the_projects_container_counts_for_every_task_that_has_it() {
    let place = Place::new();
    let presets = place.directory.path().join("ecsx.yml");
    std::fs::write(presets, "container: right\n").unwrap();
    assert_eq!(place.json(&["--service", "pair"])["container"], "right");
    assert_eq!(place.json(&["--service", "pair", "--container", "left"])["container"], "left");
    assert_eq!(place.json(&["--family", "batch"])["container"], "job");
}

#[test]
fn lists_are_read_to_their_last_page() {
    let place = Place::new();
    place.sandbox.faults(json!({"page_size": 1}));
    let id = place.json(&["--family", "batch"])["task_id"].as_str().unwrap().to_owned();
    assert_eq!(place.json(&["--task", &id[..12]])["container"], "job");
    assert!(place.sandbox.calls("ListTasks") > 2);
}

#[test]
fn throttled_calls_are_tried_again() {
    let place = Place::new();
    place.sandbox.faults(json!({"api": {"ListTasks": {"code": "ThrottlingException", "message": "Rate exceeded", "count": 2}}}));
    place.prints(&[]);
    assert_eq!(place.sandbox.calls("ListTasks"), 3);
}

#[test]
fn aws_region_is_under_the_projects_region_and_ecsx_region_over_it() {
    let place = Place::new();
    let region = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.sandbox.command("ecsx");
        command.args(words).args(["--offline", "-o", "json"]).current_dir(&place.directory);
        let output = command.env_remove("ECSX_REGION").envs(variables.iter().copied()).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["region"].as_str().unwrap().to_owned()
    };
    let aws = ("AWS_REGION", "eu-west-1");
    assert_eq!(region(&["target"], &[aws, ("AWS_DEFAULT_REGION", "eu-west-1")]), "us-east-1");
    assert_eq!(region(&["target"], &[aws, ("ECSX_REGION", "eu-central-1")]), "eu-central-1");
    assert_eq!(region(&["--region", "eu-west-2", "target"], &[aws]), "eu-west-2");
    assert_eq!(region(&["target", "--region", "eu-west-2"], &[("ECSX_REGION", "eu-west-1")]), "eu-west-2");
}

#[test]
fn verbose_says_which_file_was_taken_and_where_each_value_came_from() {
    let place = Place::new();
    let mut command = place.target(&["-v", "--cluster", "prod"]);
    let output = command.env("ECSX_CONTAINER", "main").output().unwrap();
    let said = stderr(&output);
    for line in [
        "project ",
        "ecspresso.yml)",
        "cluster prod (--cluster or",
        "container main (--container or ECSX_CONTAINER)",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

#[test]
fn offline_prints_the_project_alone_and_asks_nobody() {
    let place = Place::new();
    let found = place.json(&["--offline"]);
    let config = std::fs::canonicalize(place.directory.path()).unwrap().join("ecspresso.yml");
    assert_eq!(
        found,
        json!({
            "config": config,
            "region": "us-east-1",
            "cluster": "prod",
            "service": "worker",
            "service_definition": null,
            "task_definition": null,
            "family": null,
            "container": null,
            "containers": null,
            "presets": null,
        })
    );
    let text = place.prints(&["--offline", "--container", "main"]);
    let expected = "region    us-east-1\ncluster   prod\nservice   worker\ncontainer main\n";
    assert_eq!(text, format!("config    {}\n{expected}", config.display()));
    assert!(
        place.prints(&["--offline", "--container", "main", "-o", "env"]).contains("ECSX_CONTAINER='main'")
    );
    assert_eq!(place.sandbox.state()["calls"], json!({}));
    std::fs::write(place.directory.path().join("ecspresso.yml"), "cluster: {{ must_env `NO_SUCH` }}\n")
        .unwrap();
    refuses(place.target(&["--offline", "-o", "json"]), &["NO_SUCH", "ecspresso.yml:1"]);
}

#[test]
fn a_command_line_that_is_wrong_is_exit_code_2() {
    let place = Place::new();
    let output = place.target(&["--nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
}
