//! Go's text/template, as ecspresso runs it over the whole text.

use crate::{Scene, cluster, is_refused};

/// What `{{ … }}` gives as the value of a quoted key.
fn rendered(template: &str) -> String {
    let scene = Scene::yaml(&format!("cluster: '{template}'\n"));
    scene.set("SET", "value").set("EMPTY", "").set("FALLBACK", "of the default").load().cluster.unwrap()
}

fn fails(template: &str) -> bool {
    Scene::yaml(&format!("cluster: '{template}'\n")).set("SET", "value").try_load().is_err()
}

#[test]
fn env_takes_the_first_variable_that_is_not_empty_else_its_last_argument() {
    assert_eq!(rendered("{{ env `SET` `x` }}"), "value");
    assert_eq!(rendered("{{ env `NOPE` `x` }}"), "x");
    assert_eq!(rendered("{{ env `EMPTY` `x` }}"), "x");
    assert_eq!(rendered("{{ env `NOPE` `EMPTY` `SET` `x` }}"), "value");
    assert_eq!(rendered("{{ env `NOPE` }}"), "NOPE");
    assert_eq!(rendered("a{{ env }}"), "a");
    assert_eq!(rendered("{{ env `NOPE` `FALLBACK` }}"), "of the default", "the default is looked up, too");
    assert!(fails("{{ env `NOPE` 3 }}"));
}

#[test]
fn must_env_takes_an_empty_variable_but_no_missing_one() {
    assert_eq!(rendered("{{ must_env `SET` }}"), "value");
    assert_eq!(rendered("a{{must_env `EMPTY`}}b"), "ab");
    assert!(fails("{{ must_env `NOPE` }}"));
    assert!(is_refused("# {{ must_env `NOPE` }}\ncluster: c\n"), "a comment is rendered as anything else");
}

#[test]
fn json_escape_escapes_as_gos_encoder() {
    let scene = Scene::yaml("cluster: \"{{ must_env `J` | json_escape }}\"\n");
    let text = "a\"b\\c<d>&\n\u{1}é";
    assert_eq!(scene.set("J", text).load().cluster.unwrap(), text);
    assert_eq!(rendered("{{ json_escape `<&>` }}"), "\\u003c\\u0026\\u003e");
}

#[test]
fn strings_are_gos() {
    assert_eq!(rendered(r#"{{ `C:\x` }}"#), r"C:\x", "backquotes take no escapes");
    assert_eq!(rendered(r#"{{ "a\x41\101\u00e9\U0001F363\\" }}"#), "aAAé🍣\\");
    assert_eq!(rendered("{{ `{{` }}x{{ \"}}\" }}"), "{{x}}");
    assert!(fails(r#"{{ "\q" }}"#));
    assert!(fails("{{ \"open }}"));
    assert!(fails("{{ `open }}"));
}

#[test]
fn blanks_are_trimmed_at_the_markers() {
    assert_eq!(cluster("cluster: c   {{- env `X` `-tail` }}\n"), "c-tail");
    assert_eq!(cluster("service: s\ncluster: {{ `c` -}}   \n\n"), "c");
    assert_eq!(rendered("a {{/* comment */}} b"), "a  b");
    assert_eq!(rendered("a {{- /* comment */ -}} b"), "ab");
    assert!(fails("{{ /* comment */ }}"));
    assert!(fails("{{/* open }}"));
}

#[test]
fn variables_live_until_the_end_of_their_block() {
    assert_eq!(rendered("{{ $x := `a` }}{{ $x }}"), "a");
    assert_eq!(rendered("{{ $x := `a` }}{{ if true }}{{ $x = `b` }}{{ end }}{{ $x }}"), "b");
    assert_eq!(rendered("{{ $x := `a` }}{{ if true }}{{ $x := `b` }}{{ $x }}{{ end }}{{ $x }}"), "ba");
    assert!(fails("{{ $x }}"));
    assert!(fails("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}"));
    assert!(fails("{{ $x = 1 }}"));
}

#[test]
fn branches_are_taken_by_gos_truth() {
    assert_eq!(rendered("{{ if env `SET` `` }}y{{ else }}n{{ end }}"), "y");
    assert_eq!(rendered("{{ if env `NOPE` `` }}y{{ else }}n{{ end }}"), "n");
    assert_eq!(rendered("{{ if 0 }}a{{ else if `` }}b{{ else if not true }}c{{ else }}d{{ end }}"), "d");
    assert_eq!(rendered("{{ with env `SET` `` }}<{{ . }}>{{ else }}none{{ end }}"), "<value>");
    assert_eq!(rendered("{{ with `` }}x{{ else with `y` }}{{ . }}{{ end }}"), "y");
    assert_eq!(rendered("{{ range 3 }}{{ . }}{{ end }}"), "012");
    assert_eq!(
        rendered(
            "{{ range $i := 4 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ if eq $i 3 }}{{ break }}{{ end }}{{ $i }}{{ end }}"
        ),
        "02"
    );
    assert_eq!(rendered("{{ range 0 }}x{{ else }}none{{ end }}"), "none");
    assert!(fails("{{ if true }}"));
    assert!(fails("{{ end }}"));
    assert!(fails("{{ else }}"));
    assert!(fails("{{ break }}"));
}

#[test]
fn the_first_true_branch_of_a_chain_counts() {
    let chain = |x: usize| {
        let elses: String = (1..200).map(|i| format!("{{{{ else if eq $x {i} }}}}is {i}")).collect();
        rendered(&format!(
            "{{{{ $x := {x} }}}}{{{{ if eq $x 0 }}}}is 0{elses}{{{{ else }}}}none{{{{ end }}}}"
        ))
    };
    assert_eq!([chain(0), chain(1), chain(199), chain(200)], ["is 0", "is 1", "is 199", "none"]);
    assert_eq!(rendered("{{ if $a := `` }}x{{ else if $b := `b` }}{{ $b }}{{ else }}z{{ end }}"), "b");
    assert_eq!(rendered("{{ with `` }}x{{ else with `b` }}{{ . }}{{ else }}z{{ end }}"), "b");
    assert_eq!(rendered("{{ $x := 1 }}{{ if 0 }}{{ $x := 2 }}{{ else }}{{ $x }}{{ end }}"), "1");
    assert!(fails("{{ if 0 }}{{ else if 1 }}"));
    assert!(fails("{{ if 0 }}{{ else with 1 }}{{ end }}"));
    assert!(fails("{{ range 0 }}{{ else range 1 }}{{ end }}"));
}

#[test]
fn pipelines_and_parentheses_nest() {
    assert_eq!(rendered("{{ `<a>` | html | printf `%s|%s` `x` }}"), "x|&lt;a&gt;");
    assert_eq!(rendered("{{ (printf `%s-%s` (env `NOPE` `a`) (must_env `SET`)) }}"), "a-value");
    assert_eq!(rendered("{{ and (env `SET` ``) (or `` `z`) }}"), "z");
    assert_eq!(
        rendered("{{ or `first` (must_env `NOPE`) }}"),
        "first",
        "what is not needed is not evaluated"
    );
    assert!(fails("{{ `a` | }}"));
    assert!(fails("{{ (`a` }}"));
    assert!(fails("{{ `a` `b` }}"));
    assert!(fails("{{ }}"));
}

#[test]
fn builtins_compare_and_measure() {
    assert_eq!(rendered("{{ eq `a` `b` `a` }}{{ ne 1 2 }}{{ lt 1 2 }}{{ ge `b` `a` }}"), "truetruetruetrue");
    assert_eq!(rendered("{{ len `été` }}{{ index `abc` 1 }}{{ slice `abcdef` 1 3 }}"), "598bc");
    assert_eq!(rendered("{{ print `a` 1 2 true `b` }}"), "a1 2 trueb");
    assert_eq!(rendered("{{ urlquery `a b&c` }}{{ js `<` }}"), "a+b%26c\\u003C");
    assert!(fails("{{ eq 1 `a` }}"));
    assert!(fails("{{ index `abc` 9 }}"));
    assert!(fails("{{ nosuch }}"));
    assert!(fails("{{ if false }}{{ nosuch }}{{ end }}"), "Go knows its functions when it parses");
}

#[test]
fn printf_formats_as_gos_fmt() {
    for (template, expected) in [
        ("{{ printf `%5d|%-5d|%05d|%+d` 42 42 42 42 }}", "   42|42   |00042|+42"),
        ("{{ printf `%x|%X|%o|%b|%c|%U` 255 255 8 5 65 65 }}", "ff|FF|10|101|A|U+0041"),
        ("{{ printf `%s|%q|%x|%.2s|%5s` `ab` `c` `AB` `xyz` `r` }}", "ab|\"c\"|4142|xy|    r"),
        ("{{ printf `%v|%t|%.2f|%g|%e` 1.5 true 1.005 1e21 1500.0 }}", "1.5|true|1.00|1e+21|1.500000e+03"),
        ("{{ printf `%d%%` `x` }}", "%!d(string=x)%"),
        ("{{ printf `%s %s` `a` }}", "a %!s(MISSING)"),
        ("{{ printf `%s` `a` 1 }}", "a%!(EXTRA int=1)"),
        ("{{ printf `%` }}", "%!(NOVERB)"),
        ("{{ printf `%T %v` 1 nil }}", "int <nil>"),
    ] {
        assert_eq!(rendered(template), expected, "{template}");
    }
}

#[test]
fn numbers_are_gos() {
    assert_eq!(
        rendered("{{ 0x1f }} {{ 0b11 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ -3 }}"),
        "31 3 15 15 1000 -3"
    );
    assert_eq!(rendered("{{ 1e3 }} {{ 1.50 }} {{ 'a' }}").replace("''", "'"), "1000 1.5 97".to_owned());
    assert!(fails("{{ 12abc }}"));
}

#[test]
fn templates_can_be_defined_and_called() {
    let text = "{{ define `t` }}x-{{ . }}{{ end }}cluster: {{ template `t` `y` }}\n";
    assert_eq!(cluster(text), "x-y");
    assert_eq!(cluster("cluster: {{ block `t` `y` }}<{{ . }}>{{ end }}\n"), "<y>");
    assert!(is_refused("cluster: {{ template `nosuch` }}\n"));
}

#[test]
fn without_data_the_dot_and_its_fields_are_no_value() {
    assert_eq!(rendered("{{ . }}|{{ .Foo.Bar }}|{{ $ }}"), "<no value>|<no value>|<no value>");
    assert!(fails("{{ with `text` }}{{ .Foo }}{{ end }}"));
}

#[test]
fn the_text_is_rendered_before_it_is_parsed() {
    let scene = Scene::yaml("region: r\n{{ env `EXTRA` `` }}\n").set("EXTRA", "cluster: from-env");
    assert_eq!(scene.load().cluster.unwrap(), "from-env");
    let scene = Scene::yaml("cluster: '{{ env `CL` `` }}'\n").set("CL", "line1\nservice: no\nx");
    assert_eq!(scene.load().cluster.unwrap(), "line1 service: no x");
    assert!(Scene::yaml("cluster: {{ env `CL` `` }}\n").set("CL", "a: b").try_load().is_err());
}
