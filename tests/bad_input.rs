//! What cannot work, for every program that meets it: one clear error with what helps, the exit
//! code of the documentation, nothing on stdout, nothing left behind.
#![cfg(feature = "aws")]

mod support;

use std::process::Command;

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
      - { name: starting, containers: [{ name: app, exec_agent: PENDING }] }
      - { name: idle, tasks: 0, containers: [app] }
    tasks:
      - { family: batch, containers: [job] }
  - name: other
";

/// The programs, what they are asked to do, and their exit code when they cannot: that of `exec`
/// must not be one that a command could have.
const PROGRAMS: [(&str, &[&str], i32); 4] = [
    ("ecsx-target", &[], 1),
    ("ecsx-portforward", &["-L", "0:db.internal:5432"], 1),
    ("ecsx-portforward", &["-L", "0:db.internal:5432", "--", "true"], 125),
    ("ecsx-exec", &["--", "true"], 125),
];

/// A sandbox, and a directory with an ecspresso project of cluster prod, service worker.
struct Place {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { sandbox: Sandbox::with_fixture(WORLD), directory: tempfile::tempdir().unwrap() };
        place.config("region: us-east-1\ncluster: prod\nservice: worker\n");
        place
    }

    fn config(&self, text: &str) {
        std::fs::write(self.directory.path().join("ecspresso.yml"), text).unwrap();
    }

    fn command(&self, program: &str, words: &[&str], more: &[&str]) -> Command {
        let mut command = self.sandbox.command(program);
        command.args(words).args(more).current_dir(&self.directory);
        // The project and the flags name the region, as for people.
        command.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION").env_remove("ECSX_REGION");
        command.env("HOME", self.directory.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// Every program must refuse these words.
    fn refuses(&self, words: &[&str], texts: &[&str]) {
        self.refuses_with(words, |_| {}, texts);
    }

    /// The same in a surrounding of its own.
    fn refuses_with(&self, words: &[&str], change: impl Fn(&mut Command), texts: &[&str]) {
        for program in PROGRAMS {
            self.program_refuses(program, words, &change, texts);
        }
    }

    fn program_refuses(
        &self,
        (program, more, code): (&str, &[&str], i32),
        words: &[&str],
        change: impl Fn(&mut Command),
        texts: &[&str],
    ) {
        let mut command = self.command(program, words, more);
        change(&mut command);
        let output = support::output(&mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        let case = format!("{program} {words:?} {more:?}");
        assert_eq!(output.status.code(), Some(code), "{case}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{case}");
        let begin = |word: &str| said.lines().filter(|line| line.starts_with(word)).count();
        assert_eq!(begin("error: "), 1, "{case}: {said}");
        assert!(begin("hint: ") >= 1, "{case} leaves people alone: {said}");
        for text in texts {
            assert!(said.contains(text), "{case}: {text:?} is not in:\n{said}");
        }
        assert_eq!(self.sandbox.state()["open_sessions"], 0, "{case} leaves a session behind");
    }

    /// An operation fails from now on.
    fn fails(&self, operation: &str, code: &str, message: &str) {
        self.sandbox.faults(json!({"api": {operation: {"code": code, "message": message}}}));
    }
}

fn set(command: &mut Command, name: &str, value: &str) {
    command.env(name, value);
}

#[test]
fn neither_a_project_nor_flags() {
    let place = Place::new();
    std::fs::remove_file(place.directory.path().join("ecspresso.yml")).unwrap();
    place.refuses(&[], &["no project here", "ecspresso.yml", "--cluster"]);
    assert_eq!(place.sandbox.state()["calls"], json!({}));
    let region = |command: &mut Command| set(command, "AWS_REGION", "us-east-1");
    place.refuses_with(
        &["--cluster", "prod"],
        region,
        &["several tasks run in cluster prod; services there: ", "worker; families", ": batch", "--service"],
    );
    place.refuses_with(
        &["--service", "worker"],
        region,
        &[
            "no cluster was named, and there is no cluster default in us-east-1; clusters there: ",
            "--cluster",
        ],
    );
    place.refuses(&["--cluster", "prod", "--service", "worker"], &["no AWS region", "--region"]);
    assert_eq!(place.sandbox.calls("DescribeServices"), 0);
}

#[test]
fn a_project_that_cannot_be_read() {
    let place = Place::new();
    place.config("cluster: prod\nservice: \"{{ must_env `NO_SUCH` }}\"\n");
    place.refuses(&[], &["ecspresso.yml:2:", "NO_SUCH", "--envfile"]);
    place.config("cluster: [prod\nservice: worker\n");
    for program in PROGRAMS {
        let output = support::output(&mut place.command(program.0, &[], program.1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(program.2));
        assert!(said.starts_with("error: ecspresso.yml:2:8: this is not YAML"), "{said}");
    }
    assert_eq!(place.sandbox.state()["calls"], json!({}));
}

#[test]
fn names_that_are_wrong() {
    let place = Place::new();
    place.refuses(
        &["--cluster", "prd"],
        &["no cluster prd in us-east-1", "prod", "other", "hint: did you mean prod?"],
    );
    place.refuses(
        &["--cluster", "nothing-like-it"],
        &["no cluster nothing-like-it in us-east-1", "right account and region?"],
    );
    place.refuses(
        &["--service", "wrker"],
        &["no service wrker in cluster prod", "web", "hint: did you mean worker?"],
    );
    place.refuses(&["--service", "wbe"], &["hint: did you mean web?"]);
    place.refuses(
        &["--service", "batch"],
        &[
            "no service batch in cluster prod",
            "hint: it is a family of tasks without a service: --family batch",
        ],
    );
    place
        .refuses(&["--service", "zzz"], &["no service zzz in cluster prod", "services there: ", "--service"]);
    place.refuses(
        &["--task", "fedcba"],
        &["no task fedcba in cluster prod", "running tasks of service worker there"],
    );
    place.refuses(
        &["--task", "0123456789abcdef0123456789abcdef"],
        &["no task 0123456789abcdef0123456789abcdef in cluster prod"],
    );
    place.refuses(
        &["--container", "mian"],
        &["no container mian in task", "containers there: main", "did you mean main?"],
    );
    place.refuses(&["--service", "pair"], &["several containers: left, right", "--container"]);
    place.refuses(&["--region", "eu-west-1"], &["no cluster prod in eu-west-1", "--region"]);
}

#[test]
fn tasks_that_cannot_be_used() {
    let place = Place::new();
    place.refuses(
        &["--service", "idle"],
        &["no running task of service idle in cluster prod", "desired count is 0"],
    );
    place.refuses(
        &["--family", "nothing"],
        &["no running task of family nothing in cluster prod", "--desired-status STOPPED"],
    );
    place.refuses(
        &["--service", "old"],
        &["execute-command is off in service old", "--enable-execute-command"],
    );
    place.refuses(
        &["--service", "broken"],
        &["agent of container app", "STOPPED", "CannotStartAgent", "ssmmessages:CreateControlChannel"],
    );
    place
        .refuses(&["--service", "starting"], &["agent of container app", "PENDING", "try again in a moment"]);
}

#[test]
fn credentials_that_are_missing_or_refused() {
    let place = Place::new();
    let missing = |command: &mut Command| {
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(name);
        }
    };
    place.refuses_with(&[], missing, &["no AWS credentials found", "--profile", "AWS_ACCESS_KEY_ID"]);
    place.refuses_with(
        &[],
        |command| set(command, "AWS_ACCESS_KEY_ID", "ASIAEXPIRED000000000"),
        &["ecs:ListTasks failed", "expired", "AWS_ACCESS_KEY_ID in the environment", "unset"],
    );
    place.refuses_with(
        &[],
        |command| set(command, "AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE0000"),
        &["The security token included in the request is invalid", "of AWS_ACCESS_KEY_ID", "right account"],
    );
    place.refuses(&["--profile", "nobody"], &["no AWS credentials for profile nobody", "aws configure"]);
    let file = place.directory.path().join("credentials");
    std::fs::write(&file, "[dev]\naws_access_key_id = ASIAEXPIRED\naws_secret_access_key = x\n").unwrap();
    place.refuses_with(
        &["--profile", "dev"],
        |command| set(command, "AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        &["expired", "hint: sign in again: aws sso login --profile dev"],
    );
    let envfile = place.directory.path().join("env");
    std::fs::write(&envfile, "AWS_ACCESS_KEY_ID=ASIAEXPIRED\nAWS_SECRET_ACCESS_KEY=x\n").unwrap();
    let words = ["--envfile", envfile.to_str().unwrap()];
    place.refuses(&words, &["expired", "of the envfile"]);
}

#[test]
fn calls_that_aws_refuses() {
    let place = Place::new();
    place.fails("DescribeTasks", "AccessDeniedException", "");
    place.refuses(&[], &["ecs:DescribeTasks", "IAM permission ecs:DescribeTasks"]);
    let message = "User: arn:aws:iam::1:user/u is not authorized to perform: ecs:ListTasks on resource: *";
    place.fails("ListTasks", "AccessDeniedException", message);
    place.refuses(&[], &[message, "IAM permission ecs:ListTasks"]);
    place.fails("ListTasks", "ServerException", "Service Unavailable");
    place.refuses_with(
        &[],
        |command| set(command, "AWS_MAX_ATTEMPTS", "1"),
        &["Service Unavailable", "AWS itself"],
    );
    place.fails("ListTasks", "ThrottlingException", "Rate exceeded");
    place.refuses_with(
        &[],
        |command| set(command, "AWS_MAX_ATTEMPTS", "2"),
        &["Rate exceeded", "too many calls", "try again"],
    );
}

/// The calls that open a session, and those who make them.
const OPENING: [(&str, usize); 2] = [("StartSession", 1), ("ExecuteCommand", 3)];

#[test]
fn sessions_that_aws_does_not_open() {
    let place = Place::new();
    for (operation, program) in OPENING {
        let refuses = |texts: &[&str]| place.program_refuses(PROGRAMS[program], &[], |_| {}, texts);
        place.fails(operation, "AccessDeniedException", "no");
        refuses(&["IAM permission", operation]);
        place.fails(operation, "TargetNotConnectedException", "it is not connected");
        refuses(&["it is not connected", "ssmmessages:CreateControlChannel", "VPC endpoint"]);
        place.fails(operation, "ExpiredTokenException", "it is expired");
        refuses(&["it is expired", "AWS_ACCESS_KEY_ID in the environment"]);
    }
    place.fails("ExecuteCommand", "InvalidParameterException", "execute command was not enabled");
    place.program_refuses(PROGRAMS[3], &[], |_| {}, &["was not enabled", "start a new one"]);
}

#[test]
fn sessions_that_cannot_be_dialled_are_not_left_open() {
    for (_, program) in OPENING {
        let refuses = |faults: Value, texts: &[&str]| {
            let place = Place::new();
            place.sandbox.faults(faults);
            place.program_refuses(PROGRAMS[program], &[], |_| {}, texts);
            assert_eq!(place.sandbox.state()["sessions"].as_array().unwrap().len(), 1);
        };
        refuses(json!({"refuse_upgrade": 403}), &["HTTP 403", "ssmmessages:OpenDataChannel", "clock"]);
        refuses(json!({"refuse_upgrade": 404}), &["HTTP 404", "WebSockets"]);
        let foreign = json!({"stream_url": "wss://ssmmessages.us-east-1.amazonaws.com.evil.example/v1"});
        refuses(foreign, &["amazonaws.com.evil.example", "nothing was sent there", "AWS_ENDPOINT_URL"]);
        refuses(json!({"stream_url": "nonsense"}), &["the stream URL", "malformed"]);
    }
}

#[test]
fn an_endpoint_that_does_not_answer() {
    let place = Place::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{closed}");
    let moved = |command: &mut Command| {
        for (name, _) in place.sandbox.env.iter().filter(|(name, _)| name.starts_with("AWS_ENDPOINT_URL")) {
            command.env(name, &endpoint);
        }
        command.env("AWS_MAX_ATTEMPTS", "1");
    };
    place.refuses_with(&[], moved, &["no answer from AWS in us-east-1: tcp connect error", &endpoint]);
}

#[test]
fn what_aws_says_cannot_look_like_a_line_of_ours() {
    let place = Place::new();
    let message = format!("no\nForwarding 127.0.0.1:1 \u{1b}[2J\u{202e}{}", "x".repeat(100_000));
    place.fails("ListTasks", "ClientException", &message);
    for (program, more, _) in PROGRAMS {
        let output = support::output(&mut place.command(program, &[], more));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("error: "), "{program}");
        assert!(said.lines().all(|line| !line.starts_with("Forwarding")), "{program}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']) && said.len() < 20_000, "{program}: {}", said.len());
    }
}
