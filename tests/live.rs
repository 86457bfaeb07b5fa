//! TAB with live values: from the project's files, from the sandbox as AWS, from the cache.
#![cfg(all(unix, feature = "aws"))]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::Sandbox;
use support::shell::{PROMPT, Shell, plain};
use support::suite::said;

/// A home, with a directory to work in, and a sandbox as its AWS.
struct Desk {
    home: tempfile::TempDir,
    sandbox: Sandbox,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap(), sandbox: Sandbox::start() };
        fs::create_dir(desk.home.path().join("work")).unwrap();
        desk
    }

    fn project(&self, file: &str, text: &str) {
        fs::write(self.home.path().join("work").join(file), text).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.command("ecsx");
        command.arg("__complete").args(words).current_dir(self.home.path().join("work"));
        command.env("HOME", self.home.path()).env("ECSX_COMPLETE_MS", "20000");
        for name in ["XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        command
    }

    /// The words that TAB offers.
    fn tab(&self, words: &[&str]) -> Vec<String> {
        let said = said(&mut self.command(words));
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
        let lines = said.stdout.lines().filter(|line| !line.starts_with(':'));
        lines.map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    /// The words that TAB offers once AWS has answered: a busy machine may need more than one TAB.
    fn tab_until(&self, words: &[&str], expected: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let offered = self.tab(words);
            if offered == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{words:?} offers {offered:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn clusters_and_services_come_from_aws_by_their_names() {
    let desk = Desk::new();
    desk.tab_until(&["target", "--cluster", ""], &["demo", "empty", "secret"]);
    desk.tab_until(&["portforward", "--cluster", "demo", "--service", "w"], &["web", "worker"]);
    // Before the plugin's name the dispatcher asks one of the plugins.
    desk.tab_until(&["--cluster", "d"], &["demo"]);
    desk.tab_until(&["--cluster", "demo", "--service", "we"], &["web"]);
    desk.tab_until(&["--cluster", "demo", "portforward", "--service=wo"], &["worker"]);
}

#[test]
fn tasks_and_containers_are_those_of_the_service() {
    let desk = Desk::new();
    let line = ["target", "--cluster", "demo", "--service", "web"];
    desk.tab_until(&[&line[..], &["--container", ""]].concat(), &["app", "sidecar"]);
    let tasks = desk.tab(&[&line[..], &["--task", ""]].concat());
    assert!(tasks.iter().all(|task| task.len() == 32 && !task.contains(':')), "{tasks:?}");
}

#[test]
fn what_the_project_says_needs_no_network() {
    let desk = Desk::new();
    desk.project(
        "ecspresso.yml",
        "region: us-east-1\ncluster: demo\nservice: shop\ntask_definition: td.json\n",
    );
    desk.project(
        "td.json",
        r#"{"family": "shop", "containerDefinitions": [{"name": "till"}, {"name": "log"}]}"#,
    );
    desk.project(
        "ecsx.yml",
        "presets:\n  db: {host: db.internal, port: 5432}\n  debug: {port: 9229}\n  web: {port: 80}\n",
    );
    assert_eq!(desk.tab(&["target", "--container", ""]), ["till", "log"]);
    assert_eq!(desk.tab(&["portforward", "d"]), ["db", "debug"]);
    assert_eq!(desk.tab(&["portforward", "db", "w"]), ["web"]);
    assert_eq!(desk.sandbox.calls("ListTasks"), 0);
    // The project's own service is there even if AWS says nothing.
    desk.sandbox.faults(json!({"api": {"ListServices": {"code": "AccessDeniedException", "count": 100}}}));
    assert_eq!(desk.tab(&["target", "--service", ""]), ["shop"]);
}

#[test]
fn what_a_project_says_is_offered_only_if_it_can_be_a_name() {
    let desk = Desk::new();
    desk.sandbox.faults(json!({"api": {"ListServices": {"code": "AccessDeniedException", "count": 100}}}));
    for (said, offered) in [("x;touch PWNED", &[][..]), ("-x y", &[]), ("web_1-a", &["web_1-a"])] {
        desk.project("ecspresso.yml", &format!("region: us-east-1\ncluster: demo\nservice: '{said}'\n"));
        assert_eq!(desk.tab(&["target", "--service", ""]), offered, "{said}");
    }
}

#[test]
fn the_second_tab_asks_nobody_and_the_cache_is_nobody_else_s() {
    let desk = Desk::new();
    let line = ["target", "--cluster", "demo", "--service", ""];
    desk.tab_until(&line, &["broken", "legacy", "web", "worker"]);
    let calls = desk.sandbox.calls("ListServices");
    assert_eq!(desk.tab(&line).len(), 4);
    assert_eq!(desk.sandbox.calls("ListServices"), calls);
    for entry in fs::read_dir(desk.home.path().join(".cache/ecsx/complete")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn tab_asks_as_whom_the_run_would_call_and_keeps_the_answers_of_each_apart() {
    let desk = Desk::new();
    let key = desk.sandbox.key().to_owned();
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    desk.project("profiles", &format!("[profile good]\n{}[profile bad]\n{}", keys(&key), keys("AKIABAD")));
    desk.project("good.env", &format!("AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY=s\n"));
    let tab = |words: &[&str]| {
        let mut command = desk.command(words);
        command.env("AWS_CONFIG_FILE", "profiles").env("AWS_ACCESS_KEY_ID", "AKIABAD");
        said(&mut command).stdout
    };
    let until = |words: &[&str], expected: &str| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while tab(words) != expected {
            assert!(Instant::now() < deadline, "{words:?} offers {}", tab(words));
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let all = "demo\nempty\nsecret\n:36\n";
    until(&["target", "--cluster", ""], ":36\n");
    until(&["target", "--profile", "good", "--cluster", ""], all);
    until(&["--profile", "good", "target", "--cluster", ""], all);
    until(&["target", "--profile", "bad", "--cluster", ""], ":36\n");
    until(&["target", "--envfile", "good.env", "--cluster", ""], all);
    until(&["target", "--cluster", ""], ":36\n");
}

#[test]
fn a_failure_is_not_asked_for_again_at_once() {
    let desk = Desk::new();
    desk.sandbox.faults(json!({"api": {"ListClusters": {"code": "AccessDeniedException", "count": 100}}}));
    assert_eq!(desk.tab(&["target", "--cluster", ""]), [""; 0]);
    desk.sandbox.wait_for("the question", |state| state["calls"]["ListClusters"].as_u64() >= Some(1));
    let asked = |desk: &Desk| desk.sandbox.calls("ListClusters");
    let before = asked(&desk);
    assert_eq!(desk.tab(&["target", "--cluster", ""]), [""; 0]);
    assert!(asked(&desk) <= before + 1);
}

#[test]
fn an_answer_that_comes_too_late_is_there_at_a_later_tab() {
    let desk = Desk::new();
    desk.sandbox.faults(json!({"api": {"ListClusters": {"delay_ms": 2000}}}));
    assert_eq!(desk.tab(&["target", "--cluster", ""]), [""; 0]);
    desk.tab_until(&["target", "--cluster", ""], &["demo", "empty", "secret"]);
    assert_eq!(desk.sandbox.calls("ListClusters"), 2, "the one in vain, and the one behind it");
}

/// Live values and presets in a real shell.
fn completes_live(program: &str, load: &str) {
    let desk = Desk::new();
    desk.project("ecsx.yml", "cluster: demo\npresets:\n  database: {host: db.internal, port: 5432}\n");
    let (arguments, setup) =
        plain(program, &load.replace("SHIMS", concat!(env!("CARGO_MANIFEST_DIR"), "/completions")));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(desk.home.path().join("work"));
    for (name, value) in desk.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    let beside = support::binary("ecsx").parent().unwrap().display().to_string();
    command.env("PATH", format!("{beside}:/usr/bin:/bin")).env("PS1", PROMPT).env("TERM", "xterm");
    command.env("HISTFILE", "/dev/null");
    // What is typed once must be there at once: have it in the cache.
    desk.tab_until(&["target", "--cluster", "demo", "--service", "wo"], &["worker"]);
    let mut shell = Shell::start(&command, &setup);
    shell.complete(
        "ecsx --cluster demo portf\t--serv\two\t",
        "<ecsx><--cluster><demo><portforward><--service><worker>",
    );
    shell.complete(
        "ecsx exec --cluster=demo --service=wo\t",
        "<ecsx><exec><--cluster=demo><--service=worker>",
    );
    shell.complete("ecsx --service wo\ttarg\t", "<ecsx><--service><worker><target>");
    shell.complete("ecsx portforward da\t", "<ecsx><portforward><database>");
}

#[test]
#[ignore = "needs bash and setsid"]
fn live_values_complete_in_bash() {
    completes_live("bash", "source SHIMS/ecsx.bash");
}

#[test]
#[ignore = "needs zsh and setsid"]
fn live_values_complete_in_zsh() {
    completes_live("zsh", "fpath=(SHIMS $fpath)");
}

#[test]
#[ignore = "needs fish and setsid"]
fn live_values_complete_in_fish() {
    completes_live("fish", "source SHIMS/ecsx.fish");
}

#[test]
fn without_credentials_or_region_there_is_nothing_and_no_word_of_it() {
    let desk = Desk::new();
    for missing in [&["AWS_REGION", "AWS_DEFAULT_REGION", "ECSX_REGION"][..], &["AWS_ACCESS_KEY_ID"]] {
        let mut command = desk.command(&["target", "--cluster", ""]);
        for name in missing {
            command.env_remove(name);
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        let said = said(&mut command);
        assert_eq!(
            (said.code, said.stdout.as_str(), said.stderr.as_str()),
            (Some(0), ":36\n", ""),
            "{missing:?}"
        );
    }
}

#[test]
fn first_party_plugins_keep_the_contract_and_have_manuals() {
    let desk = Desk::new();
    let ecsx = |words: &[&str]| {
        let mut command = desk.sandbox.command("ecsx");
        said(command.args(words).env("HOME", desk.home.path()).env("ECSX_COMPLETE_MS", "20000"))
    };
    for name in ["portforward", "exec", "target", "sandbox"] {
        let path = support::binary(&format!("ecsx-{name}")).display().to_string();
        let check = ecsx(&["plugin", "check", &path]);
        assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
    }
    let pages = desk.home.path().join("man");
    assert_eq!(ecsx(&["help", "--write-man", pages.to_str().unwrap()]).code, Some(0));
    for page in ["ecsx.1", "ecsx-portforward.1", "ecsx-exec.1", "ecsx-target.1", "ecsx-sandbox.1"] {
        assert!(fs::read_to_string(pages.join(page)).unwrap().contains(".TH "), "{page}");
    }
}
