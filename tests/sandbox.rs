//! The sandbox's AWS APIs, as any client of AWS sees them.

mod support;

use serde_json::{Value, json};
use support::Sandbox;

const ECS: &str = "AmazonEC2ContainerServiceV20141113";

fn ecs(sandbox: &Sandbox, operation: &str, body: Value) -> Value {
    let (status, answer) = sandbox.api(&format!("{ECS}.{operation}"), body);
    assert_eq!(status, 200, "{operation}: {answer}");
    answer
}

fn error(sandbox: &Sandbox, operation: &str, body: Value) -> String {
    let service = if operation.ends_with("Session") { "AmazonSSM" } else { ECS };
    let (status, answer) = sandbox.api(&format!("{service}.{operation}"), body);
    assert_eq!(status, 400, "{operation}: {answer}");
    assert!(answer["message"].is_string(), "{answer}");
    answer["__type"].as_str().unwrap().to_owned()
}

/// The SSM target of a container of the embedded world.
fn target(sandbox: &Sandbox, group: &str) -> String {
    let state = sandbox.state();
    let task = state["tasks"].as_array().unwrap().iter().find(|task| task["group"] == group).unwrap().clone();
    task["containers"][0]["target"].as_str().unwrap().to_owned()
}

#[test]
fn the_embedded_world_lists_and_describes() {
    let sandbox = Sandbox::start();
    let clusters = ecs(&sandbox, "ListClusters", json!({}));
    assert_eq!(clusters["clusterArns"][0], "arn:aws:ecs:us-east-1:123456789012:cluster/demo");
    let tasks = ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": "web"}));
    assert_eq!(tasks["taskArns"].as_array().unwrap().len(), 2);
    let tasks = ecs(&sandbox, "DescribeTasks", json!({"cluster": "demo", "tasks": tasks["taskArns"]}));
    let task = &tasks["tasks"][0];
    assert_eq!((&task["group"], &task["lastStatus"]), (&json!("service:web"), &json!("RUNNING")));
    assert_eq!(task["containers"][0]["managedAgents"][0]["name"], "ExecuteCommandAgent");
    let definition = ecs(&sandbox, "DescribeTaskDefinition", json!({"taskDefinition": "web"}));
    assert_eq!(definition["taskDefinition"]["containerDefinitions"][1]["name"], "sidecar");
    let services = ecs(&sandbox, "DescribeServices", json!({"cluster": "demo", "services": ["web", "nope"]}));
    assert_eq!(services["services"][0]["runningCount"], 2);
    assert_eq!(services["failures"][0]["reason"], "MISSING");
}

#[test]
fn lists_come_in_pages_that_end() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"page_size": 2}));
    let mut arns = Vec::new();
    let mut token = Value::Null;
    loop {
        let page = ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "nextToken": token}));
        let more = page["taskArns"].as_array().unwrap();
        assert!((1..=2).contains(&more.len()), "{page}");
        arns.extend(more.iter().cloned());
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    let state = sandbox.state();
    let all = state["tasks"].as_array().unwrap().iter().filter(|task| task["cluster"] == "demo");
    assert_eq!(arns, all.map(|task| task["arn"].clone()).collect::<Vec<_>>());
}

#[test]
fn what_is_not_there_is_refused_as_aws_refuses_it() {
    let sandbox = Sandbox::start();
    assert_eq!(error(&sandbox, "ListTasks", json!({"cluster": "nope"})), "ClusterNotFoundException");
    assert_eq!(
        error(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": "x"})),
        "ServiceNotFoundException"
    );
    let both = json!({"cluster": "demo", "serviceName": "web", "family": "web"});
    assert_eq!(error(&sandbox, "ListTasks", both), "InvalidParameterException");
    assert_eq!(
        error(&sandbox, "DescribeTaskDefinition", json!({"taskDefinition": "nope"})),
        "ClientException"
    );
    assert_eq!(error(&sandbox, "StartSession", json!({"Target": "ecs:demo_x_y"})), "TargetNotConnected");
    assert_eq!(error(&sandbox, "ResumeSession", json!({"SessionId": "x"})), "DoesNotExistException");
    assert_eq!(error(&sandbox, "NoSuchThing", json!({})), "UnknownOperationException");
}

#[test]
fn exec_needs_execute_command_and_a_running_agent() {
    let sandbox = Sandbox::start();
    let exec = |service: &str| {
        let tasks = ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": service}));
        json!({"cluster": "demo", "task": tasks["taskArns"][0], "container": "app", "command": "sh", "interactive": true})
    };
    assert_eq!(error(&sandbox, "ExecuteCommand", exec("legacy")), "InvalidParameterException");
    assert_eq!(error(&sandbox, "ExecuteCommand", exec("broken")), "TargetNotConnectedException");
    let answer = ecs(&sandbox, "ExecuteCommand", exec("web"));
    assert!(answer["session"]["sessionId"].as_str().unwrap().starts_with("ecs-execute-command-"));
}

#[test]
fn a_session_is_started_resumed_with_a_new_token_and_terminated() {
    let sandbox = Sandbox::start();
    let ssm = |operation: &str, body: Value| {
        let (status, answer) = sandbox.api(&format!("AmazonSSM.{operation}"), body);
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let started = ssm(
        "StartSession",
        json!({
            "Target": target(&sandbox, "service:web"), "DocumentName": "AWS-StartPortForwardingSession",
            "Parameters": {"portNumber": ["80"], "localPortNumber": ["0"]},
        }),
    );
    let id = json!({"SessionId": started["SessionId"]});
    assert!(started["StreamUrl"].as_str().unwrap().contains(started["SessionId"].as_str().unwrap()));
    let resumed = ssm("ResumeSession", id.clone());
    assert_ne!(resumed["TokenValue"], started["TokenValue"]);
    assert_eq!(ssm("DescribeSessions", json!({"State": "Active"}))["Sessions"].as_array().unwrap().len(), 1);
    ssm("TerminateSession", id.clone());
    assert_eq!(ssm("ResumeSession", id)["TokenValue"], Value::Null);
    assert_eq!(ssm("DescribeSessions", json!({"State": "History"}))["Sessions"][0]["Status"], "Terminated");
    assert_eq!(sandbox.state()["open_sessions"], 0);
}

#[test]
fn documents_check_their_parameters() {
    let sandbox = Sandbox::start();
    let start = |document: &str, parameters: Value| {
        let target = target(&sandbox, "service:web");
        error(
            &sandbox,
            "StartSession",
            json!({"Target": target, "DocumentName": document, "Parameters": parameters}),
        )
    };
    assert_eq!(start("No-Such", json!({})), "InvalidDocument");
    assert_eq!(start("AWS-StartPortForwardingSession", json!({"host": ["x"]})), "InvalidParameters");
    assert_eq!(
        start("AWS-StartPortForwardingSessionToRemoteHost", json!({"portNumber": ["1"]})),
        "InvalidParameters"
    );
    sandbox.faults(json!({"agent_version": "3.1.1100.0"}));
    let remote = json!({"host": ["db.internal"], "portNumber": ["1"], "localPortNumber": ["0"]});
    assert_eq!(start("AWS-StartPortForwardingSessionToRemoteHost", remote), "BadRequest");
}

#[test]
fn keys_and_regions_are_looked_at() {
    let sandbox = Sandbox::start();
    let call = |scope: &str| {
        sandbox.api_as(scope, &format!("{ECS}.DescribeClusters"), &json!({"clusters": ["demo"]})).1
    };
    assert_eq!(call("")["__type"], "MissingAuthenticationTokenException");
    assert_eq!(call("AKIAOTHER/20260101/us-east-1")["__type"], "UnrecognizedClientException");
    assert_eq!(call("ASIAEXPIRED/20260101/us-east-1")["__type"], "ExpiredTokenException");
    assert_eq!(call(&format!("{}/20260101/eu-west-1", sandbox.key()))["failures"][0]["reason"], "MISSING");
}

#[test]
fn web_pages_are_kept_out() {
    let sandbox = Sandbox::start();
    let state = format!("{}state", sandbox.admin);
    let (status, _) = sandbox.http("GET", &state, &[("Origin", "http://127.0.0.1")], "");
    assert_eq!(status, 403);
    let (status, answer) = sandbox.http_as("evil.example:80", "GET", &state, &[], "");
    assert_eq!(status, 421, "a name that was bound to this machine: {answer}");
    assert_eq!(sandbox.http_as("evil.example", "POST", "/", &[], "").0, 421);
    assert_eq!(sandbox.http_as("localhost:1", "GET", &state, &[], "").0, 200, "a tunnel's own end");
}

#[test]
fn only_who_knows_the_secret_gets_to_the_admin_interface() {
    let sandbox = Sandbox::start();
    let other = Sandbox::start().admin.clone();
    assert_ne!(sandbox.admin, other, "each run has its own");
    let (root, secret) = ("/_sandbox/", sandbox.admin.trim_end_matches('/').rsplit('/').next().unwrap());
    assert_eq!(sandbox.admin, format!("{root}{secret}/"));
    for prefix in
        [root, "/_sandbox//", &other, &format!("{root}{}/", &secret[1..]), &format!("{root}{secret}")]
    {
        let (status, answer) = sandbox.http("POST", &format!("{prefix}key/expire"), &[], "");
        assert_eq!(status, 403, "{prefix}: {answer}");
        assert!(!answer.contains("AKIA") && answer.contains("$ECSX_SANDBOX_ADMIN"), "{answer}");
    }
    assert_eq!(ecs(&sandbox, "ListClusters", json!({}))["failures"], Value::Null, "the key is still good");
    let exported = sandbox.env.iter().find(|(name, _)| name == "ECSX_SANDBOX_ADMIN").unwrap();
    assert_eq!(exported.1, format!("{}{}", sandbox.endpoint, sandbox.admin));
}

#[test]
fn sts_speaks_xml() {
    let sandbox = Sandbox::start();
    let signed = format!("AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/sts/aws4_request", sandbox.key());
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let (status, answer) = sandbox.http("POST", "/", &[("Authorization", &signed)], form);
    assert_eq!(status, 200);
    assert!(answer.contains("<Account>123456789012</Account>"), "{answer}");
}

#[test]
fn an_operation_fails_as_often_as_asked_and_is_counted() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"api": {"ListClusters": {"code": "ThrottlingException", "message": "Rate exceeded", "count": 2}}}));
    assert_eq!(error(&sandbox, "ListClusters", json!({})), "ThrottlingException");
    assert_eq!(error(&sandbox, "ListClusters", json!({})), "ThrottlingException");
    ecs(&sandbox, "ListClusters", json!({}));
    assert_eq!(sandbox.calls("ListClusters"), 3);
    assert_eq!(sandbox.calls("StartSession"), 0);
}

#[test]
fn a_killed_task_is_stopped_with_its_reason() {
    let sandbox = Sandbox::start();
    let tasks = ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": "worker"}));
    let arn = tasks["taskArns"][0].as_str().unwrap();
    let id = arn.rsplit('/').next().unwrap();
    sandbox.admin("POST", &format!("tasks/{id}/kill"), json!({"reason": "OutOfMemoryError"}));
    let left = ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": "worker"}));
    assert_eq!(left["taskArns"], json!([]));
    let task = ecs(&sandbox, "DescribeTasks", json!({"cluster": "demo", "tasks": [arn]}));
    assert_eq!(task["tasks"][0]["stoppedReason"], "OutOfMemoryError");
}

#[test]
fn a_deployment_replaces_the_tasks() {
    let sandbox = Sandbox::start();
    let list =
        || ecs(&sandbox, "ListTasks", json!({"cluster": "demo", "serviceName": "web"}))["taskArns"].clone();
    let old = list();
    sandbox.admin("POST", "services/demo/web/deploy", json!({"after_ms": 1}));
    let new = list();
    assert_eq!(new.as_array().unwrap().len(), 2);
    assert_ne!(old, new);
    sandbox.wait_for("the old tasks to stop", |state| {
        let tasks = state["tasks"].as_array().unwrap();
        tasks.iter().filter(|task| task["status"] == "STOPPED").count() == 2
    });
}

#[test]
fn a_world_of_ones_own_is_read_from_yaml() {
    let sandbox = Sandbox::with_fixture(
        "region: eu-west-1\nclusters:\n  - name: a_b\n    services:\n      - {name: s, tasks: 3, containers: [c]}\n",
    );
    assert!(sandbox.env.contains(&("AWS_REGION".to_owned(), "eu-west-1".to_owned())));
    let scope = &format!("{}/20260101/eu-west-1", sandbox.key());
    let body =
        json!({"Target": target(&sandbox, "service:s"), "DocumentName": "AWS-StartPortForwardingSession"});
    let (status, answer) = sandbox.api_as(scope, "AmazonSSM.StartSession", &body);
    assert_eq!(status, 200, "cluster names may hold underscores: {answer}");
}

#[cfg(unix)]
#[test]
fn run_gives_a_command_the_environment_and_takes_its_exit_code() {
    let run = |script: &str| {
        let mut command = std::process::Command::new(support::binary("ecsx-sandbox"));
        command.args(["run", "--", "sh", "-c", script]).output().unwrap()
    };
    let output = run("echo $AWS_ENDPOINT_URL $AWS_REGION; exit 7");
    assert_eq!(output.status.code(), Some(7));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("http://127.0.0.1:") && stdout.ends_with(" us-east-1\n"), "{stdout}");
    assert_eq!(run("kill -9 $$").status.code(), Some(137));
}

#[cfg(unix)]
#[test]
fn no_setting_of_ones_own_leads_a_command_away() {
    let mut command = std::process::Command::new(support::binary("ecsx-sandbox"));
    for name in
        ["AWS_PROFILE", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_SSM", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
    {
        command.env(name, "elsewhere");
    }
    let output = command.args(["run", "--", "env"]).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("AWS_ENDPOINT_URL=http://127.0.0.1:"), "{stdout}");
    assert!(!stdout.contains("elsewhere"), "{stdout}");
}

#[cfg(unix)]
#[test]
fn a_word_to_end_is_passed_on_to_the_command_that_runs() {
    use std::io::Read as _;
    let mut command = std::process::Command::new(support::binary("ecsx-sandbox"));
    command.args(["run", "--", "sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"]);
    let mut run = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let stdout = run.stdout.as_mut().unwrap();
    stdout.read_exact(&mut [0; 3]).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&run), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(7));
}

#[test]
fn a_taken_port_is_said_with_what_helps() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let output = std::process::Command::new(support::binary("ecsx-sandbox"))
        .args(["serve", "--port", &taken.to_string()])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert!(stderr.starts_with(&format!("error: cannot listen on 127.0.0.1:{taken}")), "{stderr}");
    assert!(stderr.contains("hint: "), "{stderr}");
}

#[test]
fn a_key_that_expires_is_refused_and_the_next_one_taken() {
    let sandbox = Sandbox::start();
    let list = |key: &str| {
        let scope = format!("{key}/20260101/us-east-1");
        sandbox.api_as(&scope, &format!("{ECS}.ListClusters"), &json!({})).1
    };
    let old = sandbox.key().to_owned();
    let new = sandbox.admin("POST", "key/expire", Value::Null)["AWS_ACCESS_KEY_ID"].clone();
    assert_eq!(list(&old)["__type"], "ExpiredTokenException");
    assert!(list(new.as_str().unwrap())["clusterArns"].is_array());
}

#[test]
fn health_is_the_fixtures_until_it_changes() {
    let world = "clusters: [{ name: c, services: [{ name: s, health: HEALTHY, containers: [a] }] }]";
    let sandbox = Sandbox::with_fixture(world);
    let id = sandbox.state()["tasks"][0]["id"].as_str().unwrap().to_owned();
    let health = || {
        let task = ecs(&sandbox, "DescribeTasks", json!({"cluster": "c", "tasks": [id]}))["tasks"][0].clone();
        assert_eq!(task["healthStatus"], task["containers"][0]["healthStatus"]);
        task["healthStatus"].clone()
    };
    assert_eq!(health(), "HEALTHY");
    sandbox.admin("POST", &format!("tasks/{id}/health"), json!({"status": "UNHEALTHY"}));
    assert_eq!(health(), "UNHEALTHY");
}

#[test]
fn the_fixture_that_is_printed_is_the_one_that_is_taken_without_any() {
    let run = |words: &[&str]| {
        let output =
            std::process::Command::new(support::binary("ecsx-sandbox")).args(words).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let own = Sandbox::with_fixture(&run(&["fixture"])).state();
    assert_eq!(own["tasks"], Sandbox::start().state()["tasks"]);
}

#[test]
fn what_the_admin_interface_does_not_know_is_404_however_it_is_spelt() {
    let sandbox = Sandbox::start();
    let status = |method, path| sandbox.http(method, &format!("{}{path}", sandbox.admin), &[], "").0;
    assert_eq!(status("GET", "/state/"), 200);
    for path in ["", "nothing", "tasks/nobody/kill", "sessions/last/cut"] {
        assert_eq!(status("POST", path), 404, "{path}");
    }
    assert_eq!(status("POST", "outage"), 400);
}
