//! Which file speaks for a directory.

use std::fs;
use std::path::PathBuf;

use ecsx::project::Origin;

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
    let files = [("ecspresso.yml", ""), ("a/ecspresso.yaml", "")];
    let scene = Scene::new(&[&files[..], &[(".git/HEAD", "")]].concat());
    assert_eq!(taken(&scene.in_folder("a/b/c")), "a/ecspresso.yaml");
    assert_eq!(config(&Scene::new(&files).in_folder("a/b/c")), None, "outside of both no parent is asked");

    let scene = Scene::new(&[("ecspresso.yml", ""), ("repo/.git/HEAD", "")]).in_folder("repo/a");
    assert_eq!(config(&scene), None, "another repository's parent is not asked");

    let scene = Scene::new(&[("repo/ecspresso.yml", ""), ("repo/.git/HEAD", "")]).in_folder("repo/a");
    assert_eq!(taken(&scene), "repo/ecspresso.yml", "the repository's root is");

    let mut scene = Scene::new(&[("ecspresso.yml", "")]).in_folder("home/a");
    scene.environment.home = Some(scene.path("home"));
    assert_eq!(config(&scene), None);
}

#[cfg(unix)]
#[test]
fn home_is_found_through_links() {
    let mut scene = Scene::new(&[("home/ecspresso.yml", ""), ("ecspresso.yml", "")]).in_folder("home/a");
    std::os::unix::fs::symlink(scene.path("home"), scene.path("link")).unwrap();
    scene.environment.home = Some(scene.path("link"));
    assert_eq!(taken(&scene), "home/ecspresso.yml");
}

/// (Only root can give a file away.)
#[cfg(unix)]
#[test]
fn what_anybody_may_have_put_into_a_parent_is_not_taken() {
    use std::os::unix::fs::PermissionsExt;

    let scene = Scene::new(&[("ecspresso.yml", ""), (".git/HEAD", ""), ("ecsx.yml", "cluster: evil")]);
    fs::set_permissions(scene.root(), fs::Permissions::from_mode(0o1777)).unwrap();
    for name in ["ecspresso.yml", "ecsx.yml"] {
        if std::os::unix::fs::chown(scene.path(name), Some(12345), None).is_err() {
            return;
        }
    }
    assert_eq!(taken(&scene), "ecspresso.yml", "who goes there wants it");
    let project = scene.in_folder("t/a").load();
    assert_eq!((project.config, project.cluster), (None, None));
    assert!(project.remarks.iter().any(|remark| remark.contains("ecspresso.yml")), "{:?}", project.remarks);
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
fn only_the_own_file_beside_a_named_configuration_speaks_for_it() {
    let files = [
        (".git/HEAD", ""),
        ("ecsx.yml", "cluster: prod\nservice: web\n"),
        ("here/ecsx.yml", "cluster: other\ncontainer: app\n"),
        ("there/app.yml", "cluster: dev\nservice: s\n"),
    ];
    let named = |scene: Scene| {
        let project = scene.load();
        (project.cluster.unwrap(), project.service.unwrap(), project.container, project.presets_file)
    };
    let dev = ("dev".to_owned(), "s".to_owned(), None, None);
    for variable in ["ECSX_CONFIG", "ECSPRESSO_CONFIG"] {
        let scene = Scene::new(&files).in_folder("here").set(variable, "../there/app.yml");
        assert_eq!(named(scene), dev, "{variable}");
    }
    let mut scene = Scene::new(&files).in_folder("here");
    scene.options.config = Some("../there/app.yml".into());
    assert_eq!(named(scene), dev);

    let beside = [&files[..], &[("there/ecsx.yml", "container: side\n")]].concat();
    let mut scene = Scene::new(&beside).in_folder("here");
    scene.options.config = Some("../there/app.yml".into());
    assert_eq!(scene.load().container.as_deref(), Some("side"));
}

/// To go on to the next name, or to a parent, would be another project.
#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_error_that_names_it() {
    for broken in ["ecspresso.yml", "ecspresso.jsonnet", "ecsx.yml"] {
        let files = [(".git/HEAD", ""), ("ecspresso.yml", "cluster: wrong\n"), ("ecsx.yml", "")];
        let scene = Scene::new(&files).in_folder("a");
        std::os::unix::fs::symlink("nowhere", scene.path("a").join(broken)).unwrap();
        let error = scene.refused().to_string();
        assert!(error.contains(broken), "{error}");
    }
}

#[test]
fn a_folder_means_the_configuration_in_it() {
    let mut scene = Scene::new(&[("d/ecspresso.jsonnet", "{}"), ("empty/x", "")]).in_folder("d/sub");
    scene.options.config = Some("..".into());
    assert_eq!(taken(&scene), "d/ecspresso.jsonnet");
    scene.options.config = Some("../../empty".into());
    assert!(scene.refused().to_string().contains("in ../../empty"), "what was typed");
}

#[test]
fn an_empty_configuration_means_the_cluster_default_and_says_so() {
    let warned = |text: &str| !Scene::yaml(text).load().warnings.is_empty();
    assert!(warned("") && warned("# nothing\n"));
    assert!(!warned("service: s\n"));
    let mut scene = Scene::yaml("");
    scene.options.cluster = Some("c".into());
    assert!(scene.load().warnings.is_empty(), "another was named");
}

#[test]
fn every_value_says_where_it_is_from() {
    let files = [("ecspresso.yml", "region: r\nservice: s\n"), ("ecsx.yml", "container: app\nservice: t\n")];
    let mut scene = Scene::new(&files);
    scene.options.cluster = Some("c".into());
    let origins = scene.load().origins;
    assert_eq!(origins.region, Some(Origin::File(scene.path("ecspresso.yml"))));
    assert_eq!(origins.cluster, Some(Origin::Asked));
    assert_eq!(origins.service, Some(Origin::File(scene.path("ecsx.yml"))));
    assert_eq!(origins.container, Some(Origin::File(scene.path("ecsx.yml"))));
    assert_eq!(origins.family, None);
    let scene = Scene::yaml("service: s\n").set("AWS_REGION", "r");
    let origins = scene.load().origins;
    assert_eq!(origins.region, Some(Origin::Variable("AWS_REGION")));
    assert_eq!(origins.cluster, Some(Origin::Default));
}
