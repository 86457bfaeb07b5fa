//! What stands between Enter and the work: the dispatcher before a plugin, beside git and cargo
//! before theirs; and a project that is read, beside `--version`.
//!
//! `cargo bench --bench startup [-- DIR]`, DIR holding the programs, if others than those of this
//! build. The second part needs `ECSX_CORPUS`, a folder of real projects
//! (`real/*/{env.json,expected.json,files}`). What is compared takes turns, so that other work on
//! the machine meets all alike.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn main() {
    // cargo adds --bench.
    let named = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let built = Path::new(env!("CARGO_BIN_EXE_ecsx")).with_file_name("");
    let programs = named.map_or(built, PathBuf::from);
    dispatch(&programs.join("ecsx"));
    match std::env::var_os("ECSX_CORPUS") {
        Some(corpus) => offline(&programs.join("ecsx-target"), &PathBuf::from(corpus).join("real")),
        None => println!("no ECSX_CORPUS: no projects to read"),
    }
}

/// `x` itself, and as the plugin `x` of each.
fn dispatch(ecsx: &Path) {
    let folder = tempfile::tempdir().unwrap();
    // git looks through its own directory first, cargo through all of PATH: give each as little.
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["ecsx-x", "git-x", "cargo-x"] {
        fs::copy("/bin/true", bin.join(name)).unwrap();
    }
    let path = std::env::join_paths([&bin, Path::new("/usr/bin")]).unwrap();
    let run = |program: PathBuf, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("PATH", &path).env("HOME", folder.path());
        command.current_dir(folder.path());
        command
    };
    let commands = [
        ("the plugin itself", run(bin.join("ecsx-x"), &[])),
        ("ecsx x", run(ecsx.into(), &["x"])),
        ("ecsx --cluster c x", run(ecsx.into(), &["--cluster", "c", "x"])),
        ("git x", run(which::which("git").expect("git is installed"), &["x"])),
        ("cargo x", run(env!("CARGO").into(), &["x"])),
    ];
    println!("dispatching to a plugin that does nothing, 300 runs each");
    report(commands, 300);
}

/// The project of the corpus that costs most, and `--version`.
fn offline(program: &Path, projects: &Path) {
    if !program.exists() {
        return println!("no {}: build with the feature aws", program.display());
    }
    let version = || {
        let mut command = Command::new(program);
        command.arg("--version").env_clear();
        command
    };
    let mut costs: Vec<(Duration, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(projects).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let mut command = read_project(program, &entry.path());
        let shortest = (0..5).map(|_| time(&mut command)).min().unwrap_or_default();
        costs.push((shortest, size(&entry.path()), entry.path()));
    }
    let costliest = costs.iter().max_by_key(|cost| cost.0).map(|cost| &cost.2);
    let largest = costs.iter().max_by_key(|cost| cost.1).map(|cost| &cost.2);
    for (which, case) in [("costliest", costliest), ("largest", largest)] {
        let Some(case) = case else { return };
        let name = case.file_name().unwrap_or_default().display();
        println!("the {which} of {} projects, {name} ({} bytes), 100 runs each", costs.len(), size(case));
        let offline = ("ecsx-target --offline -o json", read_project(program, case));
        report([("ecsx-target --version", version()), offline], 100);
    }
}

/// `ecsx-target --offline` in a case of the corpus.
fn read_project(program: &Path, case: &Path) -> Command {
    let expected: Value = json(&case.join("expected.json"));
    let variables: BTreeMap<String, String> = serde_json::from_value(json(&case.join("env.json"))).unwrap();
    let mut command = Command::new(program);
    command.args(["--offline", "-o", "json", "--config", expected["config"].as_str().unwrap()]);
    command.current_dir(case.join("files")).env_clear().envs(variables);
    command
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Bytes of the files that are read: the configuration and the task definition.
fn size(case: &Path) -> u64 {
    let expected = json(&case.join("expected.json"));
    let bytes = |key: &str| {
        let file = case.join("files").join(expected[key].as_str().filter(|file| !file.is_empty())?);
        Some(fs::metadata(file).ok()?.len())
    };
    ["config", "task_definition"].iter().filter_map(|key| bytes(key)).sum()
}

/// Runs all in turn, and prints the shortest and the middle of each, and what it is above the first.
fn report<const N: usize>(mut commands: [(&str, Command); N], runs: usize) {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..runs {
        for ((_, command), times) in commands.iter_mut().zip(&mut times) {
            times.push(time(command));
        }
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mut first = None;
    for ((name, _), times) in commands.iter().zip(&mut times) {
        times.sort();
        let (shortest, middle) = (ms(times[0]), ms(times[runs / 2]));
        let (shortest_of_first, middle_of_first) = *first.get_or_insert((shortest, middle));
        println!(
            "  {name:30} min {shortest:7.2} ms ({:+6.2})   median {middle:7.2} ms ({:+6.2})",
            shortest - shortest_of_first,
            middle - middle_of_first
        );
    }
}

/// From the start of a process to its end.
fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    began.elapsed()
}
