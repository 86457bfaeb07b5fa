//! What a person reads when a project is wrong, word for word.
//!
//! Each file of `tests/data/project/errors` holds the files of a project and, last, the error.
//! `UPDATE_SNAPSHOTS=1 cargo test --test project errors` writes them anew: read the diff.

use std::fs;

use ecsx::ui::Explain as _;

use crate::{Scene, data};

/// The sections of `-- NAME --` lines.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            Some(name) => sections.push((name, String::new())),
            None => sections.last_mut().expect("a section comes first").1.push_str(line),
        }
    }
    sections
}

fn shown(files: &[(&str, String)]) -> String {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut scene = Scene::new(&files).set("TWO_LINES", "one\ntwo: 2").set("COLON", "a: hunter2");
    if scene.path("e.env").exists() {
        scene.options.envfiles = vec!["e.env".into()];
    }
    if scene.path("ecspresso").exists() {
        scene.options.config = Some("ecspresso".into());
    }
    let error = match scene.try_load() {
        Err(error) => error,
        Ok(project) => {
            let of_preset = project.presets.into_iter().find_map(|preset| preset.forward.err());
            *project.definition_error.or(of_preset).expect("this project must be refused")
        }
    };
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{error}{hints}\n").replace(scene.root().to_str().unwrap(), "ROOT")
}

#[test]
fn errors_are_told_as_a_compiler_tells_them() {
    let mut wrong = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(data("errors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 20, "the snapshots are gone");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let mut files = sections(&text);
        let Some(("error", expected)) = files.pop_if(|(name, _)| *name == "error") else {
            panic!("{}: the last section is the error", path.display());
        };
        let shown = shown(&files);
        assert!(!shown.contains("hunter2"), "{}: {shown}", path.display());
        if shown == expected {
            continue;
        }
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let before = text.rsplit_once("-- error --\n").unwrap().0;
            fs::write(&path, format!("{before}-- error --\n{shown}")).unwrap();
        }
        wrong.push(format!("== {}\n{shown}-- expected\n{expected}", path.display()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
