//! Task definitions, plugins and look-ups: only what family and names need.

use ecsx::project::ErrorKind;

use crate::Scene;

const STATE: &str = r#"{"version": 4, "outputs": {
  "name": {"value": "out"}, "list": {"value": ["a", "b"]}, "map": {"value": {"k-1": "v1"}}, "null": {"value": null}
}, "resources": [
  {"mode": "managed", "type": "aws_x", "name": "one", "instances": [{"attributes": {"id": "i1", "n": 3, "tags": {"Env-Name": "q"}}}]},
  {"mode": "managed", "type": "aws_x", "name": "each", "instances": [
    {"index_key": "a", "attributes": {"id": "ea"}}, {"index_key": "b", "attributes": {"id": "eb"}}]},
  {"mode": "managed", "type": "aws_x", "name": "count", "instances": [{"index_key": 0, "attributes": {"id": "c0"}}]},
  {"module": "module.m[\"z\"].module.n", "mode": "data", "type": "aws_y", "name": "d", "instances": [{"attributes": {"id": "d1"}}]}
]}"#;

const CONFIG: &str =
    "task_definition: td.json\nplugins:\n  - name: tfstate\n    config: {path: terraform.tfstate}\n";

/// Family and names, or the first line of why not.
fn names(config: &str, definition: (&str, &str)) -> Result<(String, Vec<String>), String> {
    let scene = Scene::new(&[("ecspresso.yml", config), definition, ("terraform.tfstate", STATE)]);
    let project = scene.load();
    match project.definition_error {
        Some(error) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
        None => Ok((project.family.unwrap_or_default(), project.containers)),
    }
}

/// The family that `{{ template }}` in the definition gives.
fn family(template: &str) -> Result<String, String> {
    let text = format!("{{\"family\": \"{{{{ {template} }}}}\", \"containerDefinitions\": []}}");
    names(CONFIG, ("td.json", &text)).map(|(family, _)| family)
}

#[test]
fn bare_and_wrapped_definitions_with_keys_in_either_case() {
    let expected = Ok(("f".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
    for text in [
        r#"{"family": "f", "containerDefinitions": [{"name": "a"}, {"name": "b", "cpu": 1}]}"#,
        r#"{"Family": "f", "ContainerDefinitions": [{"Name": "a"}, {"Name": "b"}]}"#,
        r#"{"taskDefinition": {"family": "f", "containerDefinitions": [{"name": "a"}, {"name": "b"}]}}"#,
    ] {
        assert_eq!(names("task_definition: td.json", ("td.json", text)), expected);
        assert_eq!(names("task_definition: td.jsonnet", ("td.jsonnet", text)), expected, "as jsonnet");
    }
}

#[test]
fn json_definitions_are_no_jsonnet() {
    let text = r#"{"family": "f"}"#;
    for bad in
        [format!("// c\n{text}"), format!("{text} x"), "family: f".to_owned(), "{'family': 'f'}".to_owned()]
    {
        assert!(names("task_definition: td.json", ("td.json", &bad)).is_err(), "{bad}");
    }
    assert!(names("task_definition: td.json", ("other", "")).is_err(), "a missing file");
}

#[test]
fn templates_may_stand_outside_of_strings() {
    let text = r#"{"family": "f", "cpu": {{ env `CPU` `256` }}, "containerDefinitions": [{"name": "{{ env `N` `app` }}"}]}"#;
    assert_eq!(names("task_definition: td.json", ("td.json", text)), Ok(("f".into(), vec!["app".into()])));
}

#[test]
fn what_the_names_do_not_need_may_be_out_of_reach() {
    let text = r#"{"family": "f", "memory": {{ must_env `NOT_SET` }}, "cpu": {{ if true }}{{ tfstate `aws_x.one.n` }}{{ end }},
      "containerDefinitions": [{"name": "app", "image": "{{ or (ssm `/image`) `x` | printf `%s:1` }}"}]}"#;
    assert_eq!(names(CONFIG, ("td.json", text)), Ok(("f".into(), vec!["app".into()])));
    let text = "{family: 'f', image: std.native('ssm')('/image'), cpu: error 'none', \
                containerDefinitions: [{name: 'app', image: std.native('must_env')('NOT_SET')}]}";
    assert_eq!(
        names("task_definition: td.jsonnet", ("td.jsonnet", text)),
        Ok(("f".into(), vec!["app".into()]))
    );
}

#[test]
fn what_the_names_need_is_missed_with_its_reason() {
    for (function, word) in [
        ("ssm `/family`", "parameter store"),
        ("secretsmanager_arn `x`", "Secrets Manager"),
        ("must_env `NOT_SET`", "NOT_SET"),
        ("tfstate `output.nope`", "not in the state"),
        ("tfstate `output.null`", "not in the state"),
        ("tfstate `nonsense`", "no address"),
        ("nosuch `x`", "not defined"),
        ("cfn_output `a` `b`", "not defined"),
    ] {
        let error = family(function).unwrap_err();
        assert!(error.starts_with("td.json:1:") && error.contains(word), "{function}: {error}");
    }
}

#[test]
fn addresses_in_a_state() {
    for (address, expected) in [
        ("output.name", "out"),
        ("output.list[1]", "b"),
        ("output.map.k-1", "v1"),
        ("aws_x.one.id", "i1"),
        ("aws_x.one.n", "3"),
        ("aws_x.one.tags.Env-Name", "q"),
        ("aws_x.one.tags['Env-Name']", "q"),
        ("aws_x.each['b'].id", "eb"),
        ("aws_x.count[0].id", "c0"),
        ("module.m['z'].module.n.data.aws_y.d.id", "d1"),
    ] {
        assert_eq!(family(&format!("tfstate `{address}`")).as_deref(), Ok(expected), "{address}");
    }
    assert_eq!(family("tfstatef `aws_x.each['%s'].id` `a`").as_deref(), Ok("ea"));
    let text = "local tf = std.native('tfstate'); {family: tf('aws_x.each').b.id, \
                containerDefinitions: [{name: n} for n in tf('output.list')]}";
    let config = CONFIG.replace("td.json", "td.jsonnet");
    assert_eq!(names(&config, ("td.jsonnet", text)), Ok(("eb".into(), vec!["a".into(), "b".into()])));
}

#[test]
fn states_elsewhere_are_not_fetched() {
    for (location, word) in [
        ("{url: 's3://user:secret@bucket/key?token=secret'}", "s3://bucket/key"),
        ("{url: 'remote://app.terraform.io/org/ws'}", "remote://"),
        ("{url: 'https://example.com/terraform.tfstate'}", "https://"),
        ("{path: missing.tfstate}", "no such file"),
        ("{path: backend.tfstate}", "s3"),
        ("{path: old.tfstate}", "version 4"),
    ] {
        let config = format!("task_definition: td.json\nplugins: [{{name: tfstate, config: {location}}}]\n");
        let scene = Scene::new(&[
            ("ecspresso.yml", &config),
            ("td.json", r#"{"family": "{{ tfstate `output.name` }}"}"#),
            ("backend.tfstate", r#"{"version": 3, "backend": {"type": "s3", "config": {"bucket": "b"}}}"#),
            ("old.tfstate", r#"{"version": 3}"#),
        ]);
        let error = scene.load().definition_error.expect("unknown").to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{location}: {error}");
    }
}

#[test]
fn a_local_backend_is_followed_into_its_workspace() {
    let scene = |workspace: &str| {
        let files = [
            (
                "ecspresso.yml",
                &*CONFIG.replace("path: terraform.tfstate", "url: .terraform/terraform.tfstate"),
            ),
            ("td.json", r#"{"family": "{{ tfstate `output.name` }}"}"#),
            (
                ".terraform/terraform.tfstate",
                r#"{"version": 3, "backend": {"type": "local", "config": {"path": null}}}"#,
            ),
            (".terraform/environment", workspace),
            ("terraform.tfstate", STATE),
            ("terraform.tfstate.d/dev/terraform.tfstate", &STATE.replace("\"out\"", "\"dev-out\"")),
        ];
        Scene::new(&files)
    };
    assert_eq!(scene("default").load().family.as_deref(), Some("out"));
    assert_eq!(scene("dev\n").load().family.as_deref(), Some("dev-out"));
    assert_eq!(scene("default").set("TF_WORKSPACE", "dev").load().family.as_deref(), Some("dev-out"));
}

#[test]
fn a_configuration_may_call_its_own_plugins_as_in_v3() {
    let plugins = "plugins:\n  - name: tfstate\n    func_prefix: p_\n    config: {path: terraform.tfstate}\n";
    let config = format!("region: r\ncluster: '{{{{ p_tfstate `output.name` }}}}'\n{plugins}");
    let scene = Scene::new(&[("ecspresso.yml", &config), ("terraform.tfstate", STATE)]);
    assert_eq!(scene.load().cluster.as_deref(), Some("out"));

    let text = "{cluster: std.native('tfstate')('output.name'), \
                plugins: [{name: 'tfstate', config: {url: 'terraform.tfstate'}}]}";
    let scene = Scene::new(&[("ecspresso.jsonnet", text), ("terraform.tfstate", STATE)]);
    assert_eq!(scene.load().cluster.as_deref(), Some("out"));
}

#[test]
fn a_flag_does_without_a_look_up() {
    let mut scene = Scene::yaml("region: r\ncluster: {{ ssm `/cluster` }}\nservice: s\n");
    let error = scene.refused();
    assert_eq!(error.kind(), ErrorKind::Lookup);
    assert_eq!(error.places().next().map(|place| (place.line, place.column)), Some((2, 13)));
    scene.options.cluster = Some("c".into());
    assert_eq!(scene.load().cluster.as_deref(), Some("c"));
}

#[test]
fn a_command_is_never_run() {
    let scene = Scene::new(&[
        (
            "ecspresso.yml",
            "task_definition: td.json\nplugins:\n  - name: external\n    config: {name: sh, command: [touch, ran], num_args: 1}\n",
        ),
        ("td.json", r#"{"family": "{{ sh `x` }}"}"#),
    ]);
    let error = scene.load().definition_error.expect("unknown").to_string();
    assert!(error.contains("runs a command") && !scene.path("ran").exists(), "{error}");
}

#[test]
fn plugins_are_checked() {
    for plugins in [
        "ssm",
        "[ssm]",
        "[{name: nope}]",
        "[{}]",
        "[{name: SSM}]",
        "[{name: tfstate}]",
        "[{name: tfstate, config: {path: 12}}]",
        "[{name: tfstate, config: x}]",
        "[{name: tfstate, config: {path: a}}, {name: tfstate, config: {path: b}}]",
        "[{name: external, config: {name: env}}]",
        "[{name: external}]",
    ] {
        assert!(crate::is_refused(&format!("plugins: {plugins}\n")), "{plugins}");
    }
    for plugins in [
        "~",
        "[]",
        "[{name: ssm}, {name: secretsmanager}]",
        "[{name: CloudFormation}]",
        "[{name: tfstate, config: {path: a}}, {name: TFState, func_prefix: b_, config: {url: b}}]",
        "[{name: external, config: {name: own, command: [x]}}]",
    ] {
        assert!(!crate::is_refused(&format!("plugins: {plugins}\n")), "{plugins}");
    }
}
