//! PATH is everybody's: whatever lies there, the dispatcher runs only what it may.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::{chown, symlink};

use support::suite::{Said, Suite, mode, said};

/// `ecsx` with these words and this PATH.
fn with_path(suite: &Suite, path: &str, words: &[&str]) -> Said {
    said(suite.ecsx(words).env("PATH", path))
}

/// Nothing ran: 126 or 127, nothing on stdout.
fn refused(said: &Said, code: i32) {
    assert_eq!((said.code, said.stdout.as_str()), (Some(code), ""), "{}", said.stderr);
}

#[test]
fn entries_that_are_not_absolute_are_never_looked_at() {
    let suite = Suite::new();
    suite.plugin("ecsx-x");
    suite.plugin("here/ecsx-x");
    suite.plugin("~/ecsx-x");
    for path in [".", "", ":", "/usr/bin:", ":/usr/bin", "here", "./here", "../here", "~", "~/here"] {
        refused(&with_path(&suite, path, &["x"]), 127);
        refused(&with_path(&suite, path, &["plugin", "which", "x"]), 127);
        assert!(!with_path(&suite, path, &["plugin", "list"]).stdout.contains("ecsx-x"), "{path}");
        assert!(!with_path(&suite, path, &["help"]).stdout.contains("ecsx-x"), "{path}");
        assert!(!with_path(&suite, path, &["__complete", "x"]).stdout.starts_with('x'), "{path}");
    }
    let said = with_path(&suite, ".:/usr/bin", &["-v", "x"]);
    assert!(said.stderr.contains("ignored \".\""), "{}", said.stderr);
}

#[test]
fn a_name_never_becomes_a_path() {
    let suite = Suite::new();
    suite.plugin("x");
    suite.plugin("bin/x");
    suite.plugin("ecsx-../x");
    for name in ["../x", "./x", "/bin/sh", "..", ".", "a/b", "x\u{0}", "X", "con", "nul", ""] {
        if name.contains('\0') {
            continue;
        }
        refused(&suite.run(&[name]), 127);
        refused(&suite.run(&["plugin", "which", name]), 127);
    }
}

#[test]
fn a_first_party_name_is_run_from_beside_ecsx_and_from_nowhere_else() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-exec");
    suite.plugin("dev/ecsx-exec");
    suite.plugin("bin/ecsx-exec-ls");
    let mut command = suite.ecsx(&["exec", "ls"]);
    refused(&said(command.env("ECSX_PLUGINS", suite.path("dev"))), 126);
    suite.plugin("suite/ecsx-exec");
    assert_eq!(said(&mut command).stdout, "suite/ecsx-exec <ls>\n");
    let list = suite.run(&["plugin", "list"]).stdout;
    assert!(list.contains("bin/ecsx-exec refused: this name belongs to ecsx"), "{list}");
}

#[test]
fn an_installed_suite_finds_its_plugins_through_a_link_and_in_libexec() {
    let suite = Suite::new();
    suite.plugin("libexec/ecsx/ecsx-target");
    suite.plugin("suite/ecsx-exec");
    symlink(suite.path("suite/ecsx"), suite.path("bin/ecsx")).unwrap();
    for (name, from) in [("exec", "suite/ecsx-exec <>\n"), ("target", "libexec/ecsx/ecsx-target <>\n")] {
        let mut command = std::process::Command::new(suite.path("bin/ecsx"));
        assert_eq!(said(command.arg(name).env_clear()).stdout, from);
    }
}

#[test]
fn what_anybody_can_write_is_not_run() {
    let suite = Suite::new();
    let file = suite.plugin("bin/ecsx-x");
    mode(&file, 0o777);
    let said = suite.run(&["x"]);
    refused(&said, 126);
    assert!(
        said.stderr.contains("anybody can write to") && said.stderr.contains("chmod o-w"),
        "{}",
        said.stderr
    );
    mode(&file, 0o755);
    // A sticky directory as /tmp: others cannot replace the file, but could have put it there.
    mode(&suite.path("bin"), 0o1777);
    let said = suite.run(&["x"]);
    refused(&said, 126);
    assert!(said.stderr.contains("ecsx plugin install"), "{}", said.stderr);
    // A link from a sound directory leads to an unsound one.
    symlink(suite.path("bin/ecsx-x"), suite.path("suite/ecsx-linked")).unwrap();
    suite.plugin("elsewhere/unused");
    symlink(suite.path("bin/ecsx-x"), suite.path("elsewhere/ecsx-y")).unwrap();
    refused(&with_path(&suite, suite.path("elsewhere").to_str().unwrap(), &["y"]), 126);
}

#[test]
fn beside_ecsx_nothing_is_run_that_anybody_can_write_either() {
    let suite = Suite::new();
    for name in ["exec", "x"] {
        let file = suite.plugin(&format!("suite/ecsx-{name}"));
        mode(&file, 0o777);
        refused(&suite.run(&[name]), 126);
        mode(&file, 0o755);
        // `ecsx` copied to /tmp: anybody may have put its plugins there.
        mode(&suite.path("suite"), 0o1777);
        refused(&suite.run(&[name]), 126);
        mode(&suite.path("suite"), 0o755);
        assert_eq!(suite.run(&[name]).stdout, format!("suite/ecsx-{name} <>\n"));
    }
}

#[test]
fn every_directory_on_the_way_to_a_plugin_counts() {
    let suite = Suite::new();
    suite.plugin("open/bin/ecsx-x");
    let path = suite.path("open/bin").display().to_string();
    assert_eq!(with_path(&suite, &path, &["x"]).stdout, "open/bin/ecsx-x <>\n");
    // Anybody can put another `bin` there; in a sticky directory nobody can.
    mode(&suite.path("open"), 0o777);
    refused(&with_path(&suite, &path, &["x"]), 126);
    mode(&suite.path("open"), 0o1777);
    assert_eq!(with_path(&suite, &path, &["x"]).stdout, "open/bin/ecsx-x <>\n");
    // A link in between that anybody may have made.
    symlink(suite.path("open/bin/ecsx-x"), suite.path("open/link")).unwrap();
    symlink(suite.path("open/link"), suite.path("bin/ecsx-y")).unwrap();
    refused(&suite.run(&["y"]), 126);
    mode(&suite.path("open"), 0o755);
    assert_eq!(suite.run(&["y"]).stdout, "open/bin/ecsx-x <>\n");
}

#[test]
#[ignore = "needs root: who else can give a file away?"]
fn what_another_user_made_in_a_sticky_directory_is_not_run() {
    let suite = Suite::new();
    let file = suite.plugin("open/way/bin/ecsx-x");
    mode(&suite.path("open"), 0o1777);
    symlink(suite.path("open/way"), suite.path("link")).unwrap();
    let owned = ["open/way", "open/way/bin", "open/way/bin/ecsx-x"];
    for bin in ["open/way/bin", "link/bin"] {
        let path = suite.path(bin).display().to_string();
        assert_eq!(with_path(&suite, &path, &["x"]).stdout, "open/way/bin/ecsx-x <>\n");
        for strangers in owned {
            chown(suite.path(strangers), Some(12345), None).unwrap();
            let said = with_path(&suite, &path, &["x"]);
            refused(&said, 126);
            assert!(
                said.stderr.contains(&format!("{} belongs to another user", suite.path(strangers).display()))
                    && said.stderr.contains("ecsx plugin install"),
                "{}",
                said.stderr
            );
            chown(suite.path(strangers), Some(0), None).unwrap();
        }
    }
    // Elsewhere whom to trust is the person's choice; and a stranger's plugin can be installed.
    chown(suite.path("open/way"), Some(12345), None).unwrap();
    assert_eq!(suite.run(&["plugin", "install", file.to_str().unwrap()]).code, Some(0));
    assert_eq!(suite.run(&["x"]).stdout, "open/way/bin/ecsx-x <>\n");
    mode(&suite.path("open"), 0o755);
    let path = suite.path("open/way/bin").display().to_string();
    assert_eq!(with_path(&suite, &path, &["x"]).stdout, "open/way/bin/ecsx-x <>\n");
}

#[test]
fn a_file_that_is_called_as_a_command_of_ecsx_is_no_plugin() {
    let suite = Suite::new();
    for name in ["help", "plugin", "completion", "version"] {
        let file = suite.plugin(&format!("bin/ecsx-{name}")).display().to_string();
        let which = suite.run(&["plugin", "which", name]);
        refused(&which, 126);
        assert!(which.stderr.contains("command of ecsx itself"), "{}", which.stderr);
        assert!(suite.run(&["plugin", "list"]).stdout.contains(&format!("{file} is never run")));
        for words in [&["help"][..], &["version"]] {
            assert!(
                !suite.run(words).stdout.contains(&file)
                    && !suite.run(words).stdout.contains("not inspected")
            );
        }
        let tab = suite.tab(&[&name[..3]]);
        assert_eq!(tab.lines().filter(|line| line.starts_with(name)).count(), 1, "{tab}");
    }
}

#[test]
fn a_later_file_that_may_run_is_taken_and_the_earlier_one_is_reported() {
    let suite = Suite::new();
    let first = suite.plugin("bin/ecsx-x");
    mode(&first, 0o644);
    suite.plugin("second/ecsx-x");
    let path = format!("{}:{}", suite.path("bin").display(), suite.path("second").display());
    assert_eq!(with_path(&suite, &path, &["x"]).stdout, "second/ecsx-x <>\n");
    let list = with_path(&suite, &path, &["plugin", "list"]).stdout;
    assert!(list.contains("bin/ecsx-x is not executable"), "{list}");
    assert_eq!(
        with_path(&suite, &path, &["plugin", "which", "x"]).stdout.trim(),
        suite.path("second/ecsx-x").to_str().unwrap()
    );
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_126_and_say_so() {
    let suite = Suite::new();
    symlink("ecsx-b", suite.path("bin/ecsx-a")).unwrap();
    symlink("ecsx-a", suite.path("bin/ecsx-b")).unwrap();
    symlink("nothing", suite.path("bin/ecsx-c")).unwrap();
    fs::create_dir(suite.path("bin/ecsx-d")).unwrap();
    for name in ["a", "b", "c", "d"] {
        let said = suite.run(&[name]);
        refused(&said, 126);
        assert!(said.stderr.contains(&format!("ecsx-{name}")), "{}", said.stderr);
    }
    // PATH itself in a circle.
    symlink("loop", suite.path("loop")).unwrap();
    refused(&with_path(&suite, suite.path("loop").to_str().unwrap(), &["x"]), 127);
}

#[test]
fn a_script_without_an_interpreter_line_runs_as_a_shell_would_run_it() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "echo \"ran $1\"\n");
    assert_eq!(suite.run(&["x", "it"]).stdout, "ran it\n");
}

#[test]
fn what_cannot_be_started_says_why() {
    let suite = Suite::new();
    suite.program("bin/ecsx-bad", "#!/no/such/interpreter -x\n");
    suite.program("bin/ecsx-crlf", "#!/bin/sh\r\necho hi\r\n");
    let machine = if cfg!(target_arch = "riscv64") { 62 } else { 243 };
    let mut header = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01\0\0\0";
    header[18] = machine;
    suite.program("bin/ecsx-foreign", [&header[..], &[0; 40]].concat());
    for (name, why) in [("bad", "/no/such/interpreter"), ("crlf", "line endings"), ("foreign", "built for")] {
        let said = suite.run(&[name]);
        refused(&said, 126);
        assert!(said.stderr.contains(why), "{name}: {}", said.stderr);
    }
}

#[test]
fn a_plugin_does_not_shadow_itself() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-x");
    symlink(suite.path("bin"), suite.path("again")).unwrap();
    fs::create_dir(suite.path("third")).unwrap();
    symlink(suite.path("bin/ecsx-x"), suite.path("third/ecsx-x")).unwrap();
    let bin = suite.path("bin").display().to_string();
    let path = format!("{bin}:{bin}/:{}:{}", suite.path("again").display(), suite.path("third").display());
    let list = with_path(&suite, &path, &["plugin", "list"]).stdout;
    assert!(list.contains("bin/ecsx-x") && !list.contains("shadows"), "{list}");
    suite.plugin("other/ecsx-x");
    let path = format!("{path}:{}", suite.path("other").display());
    let list = with_path(&suite, &path, &["plugin", "list"]).stdout;
    assert!(list.contains(&format!("shadows {}", suite.path("other/ecsx-x").display())), "{list}");
}

#[test]
fn five_thousand_strangers_on_path_are_no_trouble() {
    let suite = Suite::new();
    for n in 0..5000 {
        fs::write(suite.path("bin").join(format!("tool-{n}")), "").unwrap();
    }
    suite.plugin("bin/ecsx-x");
    assert_eq!(suite.run(&["x"]).stdout, "bin/ecsx-x <>\n");
    assert!(suite.tab(&["x"]).starts_with("x\n"));
}

#[test]
fn listing_helping_and_tab_execute_nothing() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\ntouch \"$HOME/ran\"\n");
    for words in [&["help"][..], &["plugin", "list"], &["plugin", "which", "x"], &["version"]] {
        assert_eq!(suite.run(words).code, Some(0));
    }
    for words in [&[""][..], &["x"], &["x", ""], &["x", "-"], &["plugin", "inspect", ""]] {
        suite.tab(words);
    }
    assert!(!suite.path("ran").exists());
}
