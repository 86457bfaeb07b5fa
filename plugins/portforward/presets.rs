//! Forwards by name, from the project's `ecsx.yml`.

use std::path::Path;

use ecsx::project::{self, Preset, Project};
use ecsx::session::forward::{Bind, FORMS, Spec, Wish};
use ecsx::ui::{Failure, Ui, harmless};
use serde_json::json;

use crate::args::usage;
use crate::teller;

/// What the wishes come to.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// What to forward, in the order of the wishes.
    pub(crate) asked: Vec<Asked>,
    /// The container to go through, if the flags or the presets say.
    pub(crate) container: Option<String>,
    /// What to warn of.
    pub(crate) warnings: Vec<String>,
}

/// One forward.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The addresses to listen on.
    pub(crate) bind: Bind,
    pub(crate) spec: Spec,
    /// The name it was asked for by.
    pub(crate) preset: Option<String>,
}

/// What the flags say: it is over what a preset says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) bind: Option<Bind>,
    pub(crate) container: Option<String>,
}

/// Looks the names up.
pub(crate) fn choose(wishes: Vec<Wish>, flags: Flags, project: &Project) -> Result<Chosen, Failure> {
    let mut asked: Vec<Asked> = Vec::new();
    let mut through: Option<(String, String)> = None;
    let mut warnings = Vec::new();
    for wish in wishes {
        let (spec, address, preset) = match wish {
            Wish::Spec(spec) => (spec, None, None),
            Wish::Preset { name, local_port } => {
                let forward = find(&name, project)?;
                match (&through, forward.container.as_ref().filter(|_| flags.container.is_none())) {
                    (Some((other, container)), Some(own)) if container != own => {
                        let message =
                            format!("{other} goes through the container {container}, {name} through {own}");
                        return Err(Failure::new(message).hint("start them one by one, or say --container"));
                    }
                    (None, Some(own)) => through = Some((name.clone(), own.clone())),
                    _ => {}
                }
                let local_port = local_port.or(forward.local_port).unwrap_or(0);
                let spec = Spec::new(None, local_port, forward.host.as_deref(), forward.port)?;
                (spec, forward.address.as_deref().and_then(Bind::parse), Some(name))
            }
        };
        let bind = spec.bind.clone().or_else(|| flags.bind.clone()).or(address).unwrap_or(Bind::Loopback);
        // With a flag the person says so, not the file.
        if let (Some(name), None, true) = (&preset, &flags.bind, lets_others_in(&bind)) {
            let file = project.presets_file.as_deref().unwrap_or(Path::new("ecsx.yml")).display();
            warnings.push(format!("{file} opens {name} to other machines: its address is not loopback"));
        }
        asked.push(Asked { bind, spec, preset });
    }
    refuse_twice(&asked)?;
    Ok(Chosen { asked, container: flags.container.or(through.map(|(_, container)| container)), warnings })
}

fn lets_others_in(bind: &Bind) -> bool {
    match bind {
        Bind::Loopback => false,
        Bind::Public => true,
        Bind::Addresses(addresses) => addresses.iter().any(|address| !address.is_loopback()),
        Bind::Several(binds) => binds.iter().any(lets_others_in),
    }
}

/// Or the second would find the port in use, by this very process.
fn refuse_twice(asked: &[Asked]) -> Result<(), Failure> {
    for (at, one) in asked.iter().enumerate() {
        let port = one.spec.local_port;
        let same = |other: &&Asked| other.spec.local_port == port && other.bind.overlaps(&one.bind);
        let Some(other) = asked[..at].iter().find(same).filter(|_| port != 0) else { continue };
        let (first, second) = (other.spec.written().to_string(), one.spec.written().to_string());
        let whom = match first == second {
            true => format!("both times for {first}"),
            false => format!("for {first} and for {second}"),
        };
        return Err(usage(format!("local port {port} is asked for twice, {whom}"))
            .hint("leave one out, or give it another port before its colon; nothing there is a free one"));
    }
    Ok(())
}

fn find<'p>(name: &str, project: &'p Project) -> Result<&'p project::Forward, Failure> {
    let presets = &project.presets;
    let Some(preset) = presets.iter().find(|preset| preset.name == name) else {
        let failure = usage(format!("there is no preset \"{name}\""));
        if let Some(why) = why_none(project) {
            return Err(failure.hint(why).hint(FORMS));
        }
        let slips = |known: &&str| strsim::osa_distance(known, name);
        let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        let near = names.iter().copied().min_by_key(slips);
        let failure = match near.filter(|near| slips(near) <= 2 && slips(near) < near.len()) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure,
        };
        let failure = failure.hint(format!("there are {}", names.join(", ")));
        return Err(failure.hint(FORMS).hint("a command to run stands behind --"));
    };
    preset.forward.as_ref().map_err(|error| Failure::from((**error).clone()))
}

/// Why there are no presets at all, if there are none.
fn why_none(project: &Project) -> Option<String> {
    match &project.presets_file {
        _ if !project.presets.is_empty() => None,
        Some(file) => Some(format!("{} names no presets", file.display())),
        None => Some("no presets: there is no ecsx.yml beside the project or here".to_owned()),
    }
}

/// Shows the presets on stdout; `json` gives an object a line.
pub(crate) fn list(project: &Project, json: bool, ui: Ui) -> Result<u8, Failure> {
    if let Some(why) = why_none(project) {
        ui.status(&why);
    }
    let width = project.presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Preset { name, forward } in &project.presets {
        text += &match (forward, json) {
            (Ok(forward), true) => {
                let project::Forward { host, port, local_port, container, address } = forward;
                let object = json!({"name": name, "host": host, "port": port, "local_port": local_port,
                    "container": container, "address": address});
                format!("{object}\n")
            }
            (Err(error), true) => format!("{}\n", json!({"name": name, "error": error.to_string()})),
            (Ok(forward), false) => format!("{name:width$}  {}\n", described(forward)),
            (Err(error), false) => {
                let why = error.to_string();
                format!("{name:width$}  not now: {}\n", why.lines().next().unwrap_or_default())
            }
        };
    }
    // A file's texts: none of them drives the terminal.
    teller::write(&harmless(&text)).map(|()| 0)
}

/// As one would write it behind -L, with what -L cannot say.
fn described(forward: &project::Forward) -> String {
    let project::Forward { host, port, local_port, container, address } = forward;
    let bracketed = |host: &String| if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let local = local_port.map(|port| port.to_string()).unwrap_or_default();
    let bind = address.as_ref().map(|address| bracketed(address) + ":").unwrap_or_default();
    let host = host.as_ref().map(|host| bracketed(host) + ":").unwrap_or_default();
    let container = container.as_ref().map(|name| format!("  through {name}")).unwrap_or_default();
    format!("{bind}{local}:{host}{port}{container}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(name: &str, forward: project::Forward) -> Preset {
        Preset { name: name.to_owned(), forward: Ok(forward) }
    }

    fn project() -> Project {
        let db = project::Forward {
            host: Some("db.internal".into()),
            port: 5432,
            local_port: Some(15432),
            container: Some("app".into()),
            address: Some("127.0.0.2".into()),
        };
        let web = project::Forward { port: 80, container: Some("web".into()), ..project::Forward::default() };
        let presets = vec![preset("db", db), preset("web", web)];
        Project { presets, presets_file: Some("ecsx.yml".into()), ..Project::default() }
    }

    fn names(names: &[&str]) -> Vec<Wish> {
        names.iter().map(|name| Wish::parse(name).unwrap()).collect()
    }

    #[test]
    fn a_name_stands_for_its_forward() {
        let chosen = choose(names(&["db"]), Flags::default(), &project()).unwrap();
        assert_eq!(chosen.asked[0].spec, Spec::parse("15432:db.internal:5432").unwrap());
        assert_eq!(chosen.asked[0].bind, Bind::Addresses(vec!["127.0.0.2".parse().unwrap()]));
        assert_eq!(chosen.container.as_deref(), Some("app"));
    }

    #[test]
    fn another_local_port_may_stand_before_a_name() {
        let chosen = choose(names(&["25432:db", ":db", "80:web"]), Flags::default(), &project());
        assert!(chosen.unwrap_err().error().to_string().contains("web through web"));
        let chosen = choose(names(&["25432:db", ":db"]), Flags::default(), &project()).unwrap();
        assert_eq!(chosen.asked[0].spec, Spec::parse("25432:db.internal:5432").unwrap());
        assert_eq!(chosen.asked[1].spec, Spec::parse(":db.internal:5432").unwrap());
    }

    #[test]
    fn a_name_that_is_given_twice_asks_for_its_port_twice() {
        let failure = choose(names(&["db", "db"]), Flags::default(), &project()).unwrap_err();
        let expected = "local port 15432 is asked for twice, both times for db.internal:5432";
        assert_eq!((failure.error().to_string().as_str(), failure.exit_code()), (expected, 2));
        assert!(choose(names(&["db", ":db"]), Flags::default(), &project()).is_ok());
    }

    #[test]
    fn flags_are_over_a_presets_address() {
        let chosen =
            choose(names(&["db"]), Flags { bind: Some(Bind::Public), container: None }, &project()).unwrap();
        assert_eq!(chosen.asked[0].bind, Bind::Public);
    }

    #[test]
    fn a_preset_that_lets_other_machines_in_is_warned_of_unless_a_flag_says_where() {
        let warned = |address: &str, bind: Option<Bind>| {
            let forward = project::Forward { port: 80, address: Some(address.into()), ..Default::default() };
            let presets = vec![preset("web", forward)];
            let presets_file = Some("/p/ecsx.yml".into());
            let project = Project { presets, presets_file, ..Project::default() };
            choose(names(&["web"]), Flags { bind, container: None }, &project).unwrap().warnings
        };
        for address in ["*", "0.0.0.0", "::", "192.0.2.1"] {
            assert!(warned(address, None)[0].starts_with("/p/ecsx.yml opens web"), "{address}");
            assert!(warned(address, Some(Bind::Public)).is_empty(), "{address}");
        }
        for address in ["127.0.0.1", "::1", "localhost"] {
            assert!(warned(address, None).is_empty(), "{address}");
        }
    }

    #[test]
    fn one_run_goes_through_one_container() {
        let failure = choose(names(&["db", "web"]), Flags::default(), &project()).unwrap_err();
        assert!(failure.error().to_string().contains("web"));
        let flags = Flags { bind: None, container: Some("app".into()) };
        assert_eq!(
            choose(names(&["db", "web"]), flags, &project()).unwrap().container.as_deref(),
            Some("app")
        );
    }

    #[test]
    fn a_name_that_is_none_is_told_which_there_are() {
        let failure = choose(names(&["bd"]), Flags::default(), &project()).unwrap_err();
        assert!(failure.hints().iter().any(|hint| hint.contains("db, web")), "{failure:?}");
    }

    #[test]
    fn the_list_says_what_one_would_have_to_write() {
        let Ok(forward) = &project().presets[0].forward else { unreachable!() };
        assert_eq!(described(forward), "127.0.0.2:15432:db.internal:5432  through app");
        assert_eq!(described(&project::Forward { port: 80, ..project::Forward::default() }), ":80");
    }
}
