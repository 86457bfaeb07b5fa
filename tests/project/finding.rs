//! Which file speaks for a directory.

use std::fs;
use std::path::PathBuf;

use crate::Scene;

fn config(scene: &Scene) -> Option<PathBuf> {
    scene.load().config.map(|path| path.strip_prefix(scene.root()).unwrap().to_path_buf())
}

fn taken(scene: &Scene) -> String {
    config(scene).expect("a project is found").display().to_string().replace('\\', "/")
}

#[test]
fn ecspressos_names_are_taken_in_its_order() {
    let all = ["ecspresso.yml", "ecspresso.yaml", "ecspresso.json", "ecspresso.jsonnet"];
    for first in 0..all.len() {
        let files: Vec<_> = all[first..].iter().map(|name| (*name, "{}")).collect();
        assert_eq!(taken(&Scene::new(&files)), all[first]);
    }
}

#[test]
fn the_nearest_parent_speaks_up_to_the_repository_or_home() {
    let scene = Scene::new(&[("ecspresso.yml", ""), ("a/ecspresso.yaml", "")]);
    assert_eq!(taken(&scene.in_folder("a/b/c")), "a/ecspresso.yaml");

    let scene = Scene::new(&[("ecspresso.yml", ""), ("repo/.git/HEAD", "")]).in_folder("repo/a");
    assert_eq!(config(&scene), None, "another repository's parent is not asked");

    let scene = Scene::new(&[("repo/ecspresso.yml", ""), ("repo/.git/HEAD", "")]).in_folder("repo/a");
    assert_eq!(taken(&scene), "repo/ecspresso.yml", "the repository's root is");

    let mut scene = Scene::new(&[("ecspresso.yml", "")]).in_folder("home/a");
    scene.environment.home = Some(scene.path("home"));
    assert_eq!(config(&scene), None);
}

#[test]
fn a_directory_without_a_project_says_nothing() {
    let scene = Scene::new(&[(".git/HEAD", "")]).set("AWS_REGION", "r");
    let project = scene.load();
    assert_eq!((project.config, project.cluster), (None, None));
    assert_eq!(project.region.as_deref(), Some("r"));
}

#[test]
fn an_old_habit_is_taken_when_it_has_ecspressos_keys() {
    let keys = "region: r\ncluster: c\nservice: s\n";
    assert_eq!(taken(&Scene::new(&[("config.yaml", keys)])), "config.yaml");
    assert_eq!(taken(&Scene::new(&[("config.yml", keys), ("ecspresso.jsonnet", "{}")])), "ecspresso.jsonnet");
    let other = Scene::new(&[("config.yaml", "cluster: kubernetes\nport: 1\n"), (".git/HEAD", "")]);
    assert_eq!(config(&other), None);
}

#[test]
fn the_flag_is_over_the_variables() {
    let files =
        [("a.yml", "cluster: a"), ("b.yml", "cluster: b"), ("c.yml", "cluster: c"), ("ecspresso.yml", "")];
    let mut scene = Scene::new(&files).set("ECSPRESSO_CONFIG", "b.yml");
    assert_eq!(taken(&scene), "b.yml");
    scene = scene.set("ECSX_CONFIG", "c.yml");
    assert_eq!(taken(&scene), "c.yml");
    scene.options.config = Some("a.yml".into());
    assert_eq!(taken(&scene), "a.yml");
}

#[test]
fn the_default_name_means_any_of_ecspressos_names() {
    let mut scene = Scene::new(&[("d/ecspresso.jsonnet", "{cluster: 'c'}")]);
    scene.options.config = Some("d/ecspresso.yml".into());
    assert_eq!(taken(&scene), "d/ecspresso.jsonnet");
}

#[test]
fn what_is_named_must_be_there_and_be_a_configuration() {
    for name in ["no-such.yml", "ecspresso", "ecspresso.YML", "ecspresso.toml", "folder.yml"] {
        let mut scene = Scene::new(&[("ecspresso", ""), ("ecspresso.YML", ""), ("ecspresso.toml", "")]);
        fs::create_dir(scene.path("folder.yml")).unwrap();
        scene.options.config = Some(name.into());
        assert!(scene.try_load().is_err(), "{name}");
    }
}

#[test]
fn paths_are_meant_from_the_configurations_folder() {
    let text = "service_definition: ../x/../y/./sd.json\ntask_definition: /somewhere/td.json\n";
    let mut scene = Scene::new(&[("d/ecspresso.yml", text)]);
    scene.options.config = Some("d/ecspresso.yml".into());
    let project = scene.load();
    assert_eq!(project.service_definition.unwrap(), scene.path("y/sd.json"));
    #[cfg(unix)]
    assert_eq!(project.task_definition.unwrap(), PathBuf::from("/somewhere/td.json"));
}

#[test]
fn flags_are_over_the_project_and_aws_region_is_under_it() {
    let mut scene = Scene::yaml("region: r\ncluster: c\nservice: s\n").set("AWS_REGION", "env");
    assert_eq!(scene.load().region.as_deref(), Some("r"));
    scene.options.region = Some("flag".into());
    scene.options.service = Some("other".into());
    let project = scene.load();
    assert_eq!((project.region.as_deref(), project.service.as_deref()), (Some("flag"), Some("other")));
    assert_eq!(Scene::yaml("cluster: c\n").set("AWS_REGION", "env").load().region.as_deref(), Some("env"));
}

#[test]
fn a_folder_means_the_configuration_in_it() {
    let mut scene = Scene::new(&[("d/ecspresso.jsonnet", "{}"), ("empty/x", "")]).in_folder("d/sub");
    scene.options.config = Some("..".into());
    assert_eq!(taken(&scene), "d/ecspresso.jsonnet");
    scene.options.config = Some("../../empty".into());
    assert!(scene.refused().to_string().contains("in ../../empty"), "what was typed");
}
