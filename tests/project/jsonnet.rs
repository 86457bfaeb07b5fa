//! jsonnet configurations, as go-jsonnet evaluates them in ecspresso.

use crate::Scene;

fn jsonnet(text: &str) -> Scene {
    Scene::new(&[("ecspresso.jsonnet", text)])
}

fn cluster(expression: &str) -> String {
    let scene = jsonnet(&format!("{{cluster: {expression}}}")).set("SET", "value").set("EMPTY", "");
    scene.load().cluster.unwrap()
}

fn fails(expression: &str) -> bool {
    jsonnet(&format!("{{cluster: {expression}}}")).try_load().is_err()
}

#[test]
fn json_configurations_are_jsonnet_too() {
    let scene = Scene::new(&[("ecspresso.json", "{cluster: 'c', /* c */ } // comment")]);
    assert_eq!(scene.load().cluster.unwrap(), "c");
    assert!(Scene::new(&[("ecspresso.json", r#"{"region":"a","region":"b"}"#)]).try_load().is_err());
}

#[test]
fn external_variables_come_from_flags_or_the_environment() {
    let mut scene = jsonnet("{cluster: std.extVar('C') + std.extVar('N')}");
    scene.options.ext_str = vec!["C=x;C=c".into()];
    scene.options.ext_code = vec!["N=1+1".into()];
    assert_eq!(scene.load().cluster.unwrap(), "c2");
    let scene = jsonnet("{cluster: std.extVar('C') + std.extVar('N')}");
    let scene = scene.set("ECSPRESSO_EXT_STR", "C=e").set("ECSPRESSO_EXT_CODE", "N=[1][0]");
    assert_eq!(scene.load().cluster.unwrap(), "e1");
    assert!(fails("std.extVar('NOPE')"));
    let mut scene = jsonnet("{}");
    scene.options.ext_str = vec!["no value".into()];
    assert!(scene.try_load().is_err());
    scene.options.ext_str = vec![];
    scene.options.ext_code = vec!["N=1 +".into()];
    assert!(scene.refused().to_string().contains("--ext-code N"));
}

#[test]
fn files_are_imported_from_beside_the_importing_one() {
    let scene = Scene::new(&[
        ("ecspresso.jsonnet", "(import 'lib/base.libsonnet') + {service: importstr 'lib/name'}"),
        ("lib/base.libsonnet", "{cluster: import 'cluster.libsonnet'}"),
        ("lib/cluster.libsonnet", "'c'"),
        ("lib/name", "s"),
    ]);
    let project = scene.load();
    assert_eq!([project.cluster, project.service].map(Option::unwrap), ["c", "s"]);
    assert!(fails("import 'no-such.libsonnet'"));
    assert!(fails("import '/dev/zero'"));
    assert!(fails("import '.'"));
}

#[test]
fn native_functions_read_variables() {
    assert_eq!(cluster("std.native('env')('SET', 'x')"), "value");
    assert_eq!(cluster("std.native('env')('EMPTY', 'x')"), "x");
    assert_eq!(cluster("std.native('env')('NOPE', null)"), "default", "null is not said");
    assert_eq!(cluster("std.native('env')('NOPE', ['a'])[0]"), "a", "the default may be anything");
    assert_eq!(cluster("std.native('must_env')('EMPTY') + 'x'"), "x");
    assert!(fails("std.native('must_env')('NOPE')"));
    assert!(fails("std.native('env')('SET')"), "both arguments are required");
    assert!(fails("std.native('tfstate')('output.x')"), "no plugin brings it");
}

#[test]
fn what_comes_out_is_rendered() {
    assert_eq!(cluster("'{{ must_env `SET` }}'"), "value");
    assert!(fails("'{{ must_env \"SET\" }}'"), "the quotes are escaped by then, as in ecspresso");
}

#[test]
fn a_function_is_called_and_hidden_fields_stay_hidden() {
    assert_eq!(jsonnet("function(x='c') {cluster: x}").load().cluster.unwrap(), "c");
    let project = jsonnet("{region:: 'hidden', cluster: self.region}").load();
    assert_eq!((project.region, project.cluster.as_deref()), (None, Some("hidden")));
    assert!(jsonnet("function(x) {cluster: x}").try_load().is_err());
    assert!(jsonnet("[1]").try_load().is_err());
}

#[test]
fn a_place_is_told_only_where_there_is_but_one() {
    let line = |text: &str| jsonnet(text).refused().places().next().unwrap().line;
    assert_eq!(line("{\n  cluster: '{{ must_env `NOPE` }}'\n}"), 2);
    let commented = "{\n  // was {{ must_env `NOPE` }}\n  cluster: '{{ must_env `NOPE` }}'\n}";
    assert_eq!(line(commented), 0, "it may be the comment's");
}

#[test]
fn an_endless_program_is_refused() {
    assert!(jsonnet("local f(n) = f(n + 1) + 1; {cluster: f(0)}").try_load().is_err());
    assert!(jsonnet("local a = b, b = a; {cluster: a}").try_load().is_err());
}
