//! Envfiles, as go-envparse reads them.

use crate::Scene;

/// What `name` is after an envfile of this text.
fn value(text: &str, name: &str) -> Option<String> {
    let mut scene = Scene::new(&[("e.env", text), ("ecspresso.yml", "")]);
    scene.options.envfiles = vec!["e.env".into()];
    scene.load().variables.get(name).cloned()
}

fn fails(text: &str) -> bool {
    let mut scene = Scene::new(&[("e.env", text)]);
    scene.options.envfiles = vec!["e.env".into()];
    scene.try_load().is_err()
}

#[test]
fn assignments_comments_and_quotes() {
    let text = "# comment\n\nexport K1=one\nK2 = two words # trailing\nK3=\"q # no comment \\u00e9\\n\"\n\
                K4='single $HOME \\n'\nK5=a\"b c\"d\nK6=\nK7=x=y\na.b/c=dots\nexport =e\nK8=\"kept \" # not\r\n";
    for (name, expected) in [
        ("K1", "one"),
        ("K2", "two words"),
        ("K3", "q # no comment é\n"),
        ("K4", "single $HOME \\n"),
        ("K5", "ab cd"),
        ("K6", ""),
        ("K7", "x=y"),
        ("a.b/c", "dots"),
        ("export", "e"),
        ("K8", "kept "),
    ] {
        assert_eq!(value(text, name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for text in
        ["JUSTAWORD", "=x", "1A=x", "A B=x", "A='open", "A=\"open", "A=\"\\q\"", "A=tab\there", "A-B=x"]
    {
        assert!(fails(text), "{text:?}");
    }
}

#[test]
fn later_files_are_over_earlier_ones_and_all_over_the_environment() {
    let files = [
        ("1.env", "A=1\nB=1"),
        ("2.env", "A=2"),
        ("ecspresso.yml", "cluster: '{{ env `A` `-` }}{{ env `B` `-` }}{{ env `C` `-` }}'"),
    ];
    let scene = |envfiles: &[&str]| {
        let mut scene = Scene::new(&files).set("A", "process").set("C", "process");
        scene.options.envfiles = envfiles.iter().map(|name| (*name).to_owned()).collect();
        scene.load().cluster.unwrap()
    };
    assert_eq!(scene(&["1.env", "2.env"]), "21process");
    assert_eq!(scene(&["2.env,1.env"]), "11process", "commas separate several");
    let by_variable = Scene::new(&files).set("ECSPRESSO_ENVFILE", "2.env").load();
    assert_eq!(by_variable.cluster.unwrap(), "2--");
}

#[test]
fn an_envfile_may_name_the_region() {
    let mut scene = Scene::new(&[("e.env", "AWS_REGION=r"), ("ecspresso.yml", "")]);
    scene.options.envfiles = vec!["e.env".into()];
    assert_eq!(scene.load().region.as_deref(), Some("r"));
}

#[test]
fn no_value_is_shown() {
    let mut scene = Scene::new(&[("e.env", "OK=1\nPASSWORD=\"hunter2\nX=1")]);
    scene.options.envfiles = vec!["e.env".into()];
    let error = scene.refused().to_string();
    assert!(error.contains("e.env:2") && error.contains("PASSWORD") && !error.contains("hunter2"), "{error}");
    let scene = Scene::yaml("").set("PASSWORD", "hunter2");
    assert!(!format!("{:?}", scene.environment).contains("hunter2"));
}
