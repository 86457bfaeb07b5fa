//! Every case of the corpus, read as its own tool reads it.
//!
//! `ECSX_CORPUS=../shared/configs cargo test --test corpus -- --include-ignored` prints a row
//! a case and counts at the end. `tests/corpus/deviations.tsv` lists every case where ecsx is
//! meant to differ, and why; a difference that is not listed fails, and so does a listed one
//! that is none. With feature `aws`, `ecsx target --offline -o json` must say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ecsx::project::{self, Environment, Options, Project};
use serde_json::{Value, json};

/// The environment of a case.
fn variables(case: &Path) -> BTreeMap<String, String> {
    let files = case.join("files");
    let text = fs::read_to_string(case.join("env.json")).unwrap_or_else(|_| "{}".into());
    let mut variables: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    for value in variables.values_mut() {
        *value = value.replace("{{FILES}}", files.to_str().unwrap());
    }
    variables.insert("PWD".into(), files.display().to_string());
    variables
}

/// What ecsx made of a case, in the words of `expected.json`.
fn outcome(case: &Path, expected: &Value) -> Value {
    let files = case.join("files");
    let mut options =
        Options { config: Some(expected["config"].as_str().unwrap().into()), ..Options::default() };
    let arguments: Vec<&str> =
        expected["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    for pair in arguments.chunks(2) {
        match pair[0] {
            "-envfile" => options.envfiles.push(pair[1].into()),
            "-ext-str" => options.ext_str.push(pair[1].into()),
            "-ext-code" => options.ext_code.push(pair[1].into()),
            other => panic!("{}: unknown argument {other}", case.display()),
        }
    }
    let variables = variables(case).into_iter().collect();
    let environment = Environment { variables, current_dir: files.clone(), home: None };
    match project::load(&options, &environment) {
        Ok(project) => {
            if let Some(error) = &project.definition_error {
                println!("    {}", error.to_string().replace('\n', "\n    "));
            }
            found(&project, &files)
        }
        Err(error) => {
            println!("    {}", error.to_string().replace('\n', "\n    "));
            json!({"error": true})
        }
    }
}

fn found(project: &Project, files: &Path) -> Value {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let path = |value: &Option<PathBuf>| {
        let path = value.as_ref().map(|path| relative(path, files)).unwrap_or_default();
        path.display().to_string()
    };
    let mut found = json!({
        "region": text(&project.region),
        "cluster": text(&project.cluster),
        "service": text(&project.service),
        "service_definition": path(&project.service_definition),
        "task_definition": path(&project.task_definition),
    });
    if project.task_definition.is_some() && project.definition_error.is_none() {
        found["family"] = json!(text(&project.family));
        found["containers"] = json!(project.containers);
    }
    found
}

/// The same by the program; `None` where it was not built.
fn program_outcome(case: &Path, expected: &Value) -> Option<Value> {
    let files = case.join("files");
    let program = option_env!("CARGO_BIN_EXE_ecsx-target")?;
    let mut command = std::process::Command::new(program);
    command.args(["--offline", "-o", "json", "--config", expected["config"].as_str().unwrap()]);
    for word in expected["args"].as_array().unwrap() {
        let word = word.as_str().unwrap();
        command.arg(if word.starts_with('-') { format!("-{word}") } else { word.to_owned() });
    }
    let output = command.current_dir(&files).env_clear().envs(variables(case)).output().unwrap();
    if !output.status.success() {
        assert_eq!(output.status.code(), Some(1), "{}", case.display());
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{}", case.display());
        return Some(json!({"error": true}));
    }
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let path = |key: &str| relative(Path::new(&text(key)), &files).display().to_string();
    let mut found = json!({
        "region": text("region"),
        "cluster": text("cluster"),
        "service": text("service"),
        "service_definition": path("service_definition"),
        "task_definition": path("task_definition"),
    });
    if !object["family"].is_null() || !object["containers"].is_null() {
        found["family"] = text("family").into();
        found["containers"] = object["containers"].clone();
    }
    Some(found)
}

/// A path as ecspresso prints it: from the working directory.
fn relative(path: &Path, files: &Path) -> PathBuf {
    if let Ok(inside) = path.strip_prefix(files) {
        return inside.to_path_buf();
    }
    let mut up = PathBuf::new();
    for folder in files.ancestors().skip(1) {
        up.push("..");
        // A path from the root stays one.
        if folder.parent().is_some()
            && let Ok(inside) = path.strip_prefix(folder)
        {
            return up.join(inside);
        }
    }
    path.to_path_buf()
}

/// The same of `expected.json`, of one version.
fn wanted(expected: &Value) -> Value {
    if expected.get("error").is_some() {
        return json!({"error": true});
    }
    let mut wanted = json!({});
    for key in ["region", "cluster", "service", "service_definition", "task_definition"] {
        // Paths that were absolute inside the project are told from it here.
        wanted[key] = match expected[key].as_str() {
            Some(text) => text.strip_prefix("{{FILES}}/").unwrap_or(text).into(),
            None => expected[key].clone(),
        };
    }
    if expected.get("family").is_some() {
        wanted["family"] = expected["family"].clone();
        // A name that a state gave as a list is its JSON.
        let text = |name: &Value| name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let names = expected["containers"].as_array().unwrap();
        wanted["containers"] = names.iter().map(text).collect::<Vec<_>>().into();
    }
    wanted
}

/// `<<kind:…>>` stands for what only AWS or an absent state could give.
fn is_out_of_reach(value: &Value) -> bool {
    value.to_string().contains("<<")
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Same,
    /// As ecspresso v3 has it, where v2 refuses.
    SameAsV3,
    /// Not given where only AWS or an absent state could have said.
    OutOfReach,
    Different,
}

fn judge(ours: &Value, expected: &Value) -> Verdict {
    let version2 = wanted(expected);
    if *ours == version2 {
        return Verdict::Same;
    }
    let version3 = &expected["variants"]["v3"];
    let version3 = if version3.is_object() { Some(wanted(version3)) } else { None };
    if version2["error"] == true && version3.as_ref().is_some_and(|version3| ours == version3) {
        return Verdict::SameAsV3;
    }
    let mut reachable = if version2["error"] == true { version3.unwrap_or(version2) } else { version2 };
    if is_out_of_reach(&reachable["family"]) || is_out_of_reach(&reachable["containers"]) {
        reachable.as_object_mut().unwrap().retain(|key, _| key != "family" && key != "containers");
    }
    if reachable.as_object().unwrap().values().any(is_out_of_reach) {
        reachable = json!({"error": true});
    }
    if *ours == reachable { Verdict::OutOfReach } else { Verdict::Different }
}

/// The case that is too large for the corpus, made by the recipe in its meta.json.
fn ten_megabytes(case: &Path, scratch: &Path) -> PathBuf {
    let files = scratch.join("files");
    fs::create_dir(&files).unwrap();
    for name in ["ecs-service-def.json", "ecs-task-def.json"] {
        fs::write(files.join(name), fs::read(case.join("files").join(name)).unwrap()).unwrap();
    }
    let mut text = String::from(
        "region: ap-northeast-1\ncluster: c1\nservice: s1\n\
         service_definition: ecs-service-def.json\ntask_definition: ecs-task-def.json\nx: |\n",
    );
    text.push_str(&format!("  {}\n", "a".repeat(98)).repeat(100_000));
    fs::write(files.join("ecspresso.yml"), text).unwrap();
    scratch.to_path_buf()
}

fn cases(set: &str) -> Vec<PathBuf> {
    let corpus = PathBuf::from(std::env::var_os("ECSX_CORPUS").expect("ECSX_CORPUS names the corpus"));
    let folder =
        fs::canonicalize(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display())).join(set);
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.json").exists())
        .collect();
    cases.sort();
    cases
}

/// Case → reason.
fn deviations() -> BTreeMap<String, String> {
    let table = include_str!("corpus/deviations.tsv");
    let rows = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|row| row.split_once('\t').expect("case TAB reason"))
        .map(|(a, b)| (a.into(), b.into()))
        .collect()
}

#[test]
#[ignore = "needs the corpus: ECSX_CORPUS"]
fn every_ecspresso_project_is_read_as_ecspresso_reads_it() {
    let deviations = deviations();
    let scratch = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for set in ["real", "cases"] {
        for case in cases(set) {
            let name = format!("{set}/{}", case.file_name().unwrap().to_str().unwrap());
            let expected: Value =
                serde_json::from_str(&fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
            let case = match name.as_str() {
                "cases/125_ten-mb" => ten_megabytes(&case, scratch.path()),
                _ => case,
            };
            let ours = outcome(&case, &expected);
            if let Some(program) = program_outcome(&case, &expected)
                && program != ours
            {
                wrong.push(format!("{name}\n  library  {ours}\n  program  {program}"));
            }
            let verdict = judge(&ours, &expected);
            let short = name.split('_').next().unwrap().to_owned();
            let word = match (&verdict, deviations.get(&short)) {
                (Verdict::Different, Some(reason)) => format!("deviates: {reason}"),
                (Verdict::Different, None) => {
                    wrong.push(format!("{name}\n  ours     {ours}\n  expected {}", wanted(&expected)));
                    "DIFFERENT".to_owned()
                }
                (_, Some(_)) => {
                    wrong.push(format!("{name} is listed as a deviation, and is none"));
                    "NO DEVIATION".to_owned()
                }
                (Verdict::Same, None) => "same".to_owned(),
                (Verdict::SameAsV3, None) => "same as v3".to_owned(),
                (Verdict::OutOfReach, None) => "out of reach, and so said".to_owned(),
            };
            println!("{name}: {word}");
            *counts.entry(format!("{set}: {}", word.split(':').next().unwrap())).or_default() += 1;
        }
    }
    for (what, count) in &counts {
        println!("{count:4} {what}");
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
#[ignore = "needs the corpus: ECSX_CORPUS"]
fn ecstas_settings_are_read_as_ecsta_reads_them() {
    let deviations = deviations();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for case in cases("ecsta") {
        let name = format!("ecsta/{}", case.file_name().unwrap().to_str().unwrap());
        let expected: Value =
            serde_json::from_str(&fs::read_to_string(case.join("expected.json")).unwrap()).unwrap();
        let environment = Environment {
            current_dir: case.clone(),
            home: Some(case.join("files")),
            ..Environment::default()
        };
        let ecsta = project::load(&Options::default(), &environment).unwrap().ecsta;
        let ours = json!([
            ecsta.filter_command.unwrap_or_default(),
            ecsta.output.unwrap_or_else(|| "table".into()),
            ecsta.task_format_query.unwrap_or_default(),
        ]);
        let theirs = json!([expected["filter_command"], expected["output"], expected["task_format_query"]]);
        let listed = deviations.contains_key(name.split('_').next().unwrap());
        let word = match (ours == theirs, listed) {
            (true, false) => "same",
            (false, true) => "deviates",
            _ => {
                wrong.push(format!("{name}\n  ours     {ours}\n  expected {theirs}"));
                "DIFFERENT"
            }
        };
        println!("{name}: {word}");
        *counts.entry(word).or_default() += 1;
    }
    for (what, count) in &counts {
        println!("{count:4} ecsta: {what}");
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}
