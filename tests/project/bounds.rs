//! A project's file takes neither memory nor time without end, whatever is in it.

use std::time::{Duration, Instant};

use ecsx::project::ErrorKind;

use crate::{Scene, cluster};

#[track_caller]
fn too_large(files: &[(&str, &str)]) {
    assert_eq!(Scene::new(files).refused().kind(), ErrorKind::TooLarge);
}

/// What nobody counts takes minutes; what is counted a fraction of a second, or seconds if it is
/// not optimised and the machine is busy.
const SOON: Duration = Duration::from_secs(30);

/// The same before long.
#[track_caller]
fn soon_too_large(text: &str) {
    let start = Instant::now();
    too_large(&[("ecspresso.yml", text)]);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn aliases_are_counted_as_what_they_stand_for() {
    let level = |name: char, of: char| format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 9].join(","));
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (of, name) in ('a'..='c').zip('b'..) {
        text += &level(name, of);
    }
    assert_eq!(cluster(&format!("{text}cluster: c\n")), "c", "a few thousand are fine");
    for (of, name) in ('d'..='h').zip('e'..) {
        text += &level(name, of);
    }
    too_large(&[("ecspresso.yml", &format!("{text}cluster: c\n"))]);
}

#[test]
fn merges_of_merges_end() {
    let mut text = "m0: &m0 {service: s}\n".to_owned();
    for depth in 1..100_000 {
        text += &format!("m{depth}: &m{depth} {{<<: *m{}}}\n", depth - 1);
        match depth {
            100 => assert_eq!(cluster(&format!("{text}cluster: c\n<<: *m100\n")), "c"),
            600 => break,
            _ => {}
        }
    }
    too_large(&[("ecspresso.yml", &text)]);
}

#[test]
fn nesting_is_fine_until_it_is_not() {
    let nested = |depth: usize| format!("x: {}{}\ncluster: c\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(cluster(&nested(3000)), "c");
    assert!(Scene::yaml(&nested(200_000)).try_load().is_err());
    let blocks: String = (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(cluster(&format!("{blocks}cluster: c\n")), "c");
    for deep in
        ["[".repeat(100_000), "{a:".repeat(100_000), "(".repeat(100_000), "local a = ".repeat(100_000)]
    {
        assert!(Scene::new(&[("ecspresso.jsonnet", &deep)]).try_load().is_err());
    }
    let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.json"), ("td.json", &json)]);
    assert!(scene.load().definition_error.is_some());
}

#[test]
fn large_files_are_read_and_larger_ones_refused() {
    let block = format!("x: |\n{}cluster: c\n", format!("  {}\n", "a".repeat(98)).repeat(100_000));
    assert_eq!(cluster(&block), "c", "10 MB");
    assert_eq!(cluster(&format!("{}: 1\ncluster: c\n", "k".repeat(5000))), "c", "a long key");
    too_large(&[("ecspresso.yml", &"#\n".repeat(20 << 20))]);
    too_large(&[("ecspresso.yml", &format!("x: [{}]\n", "1,".repeat(300_000)))]);
    let json = format!(r#"{{"family": "f", "x": [{}1]}}"#, "1,".repeat(300_000));
    let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.json"), ("td.json", &json)]);
    assert_eq!(scene.load().definition_error.unwrap().kind(), ErrorKind::TooLarge);
    let mut scene = Scene::new(&[("ecspresso.yml", ""), ("env", &"A=1\n".repeat(110_000))]);
    scene.options.envfiles = vec!["env".into()];
    assert_eq!(scene.refused().kind(), ErrorKind::TooLarge);
}

#[test]
fn keys_that_are_not_known_are_compared_only_while_that_is_cheap() {
    let key = "k".repeat(9_000_000);
    assert_eq!(cluster(&format!("? {key}\n: 1\ncluster: c\n")), "c");
    assert!(Scene::new(&[("ecsx.yml", &format!("? {key}\n: 1\n"))]).try_load().is_err());
}

#[test]
fn templates_end() {
    for text in [
        "{{ range 1000000000 }}x{{ end }}",
        &"{{ 1 }}".repeat(110_000),
        "{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}",
        "{{ define `t` }}{{ template `t` }}{{ end }}{{ template `t` }}",
        "{{ $x := `aaaaaaaaaaaaaaaa` }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}",
        "{{ $x := printf `%1000d` 1 }}{{ range 150000 }}{{ $y := print $x $x $x $x }}{{ end }}",
        &format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000)),
        &format!("{}{}", "{{ if true }}".repeat(10_000), "{{ end }}".repeat(10_000)),
        &format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(10_000)),
    ] {
        too_large(&[("ecspresso.yml", text)]);
    }
    assert_eq!(cluster("cluster: '{{ printf `%1000000000d` 1 }}'").len(), "%!(BADWIDTH)1".len());
    assert!(cluster("cluster: x{{ printf `%.1000000f` 1.0 | len }}").len() < 10);
}

#[test]
fn words_of_a_template_are_counted() {
    let text = format!("{{{{ print {} }}}}", "1 ".repeat(110_000));
    soon_too_large(&text);
    soon_too_large(&"{{1 1 1}}".repeat(40_000));
    soon_too_large(&"x{{/* */}}".repeat(110_000));
}

#[test]
fn jsonnet_programs_end() {
    for text in [
        "{cluster: std.foldl(function(a, b) a + a, std.range(1, 100), 'x')}",
        "{cluster: std.length(std.range(1, 1000000000))}",
        "{cluster: std.repeat('x', 10000000000)}",
        "local f(x) = f(x) tailstrict; {cluster: f(1)}",
    ] {
        assert!(Scene::new(&[("ecspresso.jsonnet", text)]).try_load().is_err(), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn files_that_never_end_are_not_read() {
    let scene = Scene::yaml("task_definition: /dev/zero\n");
    assert_eq!(scene.load().definition_error.unwrap().kind(), ErrorKind::Unreadable);
    let mut scene = Scene::yaml("");
    scene.options.envfiles = vec!["/dev/zero".into()];
    assert_eq!(scene.refused().kind(), ErrorKind::TooLarge);
}

#[test]
fn thousands_of_missing_variables_are_told_in_few_lines() {
    let line: String = (0..8000).map(|i| format!("{{{{ must_env `A{i}` }}}}")).collect();
    let error = Scene::yaml(&format!("cluster: {line}\n")).refused();
    assert_eq!(error.places().count(), 20);
    assert!(error.to_string().len() < 10_000, "{}", error.to_string().len());
    assert!(format!("{error:?}").len() < 20_000, "nothing else of the line is kept");
}

#[test]
fn variables_of_a_template_are_counted() {
    let declared = |count: usize| -> String {
        (0..count).map(|i| format!("{{{{ $a{i} := 1 }}}}{{{{ if $a{i} }}}}{{{{ end }}}}")).collect()
    };
    assert_eq!(cluster(&format!("{}cluster: c\n", declared(900))), "c");
    too_large(&[("ecspresso.yml", &declared(1100))]);
}

#[test]
fn a_definition_that_was_given_up_ends_the_program_for_it_still_grows() {
    const INSIDE: &str = "ECSX_TEST_ENDLESS";
    // In a process of its own: it would take the processor from the other tests.
    if std::env::var_os(INSIDE).is_none() {
        let me = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bounds::a_definition_that_was_given_up_ends_the_program_for_it_still_grows"])
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&me.stdout);
        assert!(me.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let endless = "local f(x) = f(x) tailstrict; {family: f(1)}";
    let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.jsonnet"), ("td.jsonnet", endless)]);
    assert_eq!(scene.refused().kind(), ErrorKind::Endless);
}
