//! `ecsx sandbox demo`, the first command of the README. It needs the real portforward beside it.
#![cfg(feature = "aws")]

use std::process::Command;

#[test]
fn the_demo_shows_the_main_job_and_ends_well() {
    let output = Command::new(env!("CARGO_BIN_EXE_ecsx")).args(["sandbox", "demo"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("SHA-256 equal"), "{stdout}");
    assert!(stderr.contains("Forwarding 127.0.0.1:"), "{stderr}");
}
