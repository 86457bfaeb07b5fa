//! Forwards by the names that `ecsx.yml` gives them.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Forward, connect, echo, exchange};
use crate::support::Sandbox;

/// A sandbox, and a directory with an `ecsx.yml` for it.
struct Project {
    sandbox: Sandbox,
    directory: tempfile::TempDir,
    /// That `db` asks for.
    port: u16,
}

impl Project {
    fn new() -> Self {
        let sandbox = Sandbox::start();
        sandbox.name("db.internal:5432", echo());
        sandbox.name("redis.internal:6379", echo());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "cluster: demo\nservice: web\npresets:\n  \
             db: {{host: '{{{{ env `DB_HOST` `db.internal` }}}}', port: 5432, local_port: {port}, container: app}}\n  \
             redis: {{host: redis.internal, port: 6379, address: 127.0.0.1}}\n  \
             side: {{port: 80, container: sidecar}}\n  \
             secret: {{host: '{{{{ must_env `SECRET_HOST` }}}}', port: 1}}\n"
        );
        fs::write(directory.path().join("ecsx.yml"), text).unwrap();
        Self { sandbox, directory, port }
    }

    /// `ecsx portforward WORDS…`, in the project's directory.
    fn portforward(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.command("ecsx");
        command.arg("portforward").args(words).current_dir(&self.directory);
        command.env("HOME", self.directory.path()).env_remove("DB_HOST").env_remove("SECRET_HOST");
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.portforward(words).output().unwrap()
    }

    /// What a run says on stderr that must fail with this code.
    fn refuses(&self, words: &[&str], code: i32) -> String {
        let output = self.output(words);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(code), &b""[..]), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn several_are_started_by_their_names_in_one_run() {
    let project = Project::new();
    let mut forward = Forward::of(project.portforward(&["db", "redis", "-o", "json"]));
    // One destination a session: each is ready when it is.
    let (first, second) = (forward.event("ready"), forward.event("ready"));
    let of = |host: &str| [&first, &second].into_iter().find(|event| event["remote_host"] == host).unwrap();
    let (db, redis) = (of("db.internal"), of("redis.internal"));
    assert_eq!((&db["local_port"], &db["remote_port"]), (&json!(project.port), &json!(5432)));
    assert_eq!(redis["remote_port"], json!(6379));
    assert_eq!(redis["address"].as_array().unwrap().len(), 1, "the preset names one address: {redis}");
    assert_eq!((&db["container"], &redis["container"]), (&json!("app"), &json!("app")));
    for event in [db, redis] {
        let port = event["local_port"].as_u64().unwrap().try_into().unwrap();
        exchange(&mut connect(port), b"ping");
    }
}

#[test]
fn flags_and_forwards_go_with_names() {
    let project = Project::new();
    project.sandbox.name("other.internal:1", echo());
    let words = ["db", "side", "-L", ":other.internal:1", "--container", "app", "-o", "json"];
    let mut forward = Forward::of(project.portforward(&words));
    let ready = [(); 3].map(|()| forward.event("ready"));
    assert!(ready.iter().all(|event| event["container"] == "app"), "--container is over a preset's");
    assert!(ready.iter().any(|event| event["remote_host"] == "other.internal"));
}

#[test]
fn a_command_behind_a_preset_finds_its_port() {
    let project = Project::new();
    let output = project.output(&["db", "--", "echo", "{port}"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", project.port));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_presets_port_that_is_taken_can_be_another_one() {
    let project = Project::new();
    let taken = TcpListener::bind(("127.0.0.1", project.port)).unwrap();
    let said = project.refuses(&["db"], 1);
    assert!(said.contains("in use") && said.contains("PORT:db, or :db"), "{said}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for words in [vec!["db", "--local-port", &free], vec![&format!("{free}:db")]] {
        let output = project.output(&[&words[..], &["--", "echo", "{port}"]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), free, "{words:?}");
    }
    let output = project.output(&[":db", "--", "echo", "{port}"]);
    let port: u16 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert_ne!(port, project.port);
    drop(taken);
}

#[test]
fn a_port_that_is_asked_for_twice_is_said_to_be() {
    let project = Project::new();
    let forward = format!("{}:redis.internal:6379", project.port);
    for words in [&["db", "db"][..], &["db", "-L", &forward]] {
        let said = project.refuses(words, 2);
        assert!(said.contains(&format!("local port {} is asked for twice", project.port)), "{said}");
    }
    assert_eq!(project.sandbox.state()["calls"], json!({}));
}

#[test]
fn a_command_finds_the_ports_in_the_order_they_were_typed() {
    let project = Project::new();
    let forward = format!("{}:db.internal:5432", project.port);
    for words in [&["redis", "-L", &forward][..], &[":redis", "db", "-L", ":redis"]] {
        let output = project.output(&[words, &["--container", "app", "--", "echo", "{port2}"]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), project.port.to_string(), "{words:?}");
    }
}

#[test]
fn a_list_of_nothing_says_why_on_stderr() {
    let project = Project::new();
    let file = project.directory.path().join("ecsx.yml");
    let list = || {
        let output = project.output(&["--list"]);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b""[..]));
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(&file, "cluster: demo\n").unwrap();
    let said = list();
    assert!(said.contains("ecsx.yml names no presets"), "{said}");
    fs::remove_file(&file).unwrap();
    let said = list();
    assert!(said.contains("there is no ecsx.yml"), "{said}");
    let said = project.refuses(&["db", "--cluster", "demo", "--service", "web"], 2);
    assert!(said.contains("no preset \"db\"") && said.contains("there is no ecsx.yml"), "{said}");
}

#[test]
fn what_a_file_says_does_not_drive_the_terminal() {
    let project = Project::new();
    let text = "presets:\n  x: {host: h, port: 80, container: \"c\\e]0;PWN\\a\\e[2J\"}\n";
    fs::write(project.directory.path().join("ecsx.yml"), text).unwrap();
    let output = project.output(&["--list"]);
    let list = String::from_utf8(output.stdout).unwrap();
    assert!(list.starts_with('x') && !list.contains(['\x1b', '\x07']), "{list:?}");
}

#[test]
fn the_list_shows_each_and_asks_nothing_of_aws() {
    let project = Project::new();
    let list = String::from_utf8(project.output(&["--list"]).stdout).unwrap();
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines[0], format!("db      {}:db.internal:5432  through app", project.port));
    assert_eq!(lines[1..3], ["redis   127.0.0.1::redis.internal:6379", "side    :80  through sidecar"]);
    assert!(lines[3].starts_with("secret  not now: ") && lines[3].contains("SECRET_HOST"), "{list}");
    let json = String::from_utf8(project.output(&["--list", "-o", "json"]).stdout).unwrap();
    let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let db = json!({"name": "db", "host": "db.internal", "port": 5432, "local_port": project.port,
        "container": "app", "address": null});
    assert_eq!(json[0], db);
    assert_eq!(json[3]["name"], "secret");
    assert!(json[3]["error"].as_str().unwrap().contains("SECRET_HOST"));
    assert_eq!(project.sandbox.state()["calls"], json!({}));
}

#[test]
fn a_name_that_is_none_is_told_which_there_are() {
    let said = Project::new().refuses(&["bd"], 2);
    assert!(said.contains("no preset \"bd\"") && said.contains("db, redis, side, secret"), "{said}");
    assert!(said.contains("did you mean db?"), "{said}");
}

#[test]
fn a_preset_that_lacks_a_variable_says_which_and_where() {
    let said = Project::new().refuses(&["db", "secret"], 1);
    assert!(said.contains("SECRET_HOST") && said.contains("ecsx.yml:7:"), "{said}");
}

#[test]
fn presets_of_different_containers_do_not_go_together() {
    let said = Project::new().refuses(&["db", "side"], 1);
    assert!(said.contains("the container app") && said.contains("--container"), "{said}");
}
