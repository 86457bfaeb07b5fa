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
fn every_operand_of_a_template_is_a_step() {
    for many in [
        format!("eq 1{}", " 2".repeat(20_000)),
        format!("and{}", " 1".repeat(20_000)),
        format!("1{}", " | not".repeat(20_000)),
    ] {
        soon_too_large(&format!("{{{{ range 199000 }}}}{{{{ {many} }}}}{{{{ end }}}}"));
    }
    assert_eq!(cluster(&format!("cluster: c{{{{ if eq 1{} }}}}{{{{ end }}}}", " 2".repeat(900))), "c");
}

#[test]
fn the_text_that_a_template_handles_is_counted() {
    let big = "n".repeat(2_000_000);
    for text in [
        format!("{{{{ $x := `{big}` }}}}{{{{ range 90000 }}}}{{{{ eq $x $x }}}}{{{{ end }}}}"),
        format!(
            "{{{{ define `{big}` }}}}{{{{ end }}}}{{{{ range 90000 }}}}{{{{ template `{big}` }}}}{{{{ end }}}}"
        ),
        format!("{{{{ range 90000 }}}}{{{{ {big} }}}}{{{{ end }}}}"),
        "{{ range 90000 }}{{ $x := printf `%.1000e` 1e-308 }}{{ end }}".to_owned(),
    ] {
        soon_too_large(&text);
    }
}

#[test]
fn words_of_a_template_are_counted() {
    let text = format!("{{{{ print {} }}}}", "1 ".repeat(110_000));
    soon_too_large(&text);
    soon_too_large(&"{{1 1 1}}".repeat(40_000));
    soon_too_large(&"x{{/* */}}".repeat(110_000));
}

#[test]
fn missing_variables_in_a_loop_are_one_and_cost_no_look_at_the_file() {
    let filler = format!("# {}\n", "x".repeat(5_000_000));
    let each: String = "{{ must_env `A` }}".repeat(25_000);
    let start = Instant::now();
    let error = Scene::yaml(&format!("{filler}cluster: {each}\n")).refused();
    assert_eq!(error.kind(), ErrorKind::Variable);
    let looped = "cluster: {{ range $i := 9000 }}{{ must_env (print `A` $i) }}{{ end }}\n";
    assert_eq!(Scene::yaml(&format!("{filler}{looped}")).refused().places().count(), 1);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

/// The smallest stack of a main thread that there is: that of Windows.
#[test]
fn a_template_is_refused_before_it_overflows_the_stack() {
    let nested = |open: &str, depth: usize, inner: &str| {
        format!("{}{inner}{}", open.repeat(depth), "{{ end }}".repeat(depth))
    };
    let calls_itself = |open: &str| {
        let inner = nested(open, 60, "{{ template `t` }}");
        format!("{{{{ define `t` }}}}{inner}{{{{ end }}}}{{{{ template `t` }}}}")
    };
    let texts = [
        calls_itself("{{ if true }}"),
        calls_itself("{{ with `x` }}"),
        calls_itself("{{ range 1 }}"),
        nested("{{ if true }}", 1000, ""),
        nested("{{ define `t` }}", 1000, ""),
        format!("{{{{ {}1{} }}}}", "print (".repeat(1000), ")".repeat(1000)),
        "{{ define `t` }}{{ template `t` (print (print .)) }}{{ end }}{{ template `t` `` }}".to_owned(),
    ];
    let work = move || {
        texts.iter().for_each(|text| soon_too_large(text));
        assert_eq!(cluster(&format!("cluster: {}\n", nested("{{ if true }}", 60, "c"))), "c");
        let parentheses = format!("{}`c`{}", "print (".repeat(60), ")".repeat(60));
        assert_eq!(cluster(&format!("cluster: {{{{ {parentheses} }}}}\n")), "c");
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn look_ups_in_a_large_state_are_counted() {
    let resource = |name: &str| {
        format!(
            r#"{{"mode": "managed", "type": "t", "name": "{name}", "instances": [{{"attributes": {{"y": "c"}}}}]}}"#
        )
    };
    let resources = vec![resource("n"); 9000].join(",");
    let state = format!(r#"{{"version": 4, "resources": [{resources}, {}]}}"#, resource("last"));
    let loaded = |count: usize| {
        let plugins = "plugins: [{name: tfstate, config: {path: s.tfstate}}]";
        let looped = format!("{{{{ range {count} }}}}{{{{ $c = tfstate `t.last.y` }}}}{{{{ end }}}}");
        let text = format!("{{{{ $c := `` }}}}{looped}{plugins}\ncluster: '{{{{ $c }}}}'\n");
        Scene::new(&[("ecspresso.yml", &text), ("s.tfstate", &state)]).try_load()
    };
    assert_eq!(loaded(100).unwrap().cluster.unwrap(), "c");
    let start = Instant::now();
    let error = loaded(40_000).unwrap_err().to_string();
    assert!(error.contains("too many look-ups"), "{error}");
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
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
