//! What an author does, following docs/plugins.md: new, check, install, TAB. And what the page
//! says is what the code does.
#![cfg(unix)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use ecsx::plugin::{env, exit};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

use support::suite::{Suite, mode, said};

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins.md")).unwrap()
}

#[test]
fn the_page_has_the_tables_of_the_code() {
    let page = page();
    for (name, meaning) in env::TABLE {
        assert!(page.contains(&format!("| `{name}` | {meaning} |\n")), "{name}");
    }
    for (code, meaning) in exit::TABLE {
        assert!(page.contains(&format!("| {code} | {meaning} |\n")), "{code}");
    }
}

/// In the place of `ecsx target`: knows one service, and says whose.
const TARGET: &str = r#"#!/bin/sh
case $* in
'__complete --service we') printf 'web-of-%s\n:36\n' "$ECSX_CLUSTER" ;;
*) echo "{\"cluster\": \"$ECSX_CLUSTER\"}" ;;
esac
"#;

/// new, check, install, describe, TAB, help, remove; `build` makes the program of the directory.
fn from_nothing_to_tab(suite: &Suite, language: &str, option: &str, build: impl Fn(&Path) -> String) {
    let new = suite.run(&["plugin", "new", "shop-db", "--lang", language]);
    assert_eq!(new.code, Some(0), "{}", new.stderr);
    let program = build(&suite.path("ecsx-shop-db"));

    let check = suite.run(&["plugin", "check", &program]);
    assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
    for part in ["file", "describe", "complete", "--help", "--version", "options", "exit codes"] {
        assert!(check.stdout.contains(&format!("ok    {part}")), "{}", check.stdout);
    }

    let install = suite.run(&["plugin", "install", &program]);
    assert_eq!(install.code, Some(0), "{}", install.stderr);
    let list: Vec<Value> =
        serde_json::from_str(&suite.run(&["plugin", "list", "-o", "json"]).stdout).unwrap();
    let entry = list.iter().find(|entry| entry["name"] == "shop-db").unwrap();
    assert_eq!(entry["version"], "0.1.0");
    assert_eq!(entry["summary"], "Say which task would be taken");
    assert_eq!(entry["complete"], true);
    assert_eq!(entry["origin"], "installed");

    assert!(suite.tab(&["shop-d"]).starts_with("shop-db\tSay"));
    assert!(suite.tab(&["shop", "db", &option[..3]]).contains(option));
    assert!(suite.run(&["help", "shop", "db"]).stdout.contains(option));

    // It does its work: ecsx target, as the options before and after the name say.
    suite.program("suite/ecsx-target", TARGET);
    for words in [
        &["--cluster", "c", "shop", "db"][..],
        &["--cluster", "x", "shop", "db", "--cluster", "c"],
        &["shop", "db", "-v", "-q", "--color", "never", "--service=s", "--cluster=c"],
    ] {
        let said = suite.run(words);
        let json: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
        assert_eq!(json["cluster"], "c", "{words:?}");
    }

    // And completes the options of ecsx with what ecsx knows of them.
    for words in [&["--cluster", "c", "shop", "db"][..], &["shop", "db", option, "x", "--cluster", "c"]] {
        let words = [words, &["--service", "we"]].concat();
        assert_eq!(suite.tab(&words).lines().next(), Some("web-of-c"), "{words:?}");
    }

    let removed = suite.run(&["plugin", "remove", "shop-db"]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    assert_eq!(suite.run(&["shop-db"]).code, Some(127));
    assert!(!suite.tab(&["shop"]).contains("shop"));
}

fn script(directory: &Path) -> String {
    directory.join("ecsx-shop-db").display().to_string()
}

#[test]
fn a_plugin_in_sh_from_nothing_to_tab() {
    from_nothing_to_tab(&Suite::new(), "sh", "--format", script);
}

#[test]
#[ignore = "needs python3"]
fn a_plugin_in_python_from_nothing_to_tab() {
    from_nothing_to_tab(&Suite::new(), "python", "--field", script);
}

#[test]
#[ignore = "needs minutes: builds the crate anew"]
fn a_plugin_in_rust_from_nothing_to_tab() {
    from_nothing_to_tab(&Suite::new(), "rust", "--greeting", |directory| {
        // The crate as it is here, and the versions that were built already.
        let here = env!("CARGO_MANIFEST_DIR");
        let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
        let manifest = manifest.replace("version = \"0.1\"", &format!("path = \"{here}\""));
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        fs::copy(format!("{here}/Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--offline"]).current_dir(directory).env("CARGO_TARGET_DIR", &target);
        let built = said(&mut cargo);
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        target.join("debug/ecsx-shop-db").display().to_string()
    });
}

#[test]
fn a_new_plugin_replaces_nothing_and_takes_no_name_of_ecsx() {
    let suite = Suite::new();
    suite.program("ecsx-mine/work", "precious");
    let said = suite.run(&["plugin", "new", "mine"]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert_eq!(fs::read_to_string(suite.path("ecsx-mine/work")).unwrap(), "precious");
    for name in ["exec", "help", "../x", "A", "nul"] {
        assert_eq!(suite.run(&["plugin", "new", name]).code, Some(2), "{name}");
    }
}

#[test]
fn installing_takes_no_name_of_ecsx_and_replaces_only_when_told() {
    let suite = Suite::new();
    let plugin = suite.plugin("here/ecsx-x").display().to_string();
    let installed = suite.path(".local/share/ecsx/plugins/ecsx-x");
    let said = suite.run(&["plugin", "install", &plugin]);
    assert_eq!(said.code, Some(0));
    assert!(said.stderr.contains("__ecsx describe"), "it says that it has no description: {}", said.stderr);
    suite.program("here/ecsx-x", "#!/bin/sh\necho second\n");
    assert_eq!(suite.run(&["plugin", "install", &plugin]).code, Some(1));
    assert!(fs::read_to_string(&installed).unwrap().contains("here/ecsx-x"));
    let said = suite.run(&["plugin", "install", "--force", "here"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(suite.run(&["x"]).stdout, "second\n");
    for bad in ["here/ecsx-exec", "here/ecsx-version", "here/other"] {
        let bad = suite.plugin(bad).display().to_string();
        assert_eq!(suite.run(&["plugin", "install", &bad]).code, Some(1), "{bad}");
    }
}

#[test]
fn only_what_was_installed_is_removed() {
    let suite = Suite::new();
    let plugin = suite.plugin("bin/ecsx-x");
    let said = suite.run(&["plugin", "remove", "x"]);
    assert_eq!(said.code, Some(1));
    assert!(plugin.exists() && said.stderr.contains("bin/ecsx-x"), "{}", said.stderr);
}

#[test]
fn removing_takes_the_very_name_and_only_from_where_plugins_are_installed() {
    let suite = Suite::new();
    let installed = |name: &str| suite.path(".local/share/ecsx/plugins").join(format!("ecsx-{name}"));
    for name in ["db", "db-load"] {
        let plugin = suite.plugin(&format!("here/ecsx-{name}")).display().to_string();
        assert_eq!(suite.run(&["plugin", "install", &plugin]).code, Some(0));
    }
    // `ecsx db dump` would run `db`; that is not what was said.
    assert_eq!(suite.run(&["plugin", "remove", "db", "dump"]).code, Some(1));
    assert!(installed("db").exists());
    // What cannot run, or is shadowed, is there all the same.
    mode(&installed("db-load"), 0o644);
    assert_eq!(suite.run(&["plugin", "remove", "db", "load"]).code, Some(0));
    assert!(!installed("db-load").exists());
    let mut command = suite.ecsx(&["plugin", "remove", "db"]);
    assert_eq!(said(command.env("ECSX_PLUGINS", suite.path("here"))).code, Some(0));
    assert!(!installed("db").exists() && suite.path("here/ecsx-db").exists());
}

#[test]
fn installing_gives_nobody_a_right_that_the_file_did_not_give() {
    let suite = Suite::new();
    let installed = suite.path(".local/share/ecsx/plugins/ecsx-x");
    for (had, has) in [(0o700, 0o700), (0o755, 0o755), (0o777, 0o755)] {
        let plugin = suite.plugin("here/ecsx-x");
        mode(&plugin, had);
        suite.run(&["plugin", "install", "--force", plugin.to_str().unwrap()]);
        assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o777, has);
    }
}

#[test]
fn nothing_that_a_plugin_says_drives_the_terminal() {
    let suite = Suite::new();
    let plugin = suite.program(
        "bin/ecsx-x",
        "#!/bin/sh\n[ \"$1\" = __ecsx ] && echo '{\"schema\":1,\"name\":\"x\",\"version\":\"1\",\"summary\":\"s\",\
         \"homepage\":\"h\\u001b]0;PWN\\u0007\"}' && exit\nprintf '\\033[2Jhelp\\n'\n",
    );
    for words in [&["plugin", "inspect", "x"][..], &["plugin", "check", plugin.to_str().unwrap()]] {
        let said = suite.run(words);
        assert!(!said.stdout.contains(['\x1b', '\x07']), "{:?}", said.stdout);
        assert!(said.stdout.contains("help") || said.stdout.contains("PWN"), "{:?}", said.stdout);
    }
}

#[test]
fn check_finds_each_breach_of_the_contract() {
    let suite = Suite::new();
    let describe = |fields: &str| {
        format!(
            "#!/bin/sh\n[ \"$1\" = __ecsx ] && echo '{{\"schema\":1,\"name\":\"x\",\"version\":\"1\",\
             \"summary\":\"s\"{fields}}}' && exit\n"
        )
    };
    let rest = "case $1 in --help|--version) echo x;; __complete) echo :4;; *) exit 2;; esac\n";
    let sound = format!("{}{rest}", describe(",\"complete\":true"));
    for (program, about, complaint) in [
        (sound.as_str(), "", ""),
        ("#!/bin/sh\necho hi\n", "describe", "something else than the contract's JSON"),
        ("#!/bin/sh\nexit 1\n", "describe", "does not describe itself"),
        ("#!/bin/sh\nsleep 100\n", "describe", "was killed"),
        (&sound.replace("\"name\":\"x\"", "\"name\":\"y\""), "describe", "says that its name is `y`"),
        (&sound.replace("\"schema\":1", "\"schema\":2"), "describe", "schema 2"),
        (&sound.replace("\"summary\":\"s\"", "\"summary\":\"\""), "describe", "one line of plain text"),
        (&sound.replace("\"complete\"", "\"protocol\":[9],\"complete\""), "describe", "contract [9]"),
        (&sound.replace("echo :4", "echo a"), "complete", "must be `:N`"),
        (&sound.replace("echo :4", "printf 'a\\033b\\n:4\\n'"), "complete", "1 of 1 lines are no candidates"),
        (&sound.replace("echo :4", "sleep 100"), "complete", "was killed"),
        (&sound.replace("--help|", ""), "--help", "ended with"),
        (&sound.replace("exit 2", "exit 3"), "exit codes", "it should with 2"),
        (&sound.replace("*) exit 2", "*) echo no; exit 2"), "exit codes", "belongs on stderr"),
    ] {
        let program = suite.program("bin/ecsx-x", program);
        let said = suite.run(&["plugin", "check", program.to_str().unwrap()]);
        if about.is_empty() {
            assert_eq!(said.code, Some(0), "{}", said.stdout);
            assert!(said.stdout.contains("note  options"), "advice, no breach: {}", said.stdout);
            assert_eq!(
                suite.run(&["plugin", "check", "bin"]).stdout.lines().count(),
                8,
                "a directory will do"
            );
        } else {
            let line = said.stdout.lines().find(|line| line.starts_with(&format!("FAIL  {about}")));
            assert!(line.is_some_and(|line| line.contains(complaint)), "{complaint}: {}", said.stdout);
            assert_eq!(said.code, Some(1));
        }
    }
}

#[test]
fn the_examples_in_scripts_keep_the_contract() {
    let suite = Suite::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let psql = suite.program("bin/ecsx-psql", fs::read(examples.join("ecsx-psql")).unwrap());
    let check = suite.run(&["plugin", "check", psql.to_str().unwrap()]);
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    suite.plugin("suite/ecsx-portforward");
    assert_eq!(
        suite.run(&["psql", "--host", "db.internal", "-d", "shop", "-c", "select 1"]).stdout,
        "suite/ecsx-portforward <-L> <:db.internal:5432> <--> <psql> <-d> <shop> <-c> <select 1>\n"
    );
    assert_eq!(suite.run(&["psql"]).code, Some(2));
}

#[test]
#[ignore = "needs python3"]
fn the_example_in_python_shows_the_container_s_environment() {
    let suite = Suite::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ecsx-env");
    let env = suite.program("bin/ecsx-env", fs::read(example).unwrap());
    let check = suite.run(&["plugin", "check", env.to_str().unwrap()]);
    assert_eq!(check.code, Some(0), "{}", check.stdout);
    suite.program("suite/ecsx-exec", "#!/bin/sh\nprintf 'B=2\\n2\\0A=1=1\\0'\n");
    suite.program(
        "suite/ecsx-target",
        "#!/bin/sh\n[ \"$*\" = '__complete --service w' ] && printf 'web\\n:36\\n'\n",
    );
    assert_eq!(suite.run(&["env"]).stdout, "A=1=1\nB=2\n2\n");
    assert_eq!(suite.run(&["env", "-o", "json", "B"]).stdout, "{\n  \"B\": \"2\\n2\"\n}\n");
    assert_eq!(suite.run(&["plugin", "inspect", "env"]).code, Some(0));
    assert_eq!(suite.tab(&["env", "--service", "w"]), "web\n:36\n");
}
