//! A project's file takes neither memory nor time without end, whatever is in it.

use std::time::{Duration, Instant};

use ecsx::project::ErrorKind;

use crate::bounded::bounded;
use crate::{Scene, cluster};

/// MiB that small files may take, this test's own included.
const SMALL: u64 = 60;
/// MiB that files of many megabytes may take.
const LARGE: u64 = 250;
/// MiB that a jsonnet program may take before it is given up: it may grow by 256, and by some more
/// before that is seen.
const PROGRAM: u64 = 500;

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
    let levels = |last: char| {
        let text = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        ('a'..last).zip('b'..=last).fold(text, |text, (of, name)| text + &level(name, of)) + "cluster: c\n"
    };
    bounded("thousands", SMALL, || assert_eq!(cluster(&levels('d')), "c", "a few thousand are fine"));
    bounded("millions", SMALL, || too_large(&[("ecspresso.yml", &levels('i'))]));
}

/// Each alias asks whether what it stands for is complete, and is a value of its list.
#[test]
fn aliases_are_counted_wherever_they_stand() {
    let deep = |depth: usize, count: usize| {
        format!("a: &a 1\nx: {}{}{}\ncluster: c\n", "[".repeat(depth), "*a,".repeat(count), "]".repeat(depth))
    };
    bounded("deep", LARGE, || assert_eq!(cluster(&deep(5000, 200_000)), "c"));
    bounded("many", LARGE, || too_large(&[("ecspresso.yml", &deep(1, 9_000_000))]));
}

/// Whoever looks at an alias looks at all of its text.
#[test]
fn aliases_to_long_texts_are_counted_as_long() {
    let tags = |length: usize, count: usize| {
        let tags = "  - *t\n".repeat(count);
        format!("cluster: c\nignore:\n  tags:\n  - &t '{}'\n{tags}", "7".repeat(length))
    };
    bounded("few", SMALL, || assert_eq!(cluster(&tags(1000, 10_000)), "c"));
    bounded("once", LARGE, || assert_eq!(cluster(&tags(20_000_000, 1)), "c"));
    bounded("tags", LARGE, || soon_too_large(&tags(10_000_000, 2000)));
    bounded("keys", LARGE, || {
        let maps = "{? *t : ".repeat(1000);
        soon_too_large(&format!("x: &t {}\ny: {maps}1{}\n", "k".repeat(9_000_000), "}".repeat(1000)));
    });
    bounded("presets", LARGE, || {
        let presets: String = (0..900).map(|i| format!("  p{i}: *x\n")).collect();
        let host = "h".repeat(1_000_000);
        too_large(&[("ecsx.yml", &format!("presets:\n  x: &x {{port: 1, host: {host}}}\n{presets}"))]);
    });
}

#[test]
fn merges_of_merges_end() {
    let chain = |count: usize| {
        let link = |depth: usize| format!("m{depth}: &m{depth} {{<<: *m{}}}\n", depth - 1);
        let links: String = (1..=count).map(link).collect();
        format!("m0: &m0 {{service: s}}\n{links}cluster: c\n<<: *m{count}\n")
    };
    bounded("hundred", SMALL, || assert_eq!(cluster(&chain(100)), "c"));
    bounded("more", SMALL, || too_large(&[("ecspresso.yml", &chain(600))]));
    bounded("doubling", SMALL, || {
        let link = |depth: usize| format!("m{depth}: &m{depth} {{<<: [*m{0}, *m{0}]}}\n", depth - 1);
        let links: String = (1..100).map(link).collect();
        too_large(&[("ecspresso.yml", &format!("m0: &m0 {{service: s}}\n{links}<<: *m99\n"))]);
    });
}

/// What is merged costs each map that merges it.
#[test]
fn merged_keys_are_counted() {
    let keys = |count: usize| -> String { (0..count).map(|i| format!("k{i}: 1,")).collect() };
    let listed = |keys_each: usize, times: usize| {
        let list = "*m,".repeat(times);
        format!("m: &m {{{}}}\ncluster: c\n<<: [{list}]\n", keys(keys_each))
    };
    bounded("few", LARGE, || assert_eq!(cluster(&listed(1000, 50)), "c"));
    bounded("listed", LARGE, || too_large(&[("ecspresso.yml", &listed(1000, 200))]));
    bounded("everywhere", LARGE, || {
        let maps = "- {<<: *m}\n".repeat(20_000);
        too_large(&[("ecspresso.yml", &format!("m: &m {{{}}}\nx:\n{maps}", keys(20_000)))]);
    });
    bounded("one list", LARGE, || {
        let (list, maps) = ("{},".repeat(490), "- {<<: *l}\n".repeat(40_000));
        too_large(&[("ecspresso.yml", &format!("l: &l [{list}]\nx:\n{maps}"))]);
    });
    bounded("presets", LARGE, || {
        let list = "{port: 1},".repeat(400);
        let presets: String = (0..60_000).map(|i| format!("  p{i}: *m\n")).collect();
        too_large(&[("ecsx.yml", &format!("presets:\n  m: &m {{<<: [{list}]}}\n{presets}"))]);
    });
}

#[test]
fn nesting_is_fine_until_it_is_not() {
    let nested = |depth: usize| format!("x: {}{}\ncluster: c\n", "[".repeat(depth), "]".repeat(depth));
    bounded("brackets", SMALL, || assert_eq!(cluster(&nested(3000)), "c"));
    bounded("more brackets", SMALL, || assert!(Scene::yaml(&nested(200_000)).try_load().is_err()));
    bounded("blocks", SMALL, || {
        let blocks: String = (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert_eq!(cluster(&format!("{blocks}cluster: c\n")), "c");
    });
    for deep in ["[", "{a:", "(", "local a = "] {
        bounded(deep, LARGE, || {
            assert!(Scene::new(&[("ecspresso.jsonnet", &deep.repeat(100_000))]).try_load().is_err());
        });
    }
    bounded("json", SMALL, || {
        let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.json"), ("td.json", &json)]);
        assert!(scene.load().definition_error.is_some());
    });
}

#[test]
fn large_files_are_read_and_larger_ones_refused() {
    bounded("10 MB", LARGE, || {
        let block = format!("x: |\n{}cluster: c\n", format!("  {}\n", "a".repeat(98)).repeat(100_000));
        assert_eq!(cluster(&block), "c");
    });
    bounded("key", SMALL, || assert_eq!(cluster(&format!("{}: 1\ncluster: c\n", "k".repeat(5000))), "c"));
    bounded("40 MB", LARGE, || too_large(&[("ecspresso.yml", &"#\n".repeat(20 << 20))]));
    bounded("values", LARGE, || {
        too_large(&[("ecspresso.yml", &format!("x: [{}]\n", "1,".repeat(300_000)))]);
    });
    bounded("json", LARGE, || {
        let json = format!(r#"{{"family": "f", "x": [{}1]}}"#, "1,".repeat(300_000));
        let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.json"), ("td.json", &json)]);
        assert_eq!(scene.load().definition_error.unwrap().kind(), ErrorKind::TooLarge);
    });
    bounded("envfile", LARGE, || {
        let mut scene = Scene::new(&[("ecspresso.yml", ""), ("env", &"A=1\n".repeat(110_000))]);
        scene.options.envfiles = vec!["env".into()];
        assert_eq!(scene.refused().kind(), ErrorKind::TooLarge);
    });
}

/// Each line of it has the file parsed again.
#[test]
fn quoted_text_at_the_margin_is_parsed_again_only_while_that_is_cheap() {
    let quoted = |lines: usize| format!("x: '{}'\ncluster: c\n", "a\n".repeat(lines));
    bounded("hundreds", SMALL, || assert_eq!(cluster(&quoted(300)), "c"));
    bounded("many", SMALL, || assert!(Scene::yaml(&quoted(100_000)).try_load().is_err()));
    bounded("far", LARGE, || {
        let text = format!("y:\n{}{}", "- [1, 2, 3]\n".repeat(40_000), quoted(40));
        assert!(Scene::yaml(&text).try_load().is_err());
    });
}

#[test]
fn keys_that_are_not_known_are_compared_only_while_that_is_cheap() {
    let long = || format!("? {}\n: 1\n", "k".repeat(9_000_000));
    bounded("ecspresso", LARGE, || assert_eq!(cluster(&format!("{}cluster: c\n", long())), "c"));
    bounded("ecsx", LARGE, || assert!(Scene::new(&[("ecsx.yml", &long())]).try_load().is_err()));
}

#[test]
fn presets_and_plugins_are_counted() {
    let presets = |count: usize| -> String {
        let aliases: String = (1..count).map(|i| format!("  p{i}: *x\n")).collect();
        format!("presets:\n  p0: &x {{host: '{{{{ must_env `NONE` }}}}', port: 1}}\n{aliases}")
    };
    assert_eq!(Scene::new(&[("ecsx.yml", &presets(1000))]).load().presets.len(), 1000);
    too_large(&[("ecsx.yml", &presets(1001))]);
    let plugins = |count: usize| -> String {
        let each = |i| format!("- {{name: tfstate, func_prefix: p{i}_, config: {{path: s.tfstate}}}}\n");
        format!("cluster: c\nplugins:\n{}", (0..count).map(each).collect::<String>())
    };
    assert_eq!(cluster(&plugins(100)), "c");
    too_large(&[("ecspresso.yml", &plugins(101))]);
}

#[test]
fn places_cost_no_look_at_the_file_each() {
    let presets: String = (1..1000).map(|i| format!("  p{i}: *x\n")).collect();
    let lines = "\n".repeat(3_000_000);
    let preset = "  p0: &x {host: '{{ must_env `NONE` }}', port: 1}\n";
    let scene = Scene::new(&[("ecsx.yml", &format!("{lines}presets:\n{preset}{presets}"))]);
    let start = Instant::now();
    let error = scene.load().presets[999].forward.clone().unwrap_err();
    assert_eq!(error.places().next().unwrap().line, 3_000_002);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn templates_end() {
    for (label, text) in [
        ("text", "{{ range 1000000000 }}x{{ end }}"),
        ("actions", &"{{ 1 }}".repeat(110_000)),
        ("loops", "{{ range 1000000 }}{{ range 1000000 }}{{ end }}{{ end }}"),
        ("recursion", "{{ define `t` }}{{ template `t` }}{{ end }}{{ template `t` }}"),
        ("doubling", "{{ $x := `aaaaaaaaaaaaaaaa` }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}"),
        ("copies", "{{ $x := printf `%1000d` 1 }}{{ range 150000 }}{{ $y := print $x $x $x $x }}{{ end }}"),
        ("parentheses", &format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000))),
        ("ifs", &format!("{}{}", "{{ if true }}".repeat(10_000), "{{ end }}".repeat(10_000))),
        ("elses", &format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(110_000))),
    ] {
        bounded(label, LARGE, || too_large(&[("ecspresso.yml", text)]));
    }
    bounded("width", SMALL, || {
        assert_eq!(cluster("cluster: '{{ printf `%1000000000d` 1 }}'").len(), "%!(BADWIDTH)1".len());
        assert!(cluster("cluster: x{{ printf `%.1000000f` 1.0 | len }}").len() < 10);
    });
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
        let chain = |keyword: &str| {
            let elses = format!("{{{{ else {keyword} 0 }}}}no").repeat(10_000);
            format!("{{{{ {keyword} 0 }}}}{elses}{{{{ else {keyword} 1 }}}}c{{{{ end }}}}")
        };
        assert_eq!(cluster(&format!("cluster: {}\n", chain("if"))), "c", "a chain is not deep");
        assert_eq!(cluster(&format!("cluster: {}\n", chain("with"))), "c");
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
        bounded(text, PROGRAM, || {
            assert!(Scene::new(&[("ecspresso.jsonnet", text)]).try_load().is_err(), "{text}");
        });
    }
}

#[cfg(unix)]
#[test]
fn files_that_never_end_are_not_read() {
    bounded("definition", SMALL, || {
        let scene = Scene::yaml("task_definition: /dev/zero\n");
        assert_eq!(scene.load().definition_error.unwrap().kind(), ErrorKind::Unreadable);
    });
    bounded("envfile", LARGE, || {
        let mut scene = Scene::yaml("");
        scene.options.envfiles = vec!["/dev/zero".into()];
        assert_eq!(scene.refused().kind(), ErrorKind::TooLarge);
    });
}

#[test]
fn thousands_of_missing_variables_are_told_in_few_lines() {
    bounded("all", SMALL, || {
        let line: String = (0..8000).map(|i| format!("{{{{ must_env `A{i}` }}}}")).collect();
        let error = Scene::yaml(&format!("cluster: {line}\n")).refused();
        assert_eq!(error.places().count(), 20);
        assert!(error.to_string().len() < 10_000, "{}", error.to_string().len());
        assert!(format!("{error:?}").len() < 20_000, "nothing else of the line is kept");
    });
}

#[test]
fn variables_of_a_template_are_counted() {
    let declared = |count: usize| -> String {
        (0..count).map(|i| format!("{{{{ $a{i} := 1 }}}}{{{{ if $a{i} }}}}{{{{ end }}}}")).collect()
    };
    bounded("900", SMALL, || assert_eq!(cluster(&format!("{}cluster: c\n", declared(900))), "c"));
    bounded("1100", SMALL, || too_large(&[("ecspresso.yml", &declared(1100))]));
}

/// Their names may be alike but for the end.
#[test]
fn variables_of_a_template_are_found_soon() {
    let name = |i: usize| format!("${}{i:03}", "v".repeat(95));
    let declared: String = (0..990).map(|i| format!("{{{{ {} := 1 }}}}", name(i))).collect();
    let uses = format!(" {}", name(0)).repeat(90);
    soon_too_large(&format!("{declared}{{{{ range 199000 }}}}{{{{ eq 2{uses} }}}}{{{{ end }}}}"));
}

#[test]
fn calls_in_text_that_jsonnet_made_cost_no_look_at_the_file() {
    let filler = "x".repeat(10_000_000);
    let looped = |call: &str| {
        let text =
            format!("{{cluster: '{{{{ range 20000 }}}}{{{{ $x := {call} }}}}{{{{ end }}}}c'}} //{filler}");
        Scene::new(&[("ecspresso.jsonnet", &text)]).set("SET", "").try_load()
    };
    let start = Instant::now();
    assert_eq!(looped("must_env `S' + 'ET`").unwrap().cluster.unwrap(), "c");
    assert_eq!(looped("must_env `NO' + 'PE`").unwrap_err().kind(), ErrorKind::Variable);
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[test]
fn a_definition_that_was_given_up_ends_the_program_for_it_still_grows() {
    bounded("endless", PROGRAM, || {
        let endless = "local f(x) = f(x) tailstrict; {family: f(1)}";
        let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.jsonnet"), ("td.jsonnet", endless)]);
        assert_eq!(scene.refused().kind(), ErrorKind::Endless);
    });
}
