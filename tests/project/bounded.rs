//! Hostile cases, each in a process of its own: one without end fails by its name, rather than
//! hang, and one that takes too much memory is measured, whatever the other tests take.

use std::any::type_name;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The longest that a case may take. Real ones take a second or two, unoptimised and on a busy
/// machine some more.
const LONGEST: Duration = Duration::from_secs(60);
/// Names the case that a process is there for.
const CASE: &str = "ECSX_TEST_CASE";

/// Runs `case`, a closure of the test itself, in a process of its own: it must end, and with no
/// more than `most` MiB of memory at the highest (where the system tells). `label` tells it from
/// the other cases of the test.
#[track_caller]
pub(crate) fn bounded<F: FnOnce()>(label: &str, most: u64, case: F) {
    if let Some(wanted) = std::env::var_os(CASE) {
        if wanted == label {
            case();
            println!("\nended with {} MiB", peak().unwrap_or(0));
            // A thread that was given up may still run.
            std::process::exit(0);
        }
        return;
    }
    // `project::bounds::templates_end::{{closure}}`
    let name = type_name::<F>();
    let name = name.strip_suffix("::{{closure}}").and_then(|name| name.split_once("::")).unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CASE, label)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut said = String::new();
        let _ = stdout.read_to_string(&mut said);
        let _ = sender.send(said);
    });
    let said = receiver.recv_timeout(LONGEST);
    let _ = child.kill();
    child.wait().unwrap();
    let said = said.unwrap_or_else(|_| panic!("{name}, {label}: no end after {LONGEST:?}"));
    let peak =
        said.rsplit_once("\nended with ").and_then(|(_, end)| end.split(' ').next()?.parse::<u64>().ok());
    let peak = peak.unwrap_or_else(|| panic!("{name}, {label}: {said}"));
    assert!(peak <= most, "{name}, {label}: {peak} MiB at the highest, more than {most}");
}

/// The most memory that this process ever had, in MiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes >> 10)
}

#[test]
#[should_panic(expected = "MiB at the highest, more than 30")]
#[cfg(target_os = "linux")]
fn memory_is_measured() {
    bounded("much", 30, || drop(std::hint::black_box(vec![1_u8; 100 << 20])));
}

#[test]
#[should_panic(expected = "fails_when_the_case_does, once: ")]
fn it_fails_when_the_case_does() {
    bounded("once", 100, || panic!("as expected"));
}
