//! Of several tasks one is picked: on the terminal, or by the person's own filter.
#![cfg(unix)]

use crate::{Place, refuses, stderr};

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
    let mut terminal = crate::support::terminal::Terminal::start(&command);
    terminal.wait_for(newest.as_str().unwrap());
    terminal.type_keys("\x1b[B\r");
    terminal.wait_for("ecs:prod_");
    assert_eq!(terminal.end(), Some(0));

    let mut terminal = crate::support::terminal::Terminal::start(&command);
    terminal.wait_for(newest.as_str().unwrap());
    terminal.type_keys("\x03");
    terminal.wait_for("error: ");
    assert_eq!(terminal.end(), Some(130));
}

/// Ends with nothing chosen, however it was left.
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
    for program in ["ecsx-target", "ecsx-portforward", "ecsx-exec"] {
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
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(143), "{program}");
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
        let mut terminal = crate::support::terminal::Terminal::start(&command);
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

#[cfg(target_os = "linux")]
#[test]
fn who_names_nothing_on_a_terminal_is_asked_for_the_cluster() {
    let place = Place::new();
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = place.target(&["--color", "never", "--container", "main", "--region", "us-east-1"]);
    command.env("TERM", "xterm").env("PATH", "/usr/bin:/bin").current_dir(&nowhere);
    let mut terminal = crate::support::terminal::Terminal::start(&command);
    terminal.wait_for("cluster");
    terminal.wait_for("prod");
    terminal.type_keys("prod\r");
    terminal.wait_for("service:worker");
    terminal.type_keys("worker\r");
    terminal.wait_for("ecs:prod_");
    assert_eq!(terminal.end(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn nobody_is_asked_from_the_background() {
    let place = Place::new();
    let target = place.target(&["--service", "web", "--color", "never"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "set -m; \"$@\" & wait $!; echo ended $?", "sh"]).arg(target.get_program());
    shell.args(target.get_args()).current_dir(&place.directory).env("PATH", "/usr/bin:/bin");
    shell.envs(target.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let mut terminal = crate::support::terminal::Terminal::start(&shell);
    terminal.wait_for("the newest of 2");
    terminal.wait_for("ecs:prod_");
    terminal.wait_for("ended 0");
}
