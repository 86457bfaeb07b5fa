//! YAML as goccy/go-yaml and encoding/json decode it.

use crate::{Scene, cluster, is_refused};

#[test]
fn keys_match_in_any_case_and_the_last_one_counts() {
    let project = Scene::yaml("Region: r1\nCLUSTER: c1\nService: s1\n").load();
    assert_eq!([project.region, project.cluster, project.service].map(Option::unwrap), ["r1", "c1", "s1"]);
    assert_eq!(cluster("cluster: lower\nCLUSTER: upper\n"), "upper");
    assert!(is_refused("cluster: a\ncluster: b\n"), "the very same key twice");
    assert!(is_refused("x:\n  y: 1\n  y: 2\n"));
}

#[test]
fn only_text_is_text() {
    for value in [
        "123",
        "1.10",
        "010",
        "0x1f",
        "1_000",
        "true",
        "False",
        "[a]",
        "{a: b}",
        "-5",
        ".5",
        "1.0e3",
        "-1.5E-7",
        "1.",
        ".inf",
        "18446744073709551615",
        "-9223372036854775808",
    ] {
        assert!(is_refused(&format!("cluster: {value}\n")), "{value}");
        let quoted = cluster(&format!("cluster: '{value}'\n"));
        assert_eq!(quoted, value);
    }
    // An exponent without a dot makes no number of it there: part of a hash may look like that.
    for value in
        ["1e3", "12e4567", "1e400", "1.0e400", "-1e3", "0e1", "0x", "0x1.8p1", "18446744073709551616"]
    {
        assert_eq!(cluster(&format!("cluster: {value}\n")), value);
    }
    for value in ["yes", "no", "on", "2024-01-02", "12:30", "1.2.3", "a1", "089", "クラスター"] {
        assert_eq!(cluster(&format!("cluster: {value}\n")), value);
    }
    assert_eq!(cluster("cluster: !!str 123\n"), "123");
}

#[test]
fn what_is_null_or_empty_is_not_said() {
    for text in ["", "# nothing\n", "~\n", "cluster: ~\n", "cluster:\n", "cluster: null\n", "cluster: ''\n"] {
        assert_eq!(cluster(text), "default", "{text:?}");
    }
    let project = Scene::yaml("region: ''\nservice: ~\ntask_definition: ''\n").load();
    assert_eq!((project.region, project.service, project.task_definition), (None, None, None));
}

#[test]
fn a_document_that_is_no_map_is_refused() {
    assert!(is_refused("- a\n- b\n"));
    assert!(is_refused("hello\n"));
}

#[test]
fn only_the_first_document_counts() {
    assert_eq!(cluster("---\ncluster: a\n---\ncluster: b\n"), "a");
    assert_eq!(cluster("cluster: a\n...\nthis: [is not read\n"), "a");
}

// As goccy/go-yaml 1.19.2 was measured to do it.
#[test]
fn merge_keys_count_where_they_stand() {
    let text = "base: &b\n  region: r\n  cluster: base\n<<: *b\nservice: s\ncluster: over\n";
    let project = Scene::yaml(text).load();
    assert_eq!([project.region, project.cluster].map(Option::unwrap), ["r", "over"]);
    assert_eq!(cluster("base: &b {cluster: base}\ncluster: under\n<<: *b\n"), "base");
    assert_eq!(cluster("a: &a {cluster: a}\nb: &b {cluster: b}\n<<: [*a, *b]\n"), "b");
    assert_eq!(cluster("a: &a {cluster: a}\nb: &b {<<: *a, service: s}\n<<: *b\n"), "a");
    assert_eq!(cluster("\"<<\": x\ncluster: c\n"), "c", "in quotes it is a key like any other");
}

#[test]
fn merge_keys_merge_maps_only_and_once() {
    for merge in ["<<: null", "<<:", "<<: text", "<<: 1", "<<: [text]", "<<: {}\n<<: {}"] {
        assert!(is_refused(&format!("cluster: c\n{merge}\n")), "{merge}");
        let inner = merge.replace('\n', "\n  ");
        assert!(is_refused(&format!("cluster: c\nx:\n  {inner}\n")), "{inner}, somewhere within");
    }
}

#[test]
fn line_ends_marks_and_tabs_are_taken_as_they_come() {
    assert_eq!(cluster("\u{feff}cluster: c\n"), "c", "a byte order mark is no content");
    assert_eq!(cluster("region: r\r\ncluster: c\r\n"), "c");
    assert_eq!(cluster("region: r\rcluster: c\r"), "c");
    assert_eq!(cluster("cluster:\tc\n"), "c");
    assert!(is_refused("plugins:\n\t- name: ssm\n"), "a tab cannot indent");
}

#[test]
fn styles_are_all_the_same() {
    for text in [
        "{region: r, cluster: c}\n",
        "{\"region\": \"r\", \"cluster\": \"c\"}",
        "\"region\": r\n'cluster': \"\\u0063\"\n",
        "region: r\n? cluster\n: c\n",
        "cluster: >-\n  c\n",
        "x: |\n  {{ `block` }}\n\ncluster: c # comment\n",
    ] {
        assert_eq!(cluster(text), "c", "{text}");
    }
}

#[test]
fn quoted_text_may_go_on_at_the_margin() {
    assert_eq!(cluster("cluster: 'a\nb\n\nc'\nservice: s\n"), "a b\nc");
    assert_eq!(cluster("x:\n  y: \"a\nb\"\ncluster: c\n"), "c");
}

#[test]
fn an_alias_to_itself_is_nothing() {
    assert_eq!(cluster("a: &a [*a]\ncluster: c\n"), "c");
    assert!(is_refused("cluster: *nowhere\n"));
}

#[test]
fn what_is_not_utf8_is_replaced_and_other_encodings_are_refused() {
    let scene = Scene::yaml("");
    std::fs::write(scene.path("ecspresso.yml"), b"cluster: caf\xe9\n").unwrap();
    assert_eq!(scene.load().cluster.unwrap(), "caf\u{fffd}");
    std::fs::write(scene.path("ecspresso.yml"), b"\xff\xfec\0l\0u\0s\0t\0e\0r\0:\0 \0c\0").unwrap();
    assert!(scene.try_load().is_err());
    assert!(is_refused("cluster: c\0x\n"));
}

#[test]
fn other_keys_must_be_what_they_must_be() {
    for text in [
        "timeout: 10m",
        "timeout: 1h30m5.5s",
        "timeout: 300",
        "timeout: '300'",
        "timeout: ~",
        "required_version: '>= v2.0.0, < 3'",
        "required_version: '~> 1.1'",
        "appspec: null",
        "codedeploy: {application_name: a}",
        "ignore: {tags: [a, b]}",
        "express_definition: e.json",
        "filter_command: peco",
    ] {
        assert!(!is_refused(text), "{text}");
    }
    for text in [
        "timeout: soon",
        "timeout: true",
        "timeout: ''",
        "timeout: 10 m",
        "required_version: newest",
        "codedeploy: yes",
        "codedeploy: {application_name: 1}",
        "ignore: {tags: a}",
        "service: [s]",
        "task_definition: {a: b}",
        "filter_command: [peco]",
    ] {
        assert!(is_refused(text), "{text}");
    }
}

#[test]
fn oddities_are_warned_of() {
    let project = Scene::yaml("servce: s\nregion: ${AWS_REGION}\nfilter_command: peco\n").load();
    assert_eq!(project.region.as_deref(), Some("${AWS_REGION}"), "taken as written");
    let warnings = project.warnings.join("\n");
    for word in ["ecspresso.yml:1", "servce", "service", "must_env", "filter_command"] {
        assert!(warnings.contains(word), "{word}: {warnings}");
    }
}
