//! `ecsx sandbox demo`, the first command of the README. It needs the real portforward beside it.
#![cfg(feature = "aws")]

use std::process::Command;

#[test]
fn the_demo_shows_the_main_job_and_ends_well() {
    // Without Ctrl-C, as behind a shell's `&`: the demo ends what it starts all the same.
    let mut command = Command::new(if cfg!(unix) { "sh" } else { env!("CARGO_BIN_EXE_ecsx") });
    if cfg!(unix) {
        command.args(["-c", "trap '' INT && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ecsx")]);
    }
    let output = command.args(["sandbox", "demo"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("SHA-256 equal"), "{stdout}");
    assert!(stderr.contains("Forwarding 127.0.0.1:"), "{stderr}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_demo_that_is_hung_up_leaves_nothing_behind() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_ecsx"), "sandbox", "demo"])
        .env("TMPDIR", place.path());
    let mut demo = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("$ ecsx portforward")).expect("the demo begins");
    let start = Instant::now();
    let children = loop {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", demo.id())).unwrap();
        if !children.is_empty() {
            break children;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no portforward");
        std::thread::sleep(Duration::from_millis(1));
    };
    kill_process(Pid::from_child(&demo), Signal::HUP).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(129));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    for child in children.split_whitespace() {
        while std::path::Path::new(&format!("/proc/{child}")).exists() {
            assert!(start.elapsed() < Duration::from_secs(20), "portforward is left behind");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
