//! `ecsx target`, as a person or a script meets it, against the sandbox.
#![cfg(feature = "aws")]

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

#[cfg(unix)]
#[test]
fn a_filter_command_picks_from_ecstas_lines() {
    let place = Place::new();
    let pick =
        |filter: &str| place.json(&["--service", "web", "--filter-command", filter])["task_id"].clone();
    let (first, second) = (pick("sed -n 1p"), pick("sed -n 2p"));
    assert_ne!(first, second);
    refuses(
        place.target(&["--service", "web", "--filter-command", "exit 7 "]),
        &["filter command `exit 7 `", "exit status: 7", "--task"],
    );
}

#[cfg(unix)]
#[test]
fn ecstas_query_says_what_the_filter_is_given() {
    let place = Place::new();
    let asked = |query: &str, filter: &str| {
        let mut command =
            place.target(&["--service", "web", "--container", "web", "--filter-command", filter]);
        command.env("ECSTA_TASK_FORMAT_QUERY", query);
        command
    };
    let query = r#"[.launchType, (.containers | map(.name) | sort | join("+")), .createdAt[:2], .tags] | map(tostring) | @tsv"#;
    let picked = asked(query, "grep -P '^[0-9a-f]{32}\tFARGATE\tenvoy\\+web\t20\t\\[\\]$' | tail -n 1");
    let output = { picked }.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    refuses(asked(".x |", "head -n 1"), &["task_format_query `.x |`", "--task"]);
    // One task, nobody asked: the query does not matter.
    place.prints(&["--service", "worker"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_on_a_terminal_is_asked() {
    let place = Place::new();
    let newest = place.json(&["--service", "web"])["task_id"].clone();
    let mut command = place.target(&["--service", "web", "--container", "web", "--color", "never"]);
    command.env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
    let mut terminal = support::terminal::Terminal::start(&command);
    terminal.wait_for(newest.as_str().unwrap());
    terminal.type_keys("\x1b[B\r");
    terminal.wait_for("ecs:prod_");
    assert_eq!(terminal.end(), Some(0));

    let mut terminal = support::terminal::Terminal::start(&command);
    terminal.wait_for(newest.as_str().unwrap());
    terminal.type_keys("\x03");
    terminal.wait_for("error: ");
    assert_eq!(terminal.end(), Some(130));
}

/// Ends with nothing chosen, however it was left.
#[cfg(unix)]
#[test]
fn a_filter_that_is_left_is_exit_code_130() {
    let place = Place::new();
    for filter in ["exit 1 ", "exit 130 ", "kill -TERM $$"] {
        let output = place.target(&["--service", "web", "--filter-command", filter]).output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{filter}: {}", stderr(&output));
        assert_eq!((stderr(&output).as_str(), output.stdout.len()), ("error: nothing was chosen\n", 0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_filter_that_hangs_does_not_outlive_the_wish_to_end() {
    use rustix::process::Signal;
    let place = Place::new();
    let begun = place.directory.path().join("begun");
    let filter = format!("echo $$ > '{}'; exec sleep 1000", begun.display());
    for (program, signal) in [
        ("ecsx-target", Signal::TERM),
        ("ecsx-target", Signal::INT),
        ("ecsx-portforward", Signal::TERM),
        ("ecsx-portforward", Signal::HUP),
        ("ecsx-exec", Signal::HUP),
    ] {
        let mut command = place.sandbox.command(program);
        command.args(["--service", "web", "--filter-command", &filter]).current_dir(&place.directory);
        command.args(if program == "ecsx-portforward" { &["-L", "0:80"][..] } else { &[] });
        let mut child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
        let sleeper = loop {
            match std::fs::read_to_string(&begun).ok().and_then(|pid| pid.trim().parse::<i32>().ok()) {
                Some(pid) => break pid,
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let code = child.wait().unwrap().code();
        let expected = if program == "ecsx-portforward" { 130 } else { 128 + signal.as_raw() };
        assert_eq!(code, Some(expected), "{program} {signal:?}");
        let left = rustix::process::test_kill_process(rustix::process::Pid::from_raw(sleeper).unwrap());
        assert!(left.is_err(), "{program}: its filter still runs");
        std::fs::remove_file(&begun).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn whoever_is_ended_while_asking_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    for program in ["ecsx-target", "ecsx-portforward", "ecsx-exec"] {
        let mut command = place.sandbox.command(program);
        command.args(["--service", "web", "--container", "web", "--color", "never"]);
        command.args(if program == "ecsx-portforward" { &["-L", "0:80"][..] } else { &[] });
        command.current_dir(&place.directory).env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
        let newest = place.json(&["--service", "web"])["task_id"].clone();
        let mut terminal = support::terminal::Terminal::start(&command);
        let cooked = terminal.modes();
        terminal.wait_for(newest.as_str().unwrap());
        // It draws, and then makes the terminal raw for the next key.
        while terminal.modes() == cooked {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        terminal.signal(rustix::process::Signal::TERM);
        terminal.wait_for("\x1b[?25h");
        terminal.wait_until_ended();
        assert_eq!(terminal.modes(), cooked, "{program}");
    }
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
fn a_profile_that_was_asked_for_beats_everything_that_was_only_set_up() {
    let place = Place::new();
    let file = |name: &str, text: String| {
        let file = place.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    let bad = "AKIASOMEBODYELSE0000";
    let profiles = file(
        "profiles",
        format!("[profile good]\n{}[profile bad]\n{}", keys(place.sandbox.key()), keys(bad)),
    );
    let envfile = file(
        "bad.env",
        format!("AWS_PROFILE=bad\nAWS_ACCESS_KEY_ID={bad}\nAWS_SECRET_ACCESS_KEY=s\nAWS_REGION=eu-west-1\n"),
    );
    let run = |program: &str, words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.sandbox.command(program);
        command.args(words).current_dir(&place.directory).env("HOME", place.directory.path());
        command.env_remove("ECSX_REGION").env("AWS_CONFIG_FILE", &profiles).env("AWS_ACCESS_KEY_ID", bad);
        command.env("AWS_PROFILE", "bad").envs(variables.iter().copied()).output().unwrap()
    };
    let reaches = |output: &Output| assert!(output.status.success(), "{}", stderr(output));
    let refused = |output: &Output| assert!(stderr(output).contains("token included"), "{}", stderr(output));
    let envfile = ["--envfile", envfile.as_str()];
    for variables in [&[][..], &[("AWS_PROFILE", "good")]] {
        reaches(&run("ecsx", &[&["--profile", "good", "target"], &envfile[..]].concat(), variables));
        reaches(&run("ecsx", &[&["target", "--profile", "good"], &envfile[..]].concat(), variables));
        reaches(&run("ecsx-target", &[&["--profile", "good"], &envfile[..]].concat(), variables));
        refused(&run("ecsx", &[&["target"], &envfile[..]].concat(), variables));
        refused(&run("ecsx", &["target"], variables));
    }
    reaches(&run("ecsx", &[&["target"], &envfile[..]].concat(), &[("ECSX_PROFILE", "good")]));
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
fn an_sso_session_that_is_over_names_the_login_that_renews_it() {
    let place = Place::new();
    let home = place.directory.path();
    let config = home.join("aws-config");
    std::fs::write(
        &config,
        "[profile dev]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = Developer\n\
         [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n",
    )
    .unwrap();
    let run = || {
        let mut command = place.target(&["--profile", "dev"]);
        command.env("AWS_CONFIG_FILE", &config);
        command
    };
    refuses(run(), &["cannot get AWS credentials", "hint: sign in again: aws sso login --profile dev"]);
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    // SHA-1 of the session's name, as every AWS tool names the file.
    std::fs::write(
        cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json"),
        r#"{"accessToken": "t0p-s3cret", "expiresAt": "2020-01-01T00:00:00Z"}"#,
    )
    .unwrap();
    refuses(run(), &["expired", "hint: sign in again: aws sso login --profile dev"]);
}

#[test]
fn offline_with_sso_is_a_matter_of_the_network_not_of_the_login() {
    let place = Place::new();
    let home = place.directory.path();
    let config = home.join("aws-config");
    std::fs::write(
        &config,
        "[profile dev]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = Developer\n\
         [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n",
    )
    .unwrap();
    let cache = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    std::fs::write(
        cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json"),
        r#"{"accessToken": "t0p-s3cret", "expiresAt": "2999-01-01T00:00:00Z"}"#,
    )
    .unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = place.target(&["--profile", "dev"]);
    command.env("AWS_CONFIG_FILE", &config).env("HTTPS_PROXY", format!("http://{closed}"));
    for name in ["https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    // Every request, so that none can reach AWS.
    command.env("AWS_ENDPOINT_URL_SSO", format!("http://{closed}"));
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot get AWS credentials") && said.contains("is the network up?"), "{said}");
    assert!(!said.contains("sign in") && !said.contains("t0p-s3cret"), "{said}");
}

#[test]
fn a_certificate_bundle_that_cannot_be_used_is_named() {
    let place = Place::new();
    let mut command = place.target(&[]);
    command.env("AWS_CA_BUNDLE", "/no/such/bundle.pem");
    refuses(command, &["/no/such/bundle.pem", "AWS_CA_BUNDLE"]);
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
            "containers": null,
            "presets": null,
        })
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
