//! The user's settings of ecsta.

use crate::Scene;

fn settings(text: &str) -> [Option<String>; 3] {
    let mut scene = Scene::new(&[("home/.config/ecsta/config.json", text)]);
    scene.environment.home = Some(scene.path("home"));
    let ecsta = scene.load().ecsta;
    [ecsta.filter_command, ecsta.output, ecsta.task_format_query]
}

#[test]
fn keys_are_read_as_go_decodes_them() {
    let all = settings(
        r#"{"Filter_Command": "fzf --reverse", "OUTPUT": "json", "task_format_query": ".id", "x": 1}"#,
    );
    assert_eq!(all.map(Option::unwrap), ["fzf --reverse", "json", ".id"]);
    for nothing in ["{}", "null", r#"{"filter_command": null, "output": ""}"#] {
        assert_eq!(settings(nothing), [None, None, None], "{nothing}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_as_none_with_a_warning() {
    for text in [r#"{"filter_command": "peco",}"#, r#"{"output": "tsv"} x"#, r#"{"filter_command": 1}"#, "[]"]
    {
        assert_eq!(settings(text), [None, None, None], "{text}");
        let scene = Scene::new(&[("x/ecsta/config.json", text)]);
        let folder = scene.path("x").display().to_string();
        let scene = scene.set("XDG_CONFIG_HOME", &folder);
        assert!(scene.load().warnings[0].contains("config.json"), "{text}");
    }
}

#[test]
fn variables_are_over_the_file() {
    let scene = Scene::new(&[("x/ecsta/config.json", r#"{"filter_command": "peco", "output": "tsv"}"#)]);
    let folder = scene.path("x").display().to_string();
    let scene = scene.set("XDG_CONFIG_HOME", &folder).set("ECSPRESSO_FILTER_COMMAND", "fzf");
    let ecsta = scene.set("ECSTA_TASK_FORMAT_QUERY", ".x").load().ecsta;
    assert_eq!(ecsta.filter_command.as_deref(), Some("fzf"));
    assert_eq!(ecsta.output.as_deref(), Some("tsv"));
    assert_eq!(ecsta.task_format_query.as_deref(), Some(".x"));
}

#[test]
fn a_projects_file_names_no_command() {
    assert_eq!(Scene::yaml("filter_command: touch ran\n").load().ecsta.filter_command, None);
    let mut scene = Scene::new(&[
        ("env", "ECSPRESSO_FILTER_COMMAND=touch ran\nXDG_CONFIG_HOME=x\nECSTA_TASK_FORMAT_QUERY=.x\n"),
        ("x/ecsta/config.json", r#"{"filter_command": "touch ran"}"#),
    ]);
    scene.options.envfiles = vec!["env".into()];
    assert_eq!(scene.load().ecsta, ecsx::project::Ecsta::default());
}
