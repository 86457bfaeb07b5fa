//! `ecsx NAME` behaves as if `ecsx-NAME` had been run directly, only with more environment.
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use support::suite::{Said, Suite, said, spawn};
use support::terminal::Terminal;

#[test]
fn everything_after_the_name_reaches_the_plugin_as_it_was_typed() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-x");
    let said = suite.run(&["x", "--cluster", "a b", "-v", "--", "", "--help", "-x=*"]);
    assert_eq!(said.stdout, "bin/ecsx-x <--cluster> <a b> <-v> <--> <> <--help> <-x=*>\n");
    assert_eq!(said.code, Some(0));
}

#[test]
fn a_profile_that_is_asked_for_beats_keys_in_the_environment() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\necho \"$AWS_PROFILE,$AWS_ACCESS_KEY_ID\"\n");
    let run = |words: &[&str], profile: &str| {
        said(suite.ecsx(words).env(profile, "e").env("AWS_ACCESS_KEY_ID", "AKIA")).stdout
    };
    assert_eq!(run(&["--profile", "p", "x"], "AWS_PROFILE"), "p,\n");
    assert_eq!(run(&["--profile", "e", "x"], "AWS_PROFILE"), "e,\n", "also if it is the same");
    assert_eq!(run(&["x"], "AWS_PROFILE"), "e,AKIA\n");
    assert_eq!(run(&["x"], "ECSX_PROFILE"), "e,\n");
}

#[test]
fn an_option_that_says_the_default_or_nothing_replaces_what_is_inherited() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\necho \"$ECSX_COLOR,$ECSX_CLUSTER,$ECSX_CONFIG\"\n");
    let run = |words: &[&str]| {
        let mut command = suite.ecsx(words);
        command.env("ECSX_COLOR", "never").env("ECSX_CLUSTER", "c").env("ECSX_CONFIG", "rel.yml");
        said(&mut command).stdout
    };
    let config = suite.path("rel.yml").display().to_string();
    assert_eq!(run(&["x"]), format!("never,c,{config}\n"), "a relative path is made absolute");
    assert_eq!(run(&["--color", "auto", "--cluster", "", "x"]), format!("auto,,{config}\n"));
}

#[test]
fn a_variable_that_is_empty_says_nothing_and_one_that_says_yes_counts() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-x");
    for (name, value) in [
        ("ECSX_COLOR", ""),
        ("ECSX_VERBOSE", ""),
        ("ECSX_VERBOSE", "true"),
        ("ECSX_QUIET", ""),
        ("ECSX_CLUSTER", ""),
        ("ECSX_CONFIG", ""),
        ("ECSX_PROFILE", ""),
    ] {
        for words in [&["x"][..], &["--service", "s", "x"], &["version"]] {
            let said = said(suite.ecsx(words).env(name, value));
            assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{name}={value} {words:?}");
        }
    }
}

#[test]
fn options_before_the_name_become_environment() {
    let suite = Suite::new();
    suite
        .program("bin/ecsx-x", "#!/bin/sh\npwd; env | grep -E '^(ECSX|AWS)_' | grep -v COMPLETE_MS | sort\n");
    let home = suite.path("").display().to_string();
    let home = home.trim_end_matches('/');
    let words = ["-C", "bin", "--config", "p.yml", "--cluster", "c", "--service=s", "-vv", "-q", "--color"];
    let said = suite.run(&[&words[..], &["never", "--profile", "p", "--region", "r", "x"]].concat());
    let expected = format!(
        "{home}/bin\nAWS_DEFAULT_REGION=r\nAWS_PROFILE=p\nAWS_REGION=r\nECSX_BIN={home}/suite/ecsx\nECSX_CLUSTER=c\n\
         ECSX_COLOR=never\nECSX_CONFIG={home}/bin/p.yml\nECSX_PLUGIN_NAME=x\nECSX_PLUGIN_PROTOCOL=1\n\
         ECSX_PROFILE=p\nECSX_QUIET=1\nECSX_REGION=r\nECSX_SERVICE=s\nECSX_VERBOSE=2\nECSX_VERSION={}\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(said.stdout, expected);
}

#[test]
fn an_option_beats_the_environment_and_what_was_inherited_of_the_contract_is_replaced() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\necho $ECSX_CLUSTER $ECSX_SERVICE $ECSX_BIN\n");
    let mut command = suite.ecsx(&["--cluster", "flag", "x"]);
    command.env("ECSX_CLUSTER", "inherited").env("ECSX_SERVICE", "inherited").env("ECSX_BIN", "/evil");
    let expected = format!("flag inherited {}\n", suite.path("suite/ecsx").display());
    assert_eq!(said(&mut command).stdout, expected);
}

#[test]
fn the_longest_name_runs_and_an_option_ends_it() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-db");
    suite.plugin("bin/ecsx-db-dump");
    assert_eq!(suite.run(&["db", "dump", "x"]).stdout, "bin/ecsx-db-dump <x>\n");
    assert_eq!(suite.run(&["db", "load", "x"]).stdout, "bin/ecsx-db <load> <x>\n");
    assert_eq!(suite.run(&["db", "-v", "dump"]).stdout, "bin/ecsx-db <-v> <dump>\n");
    assert_eq!(suite.run(&["db-dump"]).stdout, "bin/ecsx-db-dump <>\n");
}

#[test]
fn the_exit_code_is_the_plugin_s() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\nexit $1\n");
    for code in ["0", "1", "2", "77", "126", "127", "255"] {
        assert_eq!(suite.run(&["x", code]).code.unwrap().to_string(), code);
    }
}

#[test]
fn an_unknown_name_ends_with_127_and_names_near_ones() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-database");
    let said = suite.run(&["databse"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(127), ""));
    assert!(said.stderr.contains("`databse`") && said.stderr.contains("`ecsx database`"), "{}", said.stderr);
    assert!(!said.stderr.contains("looked in"));
    let said = suite.run(&["-v", "databse"]);
    assert!(said.stderr.contains(&format!("looked in {}", suite.path("bin").display())), "{}", said.stderr);
    assert!(suite.run(&["exce"]).stderr.contains("`ecsx exec`"));
    assert!(suite.run(&["verson"]).stderr.contains("`ecsx version`"));
}

#[test]
fn a_plugin_of_ecsx_that_is_missing_is_not_called_unknown() {
    let suite = Suite::new();
    let said = suite.run(&["exec", "ls"]);
    assert_eq!(said.code, Some(127));
    assert!(said.stderr.contains("ecsx-exec is missing"), "{}", said.stderr);
}

#[test]
fn wrong_options_before_the_name_end_with_2_and_run_nothing() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-x");
    for words in [&["--no-such", "x"][..], &["-C", "no-such-directory", "x"], &["--color", "mauve", "x"]] {
        let said = suite.run(words);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{words:?}");
        assert!(said.stderr.contains(words[1]) || said.stderr.contains(words[0]), "{}", said.stderr);
    }
}

#[test]
fn nothing_said_shows_the_help_on_stderr_and_help_on_stdout() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-x");
    let nothing = suite.run(&[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(2), ""));
    for words in [&["help"][..], &["--help"], &["-h"]] {
        let help = suite.run(words);
        assert_eq!((help.code, &help.stdout), (Some(0), &nothing.stderr), "{words:?}");
    }
    for word in ["Usage:", "Plugins:", "  x ", "completion", "--cluster"] {
        assert!(nothing.stderr.contains(word), "{word}");
    }
}

#[test]
fn every_command_of_ecsx_shows_its_own_help() {
    let suite = Suite::new();
    for (words, says) in [
        (&["plugin"][..], "Usage: ecsx plugin"),
        (&["plugin", "new"], "--lang"),
        (&["plugin", "list"], "--output"),
        (&["completion"], "[SHELL]"),
        (&["completion", "install"], "where the shell finds it"),
        (&["version"], "Usage: ecsx version"),
        (&["help"], "--write-man"),
    ] {
        for option in ["--help", "-h"] {
            let said = suite.run(&[words, &[option]].concat());
            assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{words:?}");
            assert!(said.stdout.contains(says) && said.stdout.contains("--help"), "{}", said.stdout);
        }
    }
}

#[test]
fn a_usage_line_shows_what_was_typed_and_nothing_of_the_environment() {
    let suite = Suite::new();
    let mut command = suite.ecsx(&["plugin", "which"]);
    let said = said(command.env("ECSX_REGION", "r").env("ECSX_CLUSTER", "c"));
    assert!(
        said.stderr.contains("Usage: ecsx plugin which") && !said.stderr.contains("--region"),
        "{}",
        said.stderr
    );
}

#[test]
fn an_option_of_a_plugin_before_its_name_is_told_its_place() {
    let suite = Suite::new();
    for words in [&["--task", "0123", "--cluster", "c", "exec"][..], &["--envfile=x", "target"]] {
        let said = suite.run(words);
        assert!(said.code == Some(2) && said.stderr.contains("ecsx NAME --"), "{}", said.stderr);
    }
    assert!(!suite.run(&["plugin", "list", "--task"]).stderr.contains("ecsx NAME"));
}

#[test]
fn help_for_a_plugin_is_the_plugin_s_own() {
    let suite = Suite::new();
    suite.plugin("bin/ecsx-db-dump");
    assert_eq!(suite.run(&["help", "db", "dump"]).stdout, "bin/ecsx-db-dump <--help>\n");
    assert_eq!(suite.run(&["help", "nothing"]).code, Some(127));
    assert!(suite.run(&["help", "plugin", "new"]).stdout.contains("--lang"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_plugin_s_manual_is_shown_by_man_and_its_help_where_that_fails() {
    let suite = Suite::new();
    suite.program(
        "bin/ecsx-x",
        "#!/bin/sh\ncase $* in\n'__ecsx describe') echo '{\"schema\":1,\"name\":\"x\",\"version\":\"1\",\
         \"summary\":\"s\",\"manual\":true}';;\n'__ecsx man') echo '.TH X 1';;\n*) echo \"said $*\";;\nesac\n",
    );
    let shows = |expected: &str| {
        let mut terminal = Terminal::start(&suite.ecsx(&["help", "x"]));
        terminal.wait_for(expected);
        assert_eq!(terminal.end(), Some(0));
    };
    suite.program("bin/man", "#!/bin/sh\nwhile read -r line; do echo \"page: $line\"; done < \"$1\"\n");
    // Not inspected: not asked for what it may not know.
    shows("said --help");
    assert_eq!(suite.run(&["plugin", "inspect", "x"]).code, Some(0));
    shows("page: .TH X 1");
    assert_eq!(suite.run(&["help", "x"]).stdout, "said --help\n", "a pipe wants no pager");
    suite.program("bin/man", "#!/bin/sh\necho broken >&2; exit 1\n");
    shows("said --help");
}

#[test]
fn version_lists_the_suite_and_runs_none_of_it() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\ntouch ran\n");
    suite.plugin("suite/ecsx-exec");
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(suite.run(&["--version"]).stdout, format!("ecsx {own}\n"));
    assert_eq!(suite.run(&["version"]).stdout, format!("ecsx  {own}\nexec  {own}\nx     (not inspected)\n"));
    let json: serde_json::Value =
        serde_json::from_str(&suite.run(&["version", "-o", "json"]).stdout).unwrap();
    assert_eq!(json[2], serde_json::json!({"name": "x", "version": null}));
    assert!(!suite.path("ran").exists());
}

#[test]
fn the_plugin_is_the_process_that_was_started_and_gets_its_signals() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\ntrap 'exit 42' TERM\necho $$\nread -r _\n");
    let mut child = spawn(suite.ecsx(&["x"]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), child.id().to_string());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn a_plugin_starts_with_no_signal_blocked_or_ignored() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\ngrep -E '^Sig(Blk|Ign)' /proc/self/status\n");
    let direct = said(Command::new(suite.path("bin/ecsx-x")).env_clear());
    assert_eq!(suite.run(&["x"]).stdout, direct.stdout);
}

/// Runs a line of sh that finds `ecsx` and the plugins in `bin`.
fn through_sh(suite: &Suite, line: &str) -> Said {
    let mut ecsx = suite.ecsx(&[]);
    let path = format!("{}:{}:/usr/bin:/bin", suite.path("suite").display(), suite.path("bin").display());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(suite.path("")).env_clear();
    command.envs(ecsx.env("PATH", path).get_envs().filter_map(|(name, value)| Some((name, value?))));
    said(&mut command)
}

/// nohup, service managers and `trap '' PIPE` have signals ignored on purpose.
#[test]
fn a_signal_that_the_caller_has_ignored_or_blocked_stays_so() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\ngrep -E '^Sig(Blk|Ign)' /proc/self/status\n");
    let run = |program: &str, before: &str| through_sh(&suite, &format!("{before}; exec {program}")).stdout;
    let mut seen = Vec::new();
    for before in [":", "trap '' PIPE", "trap '' HUP INT", "trap '' HUP PIPE"] {
        let through = run("ecsx x", before);
        assert_eq!(through, run("ecsx-x", before), "{before}");
        seen.push(through);
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "each is another one: {seen:?}");
}

#[test]
fn a_stream_that_is_closed_is_closed_for_the_plugin_too() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\n(echo said) 2>/dev/null && exit 0; exit 9\n");
    for program in ["ecsx-x", "ecsx x"] {
        assert_eq!(through_sh(&suite, &format!("exec {program} >&-")).code, Some(9), "{program}");
    }
}

#[test]
fn a_plugin_whose_reader_has_gone_dies_of_it() {
    let suite = Suite::new();
    suite.program("bin/ecsx-x", "#!/bin/sh\nwhile echo y; do :; done\nexit 3\n");
    let mut child = spawn(suite.ecsx(&["x"]).stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut some = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(rustix::process::Signal::PIPE.as_raw()));
}

#[test]
fn the_dispatcher_s_own_output_may_be_cut_short() {
    let suite = Suite::new();
    for words in [&["help"][..], &["plugin", "list"], &["version", "-o", "json"], &["completion", "zsh"]] {
        let mut child = spawn(suite.ecsx(words).stdout(Stdio::piped()).stderr(Stdio::piped()));
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{words:?}");
    }
}

#[test]
#[ignore = "needs bash and setsid"]
fn ctrl_z_and_ctrl_c_reach_the_plugin_and_the_shell_sees_them() {
    let suite = Suite::new();
    suite.program(
        "bin/ecsx-x",
        "#!/bin/sh\ntrap 'echo caught; exit 130' INT\necho up\nwhile :; do read -r line && echo \"got $line\"; done\n",
    );
    let mut bash = suite.ecsx(&[]);
    let path = format!("{}:{}:/usr/bin:/bin", suite.path("suite").display(), suite.path("bin").display());
    bash.env("PATH", path).env("PS1", "READY> ").env("HISTFILE", "/dev/null");
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]).current_dir(suite.path(""));
    shell.envs(bash.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut terminal = Terminal::start(&shell);
    terminal.wait_for("READY> ");
    terminal.type_keys("ecsx x\r");
    terminal.wait_for("up\r\n");
    terminal.type_keys("\x1a");
    terminal.wait_for("Stopped");
    terminal.wait_for("READY> ");
    terminal.type_keys("fg\r");
    // Until it reads, the terminal may still be the shell's: it would keep a \\r as it is.
    terminal.type_keys("hello\n");
    terminal.wait_for("got hello");
    terminal.type_keys("\x03");
    terminal.wait_for("caught");
    terminal.wait_for("READY> ");
    terminal.type_keys("echo code=$?\r");
    terminal.wait_for("code=130");
    terminal.type_keys("exit 7\r");
    assert_eq!(terminal.end(), Some(7));
}
