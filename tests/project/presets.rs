//! `ecsx.yml`.

use ecsx::project::Forward;
use ecsx::ui::Explain as _;

use crate::Scene;

fn own(text: &str) -> Scene {
    Scene::new(&[("ecsx.yml", text)])
}

#[test]
fn forwards_have_names_in_the_files_order() {
    let scene = own(
        "presets:\n  redis: {host: r.internal, port: 6379}\n  db:\n    host: '{{ must_env `DB` }}'\n    \
                     port: '{{ env `PORT` `5432` }}'\n    local_port: 15432\n    container: app\n    address: 127.0.0.2\n  \
                     web: {port: 80, local_port: 0}\n",
    );
    let presets = scene.set("DB", "d.internal").load().presets;
    let names: Vec<_> = presets.iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(names, ["redis", "db", "web"]);
    let db = Forward {
        host: Some("d.internal".into()),
        port: 5432,
        local_port: Some(15432),
        container: Some("app".into()),
        address: Some("127.0.0.2".into()),
    };
    assert_eq!(presets[1].forward, Ok(db));
    assert_eq!(presets[2].forward, Ok(Forward { port: 80, ..Forward::default() }));
}

#[test]
fn its_defaults_are_over_the_configuration_beside_it() {
    let scene = Scene::new(&[
        ("ecspresso.yml", "region: r\ncluster: c\nservice: s\n"),
        ("ecsx.yml", "cluster: mine\ncontainer: app\nfamily: f\n"),
        (".git/HEAD", ""),
    ]);
    let project = scene.in_folder("deeper").load();
    assert_eq!(project.region.as_deref(), Some("r"));
    assert_eq!(project.cluster.as_deref(), Some("mine"));
    assert_eq!(project.container.as_deref(), Some("app"));
    assert_eq!(project.family.as_deref(), Some("f"));
}

#[test]
fn it_stands_alone_or_names_the_configuration() {
    let project = own("cluster: c\nservice: s\n").load();
    assert_eq!((project.config, project.cluster.as_deref()), (None, Some("c")));
    let scene = Scene::new(&[("ecsx.yml", "config: deploy/app.yml\n"), ("deploy/app.yml", "cluster: c\n")]);
    let project = scene.load();
    assert_eq!(project.config.unwrap(), scene.path("deploy/app.yml"));
    assert_eq!(project.cluster.as_deref(), Some("c"));
}

#[test]
fn the_plugins_of_the_configuration_and_its_own_answer() {
    let state = |name: &str| {
        format!(r#"{{"version": 4, "outputs": {{"host": {{"value": "{name}"}}}}, "resources": []}}"#)
    };
    let scene = Scene::new(&[
        ("ecspresso.yml", "plugins: [{name: tfstate, config: {path: a.tfstate}}]\n"),
        (
            "ecsx.yml",
            "plugins: [{name: tfstate, func_prefix: b_, config: {path: b.tfstate}}]\npresets:\n  \
             a: {host: '{{ tfstate `output.host` }}', port: 1}\n  b: {host: '{{ b_tfstate `output.host` }}', port: 1}\n",
        ),
        ("a.tfstate", &state("a.internal")),
        ("b.tfstate", &state("b.internal")),
    ]);
    let hosts: Vec<_> =
        scene.load().presets.into_iter().map(|preset| preset.forward.unwrap().host.unwrap()).collect();
    assert_eq!(hosts, ["a.internal", "b.internal"]);
}

#[test]
fn a_forward_that_cannot_be_known_fails_alone() {
    let scene = own(
        "presets:\n  db: {host: '{{ must_env `DB` }}', port: 5432}\n  api: {host: '{{ ssm `/h` }}', port: 1}\n  \
                     web: {port: 80}\n",
    );
    let presets = scene.load().presets;
    let error = presets[0].forward.as_ref().unwrap_err().to_string();
    assert!(error.starts_with("ecsx.yml:2:") && error.contains("DB"), "{error}");
    assert!(presets[1].forward.is_err());
    assert!(presets[2].forward.is_ok());
}

#[test]
fn presets_may_be_merged_and_stand_where_they_are() {
    let scene = own("presets:\n  a: {port: 1}\n  <<: [{b: {port: 2}, c: {port: 3}}, {d: {port: 4}}]\n  \
                     e: {port: 5}\n  b: &b {port: 6}\n  B: {<<: *b, host: h}\n");
    let presets = scene.load().presets;
    let shown: Vec<_> =
        presets.into_iter().map(|preset| (preset.name, preset.forward.unwrap().port)).collect();
    let expected = [("a", 1), ("b", 6), ("c", 3), ("d", 4), ("e", 5), ("B", 6)];
    assert_eq!(shown, expected.map(|(name, port)| (name.to_owned(), port)));
    assert!(own("presets: {<<: {'8080:80': {port: 1}}}").try_load().is_err(), "merged names are checked");
}

#[test]
fn mistakes_are_refused() {
    for text in [
        "presets: {db: {port: 5432, hots: x}}",
        "preset: {}",
        "presets: {db: {host: x}}",
        "presets: {db: {port: 0}}",
        "presets: {db: {port: 65536}}",
        "presets: {db: {port: http}}",
        "presets: {db: 5432}",
        "presets: [db]",
        "presets: {5432: {port: 1}}",
        "presets: {'8080:80': {port: 1}}",
        "presets: {-x: {port: 1}}",
        "presets: {db: {port: 1, address: example.com}}",
        "presets: {db: {port: 1, host: 'db:1'}}",
        "presets: {db: {port: 1, host: '[db]'}}",
        "presets: {db: {port: 1, host: me@db}}",
        "cluster: [c]",
        "- a",
        "region: '{{ must_env `NOT_SET` }}'",
        "config: nowhere.yml",
    ] {
        assert!(own(text).try_load().is_err(), "{text}");
    }
    assert!(own("").try_load().is_ok());
}

#[test]
fn the_schema_knows_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ecsx.schema.json");
    let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let keys =
        |of: &serde_json::Value| of["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let value = |key: &str| match key {
        "presets" => "{}".to_owned(),
        "plugins" => "[]".to_owned(),
        "port" | "local_port" => "1".to_owned(),
        "address" => "localhost".to_owned(),
        "config" => "ecspresso.yml".to_owned(),
        _ => "x".to_owned(),
    };
    let lines = |keys: Vec<String>, indent: &str| -> String {
        keys.iter().map(|key| format!("{indent}{key}: {}\n", value(key))).collect()
    };
    let all = lines(keys(&schema), "") + "\n";
    let preset = format!("presets:\n  p:\n{}", lines(keys(&schema["definitions"]["preset"]), "    "));
    for text in [all, preset] {
        Scene::new(&[("ecsx.yml", &text), ("ecspresso.yml", "")]).load();
    }
    // And it knows no fewer than there are.
    let known = |text: &str| {
        let hints = own(text).refused().hints();
        let mut keys: Vec<_> =
            hints[0].strip_prefix("there are ").unwrap().split(", ").map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(known("xxxxxxxxx: 1"), keys(&schema));
    assert_eq!(known("presets: {p: {xxxxxxxxx: 1}}"), keys(&schema["definitions"]["preset"]));
}

#[test]
fn the_configuration_that_it_names_is_taken_rather_than_the_one_beside_it() {
    let files = [
        ("ecspresso.yml", "service: web"),
        ("a/other.yml", "service: worker"),
        ("ecsx.yml", "config: a/other.yml"),
    ];
    let mut scene = Scene::new(&files);
    let project = scene.load();
    assert_eq!(project.service.as_deref(), Some("worker"));
    assert_eq!(project.config.unwrap(), scene.path("a/other.yml"));
    scene.options.config = Some("ecspresso.yml".into());
    assert_eq!(scene.load().service.as_deref(), Some("web"), "--config is over it");
}

#[test]
fn a_configuration_that_it_names_and_that_is_not_there_is_an_error_at_its_line() {
    for beside in [&[("ecspresso.yml", "service: web")][..], &[]] {
        for named in ["nope/other.yml", "nope"] {
            let text = format!("cluster: c\nconfig: {named}\n");
            let scene = Scene::new(&[&[("ecsx.yml", text.as_str())][..], beside].concat());
            let error = scene.refused();
            let place = error.places().next().expect("it has a place");
            assert_eq!((place.file.to_str(), place.line), (Some("ecsx.yml"), 2), "{error}");
        }
    }
}

#[test]
fn ecsx_yaml_is_accepted_as_ecsx_yml_is() {
    let scene = Scene::new(&[("ecspresso.yml", "service: web"), ("ecsx.yaml", "container: app")]);
    assert_eq!(scene.load().container.as_deref(), Some("app"));
}
