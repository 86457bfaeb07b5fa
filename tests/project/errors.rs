//! What a person reads when a project is wrong, word for word.
//!
//! Each file of `tests/data/project/errors` holds the files of a project and, last, the error.
//! `UPDATE_SNAPSHOTS=1 cargo test --test project errors` writes them anew: read the diff.

use std::fs;

use ecsx::ui::Explain as _;

use crate::{Scene, data};

/// The sections of `-- NAME --` lines.
fn sections(text: &str) -> Vec<(&str, String)> {
    let mut sections: Vec<(&str, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.trim_end().strip_prefix("-- ").and_then(|line| line.strip_suffix(" --")) {
            Some(name) => sections.push((name, String::new())),
            None => sections.last_mut().expect("a section comes first").1.push_str(line),
        }
    }
    sections
}

fn shown(files: &[(&str, String)]) -> String {
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut scene = Scene::new(&files)
        .set("TWO_LINES", "one\ntwo: 2")
        .set("COLON", "a: hunter2")
        .set("SECRET", "hunter2");
    if scene.path("e.env").exists() {
        scene.options.envfiles = vec!["e.env".into()];
    }
    if scene.path("ecspresso").exists() {
        scene.options.config = Some("ecspresso".into());
    }
    let error = match scene.try_load() {
        Err(error) => error,
        Ok(project) => {
            let of_preset = project.presets.into_iter().find_map(|preset| preset.forward.err());
            *project.definition_error.or(of_preset).expect("this project must be refused")
        }
    };
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{error}{hints}\n").replace(scene.root().to_str().unwrap(), "ROOT")
}

#[test]
fn errors_are_told_as_a_compiler_tells_them() {
    let mut wrong = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir(data("errors")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 20, "the snapshots are gone");
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let mut files = sections(&text);
        let Some(("error", expected)) = files.pop_if(|(name, _)| *name == "error") else {
            panic!("{}: the last section is the error", path.display());
        };
        let shown = shown(&files);
        assert!(!shown.contains("hunter2"), "{}: {shown}", path.display());
        if shown == expected {
            continue;
        }
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let before = text.rsplit_once("-- error --\n").unwrap().0;
            fs::write(&path, format!("{before}-- error --\n{shown}")).unwrap();
        }
        wrong.push(format!("== {}\n{shown}-- expected\n{expected}", path.display()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is said of a project with this configuration, in surroundings with a secret.
fn said(files: &[(&str, &str)]) -> String {
    let scene = Scene::new(files).set("SECRET", "hunter2").set("QUOTED", "'hunter2\"\\hunter2");
    said_of(&scene)
}

fn said_of(scene: &Scene) -> String {
    let project = match scene.try_load() {
        Err(error) => return format!("{error} {:?}", error.hints()),
        Ok(project) => project,
    };
    let error = project.definition_error.map(|error| format!("{error} {:?}", error.hints()));
    error.unwrap_or_default() + &project.warnings.join("\n")
}

#[test]
fn no_error_tells_the_value_of_a_variable() {
    let state = r#"{"version": 4, "outputs": {}, "resources": []}"#;
    for (name, text) in [
        ("ecspresso.yml", "cluster: '{{ must_env (env `SECRET`) }}'"),
        ("ecspresso.yml", "cluster: '{{ must_env (must_env `SECRET`) }}'"),
        ("ecspresso.yml", "{{ env `SECRET` }}: 1\n{{ env `SECRET` }}: 2\n"),
        ("ecspresso.yml", "{{ env `SECRET` }}: 1"),
        ("ecspresso.yml", "plugins: [{name: '{{ env `SECRET` }}'}]"),
        (
            "ecspresso.yml",
            "plugins:\n- {name: external, config: {name: '{{ env `SECRET` }}'}}\n- {name: external, config: {name: '{{ env `SECRET` }}'}}",
        ),
        ("ecsx.yml", "config: '{{ env `SECRET` }}.txt'"),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {path: s.tfstate}}\nservice: '{{ tfstate (print `output.` (env `SECRET`)) }}'",
        ),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {path: s.tfstate}}\nservice: '{{ tfstate (env `SECRET`) }}'",
        ),
        ("ecspresso.jsonnet", "{cluster: error std.native('must_env')('SECRET')}"),
        ("ecspresso.jsonnet", "{cluster: error 'no ' + std.native('must_env')('SECRET')}"),
        ("ecspresso.jsonnet", "{cluster: std.native('must_env')(std.native('env')('SECRET', ''))}"),
        ("ecspresso.jsonnet", "{assert false : std.native('env')('SECRET', '')}"),
        ("ecspresso.jsonnet", "{cluster: {}[std.native('env')('SECRET', '')]}"),
        ("ecspresso.jsonnet", "{cluster: std.extVar(std.native('env')('SECRET', ''))}"),
        ("ecsx.yml", "'{{ env `SECRET` }}': 1"),
        ("ecsx.yml", "config: '{{ must_env `SECRET` }}'"),
        ("ecsx.yml", "config: 'x-{{ must_env `SECRET` }}'"),
        ("ecsx.yml", "config: 'x-{{ must_env `SECRET` }}.yml'"),
        ("ecsx.yml", "presets: {db: {port: 1, host: 'x://{{ env `SECRET` }}@db'}}"),
        ("ecspresso.yml", "task_definition: '{{ must_env `SECRET` }}.json'"),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {path: '{{ env `SECRET` }}'}}\nservice: '{{ tfstate `output.x` }}'",
        ),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {url: 's3://{{ env `SECRET` }}/x'}}\nservice: '{{ tfstate `output.x` }}'",
        ),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {path: s.tfstate}}\nservice: '{{ tfstate (must_env `QUOTED`) }}'",
        ),
        (
            "ecspresso.yml",
            "plugins:\n- {name: tfstate, config: {path: s.tfstate}}\nservice: '{{ tfstatef `output.%.4s` (must_env `SECRET`) }}'",
        ),
        (
            "ecspresso.jsonnet",
            "{plugins: [{name: 'tfstate', config: {path: 's.tfstate'}}], service: std.native('tfstate')(std.native('env')('QUOTED', ''))}",
        ),
    ] {
        let said = said(&[(name, text), ("s.tfstate", state)]);
        assert!(!said.is_empty() && !said.contains("hunt"), "{text}\n{said}");
    }
    assert!(said(&[("ecspresso.jsonnet", "{x: error 'no stage'}")]).contains("no stage"), "the file says so");
}

#[test]
fn no_error_tells_a_letter_of_the_value_of_a_variable() {
    for (name, text, letter) in [
        ("ecspresso.yml", "{{ $s := env `SECRET` }}cluster: '{{ must_env (slice $s 0 1) }}'", "variable h "),
        ("ecspresso.yml", "{{ $s := env `SECRET` }}cluster: '{{ slice $s 0 1 | must_env }}'", "variable h "),
        ("ecspresso.yml", "{{ $s := slice (env `SECRET`) 0 1 }}cluster: '{{ must_env $s }}'", "variable h "),
        ("ecspresso.yml", "cluster: '{{ env (index (env `SECRET`) 0) }}'", "104"),
        ("ecspresso.yml", "cluster: '{{ index `abc` (index (env `SECRET`) 0) }}'", "104"),
        ("ecspresso.yml", "cluster: '{{ slice `abc` (index (env `SECRET`) 0) }}'", "104"),
        ("ecspresso.yml", "cluster: '{{ slice (print (env `SECRET`)) 6 (len (env `NO`)) }}'", "6"),
        ("ecspresso.yml", "{{ slice (env `SECRET`) 0 1 }}: 1", "key h"),
        (
            "ecspresso.jsonnet",
            "{cluster: std.native('must_env')(std.native('env')('SECRET', '')[0])}",
            "variable h ",
        ),
        ("ecspresso.jsonnet", "{cluster: error std.native('env')('SECRET', '')[0:2]}", ": hu"),
    ] {
        let comment = if name.ends_with("jsonnet") { "//" } else { "#" };
        let said = said(&[(name, &format!("{text}\n{comment} the huge letters stand in it\n"))]);
        let message = said.lines().next().unwrap_or_default();
        let message = message.split_once(' ').map_or("", |(_, message)| message);
        assert!(!message.is_empty() && !message.contains(letter), "{text}\n{said}");
    }
    assert!(said(&[("ecspresso.yml", "cluster: '{{ `NOPE` | must_env }}'")]).contains("variable NOPE "));
    assert!(said(&[("ecspresso.yml", "klaster: 1")]).contains("key klaster"));
}

#[test]
fn no_error_tells_external_variables_of_the_environment() {
    for (name, value) in [
        ("ECSPRESSO_EXT_STR", "hunter2"),
        ("ECSPRESSO_EXT_CODE", "a=1;hunter2"),
        ("ECSPRESSO_EXT_CODE", "a=hunter2"),
        ("ECSPRESSO_EXT_CODE", "a='hunter2"),
        ("ECSPRESSO_EXT_CODE", "a=error 'hunter2'"),
        ("ECSPRESSO_EXT_CODE", "a='hunter2' + 1 + {}.x"),
    ] {
        let scene = Scene::new(&[("ecspresso.jsonnet", "{cluster: std.extVar('a')}")]).set(name, value);
        let said = said_of(&scene);
        assert!(!said.is_empty() && !said.contains("hunter2"), "{name}={value}\n{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_not_said_to_be_missing() {
    use std::os::unix::ffi::OsStringExt as _;
    for (name, text) in [
        ("ecspresso.yml", "cluster: '{{ must_env `CL` }}'"),
        ("ecspresso.yml", "cluster: '{{ env `CL` `fallback` }}'"),
        ("ecspresso.jsonnet", "{cluster: std.native('must_env')('CL')}"),
        ("ecspresso.jsonnet", "{cluster: std.native('env')('CL', 'fallback')}"),
    ] {
        let mut scene = Scene::new(&[(name, text)]);
        let value = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
        scene.environment.variables = [("CL".into(), value)].into_iter().collect();
        let said = said_of(&scene);
        assert!(said.contains("the value of the variable CL is not UTF-8"), "{text}\n{said}");
        assert_eq!(scene.set("CL", "c").load().cluster.unwrap(), "c", "an envfile may set it");
    }
}

#[test]
fn no_error_shows_a_line_of_a_file_that_is_none_of_the_projects() {
    for creds in ["creds", "../creds", "../creds.json", "../creds.jsonnet", "../import.jsonnet"] {
        let config = format!("cluster: c\ntask_definition: {creds}\n");
        let mut scene = Scene::new(&[("p/ecspresso.yml", &config), ("p/creds", "hunter2 = {{ hunter2")]);
        for outside in ["creds", "creds.json", "creds.jsonnet"] {
            fs::write(scene.path(outside), "hunter2 = hunter2\n").unwrap();
        }
        fs::write(scene.path("import.jsonnet"), "import 'creds'").unwrap();
        scene = scene.in_folder("p");
        let error = scene.load().definition_error.expect("that is no task definition");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let scene = Scene::new(&[("ecspresso.yml", "task_definition: td.json"), ("td.json", "{family}")]);
    assert!(scene.load().definition_error.unwrap().to_string().contains("{family}"), "one of its own");
}

/// Templates in what jsonnet made may be made of secrets, too.
#[test]
fn no_error_tells_a_template_that_no_file_says() {
    let refused = |value: &str, rest: &str| {
        let text = format!("{{cluster: std.native('env')('SECRET', ''), {rest}}}");
        let state = ("s.tfstate", r#"{"version": 4, "resources": []}"#);
        let error = Scene::new(&[("ecspresso.jsonnet", &text), state]).set("SECRET", value).refused();
        format!("{error} {:?}", error.hints())
    };
    let plugin = "plugins: [{name: 'tfstate', config: {path: 's.tfstate'}}]";
    for secret in [
        "{{hunter2}}",
        "{{if 0}}{{hunter2}}{{end}}",
        "{{9hunter2}}",
        "{{$hunter2}}",
        "{{$hunter2 = 1}}",
        "{{`x`.hunter2}}",
        "{{with `x`}}{{.hunter2}}{{end}}",
        "{{template `hunter2`}}",
        "{{tfstate `hunter2.x`}}",
        "{{tfstatef `a.b[%d]` 7141828}}",
        "{{must_env `hunter2`}}",
    ] {
        let said = refused(secret, plugin);
        assert!(!said.contains("hunter2") && !said.contains("7141828"), "{secret}: {said}");
    }
    assert!(!refused("x{{\u{2603}}}", "").contains('\u{2603}'));
    assert!(
        !refused("", &format!("{plugin}, x: '{{{{ tfstatef `a.b[%d]` 71' + '41828 }}}}'")).contains("71")
    );
    for plugins in ["{{ hunter2 }}", "{{ $hunter2 }}"] {
        let made = "plugins: [{name: 'tfstate', config: {path: std.native('env')('SECRET', '')}}]";
        assert!(!refused(plugins, made).contains("hunter2"), "{plugins}");
    }
    assert!(refused("", "x: '{{ nosuch }}'").contains("function nosuch is not defined"), "the file says it");
    assert!(refused("", "x: '{{ $nosuch }}'").contains("undefined variable $nosuch"));
    let told = refused("", &format!("{plugin}, x: '{{{{ tfstatef `a.b[%d]` 7141828 }}}}'"));
    assert!(told.contains("a.b[7141828] is not in the state"), "{told}");
}

/// Whatever is wrong with it: a link may lead to `/proc/self/environ`, or to credentials.
#[cfg(unix)]
#[test]
fn no_error_shows_a_line_of_what_a_link_leads_to() {
    let mut shown = Vec::new();
    for name in ["ecsx.yml", "ecspresso.yml", "ecspresso.jsonnet"] {
        for text in [
            "PATH=/bin\0SECRET=hunter2\0",
            "[default]\naws_secret_access_key = hunter2\n",
            "\thunter2: hunter2\n",
            "hunter2: *hunter2\n",
            "hunter2: !hunter2!x y\n",
            "a: 1\nhunter2\n",
            "hunter2: 1\nhunter2: 2\n",
            "plugins: [{name: hunter2}]\n",
            "presets: {'hunter2 ': {}}\n",
            "presets: {hunter: {hunter2: 1}}\n",
            "presets: {hunter: {port: hunter2}}\n",
            "config: hunter2.txt\n",
            "config: hunter2.yml\n",
            "x: '{{ hunter2 }}'\n",
            "hunter2 = {{ $hunter2 }}\n",
            "hunter2 = {{ \"hunter2\n",
            "hunter2 = {{ template `hunter2` }}\n",
            "hunter2 = {{ must_env 1 `hunter2` }}\n",
            "hunter2 = {{ must_env `hunter2` }}\n",
            "hunter2 = {{ tfstate `hunter2` }}\n",
        ] {
            let scene = Scene::new(&[("secret", text), ("p/x", "")]).in_folder("p");
            std::os::unix::fs::symlink(scene.path("secret"), scene.path("p").join(name)).unwrap();
            let said = match scene.try_load() {
                Err(error) => format!("{error} {:?}", error.hints()),
                Ok(project) => project.warnings.join("\n"),
            };
            if said.contains("hunter2") {
                shown.push(format!("{name}: {text:?}: {said}"));
            }
        }
    }
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

#[cfg(unix)]
#[test]
fn a_link_is_what_it_leads_to() {
    let scene =
        Scene::new(&[("p/ecspresso.yml", "task_definition: td.json"), ("creds", "hunter2 = hunter2")]);
    std::os::unix::fs::symlink(scene.path("creds"), scene.path("p/td.json")).unwrap();
    let error = scene.in_folder("p").load().definition_error.unwrap();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
