//! Forwards by name, from the project's `ecsx.yml`.

use std::io::{self, Write as _};

use ecsx::project::{self, Preset, Project};
use ecsx::session::forward::{Bind, Destination, FORMS, Spec};
use ecsx::ui::{Failure, harmless};
use serde_json::json;

use crate::args::{Wish, usage};

/// What the wishes come to.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// What to forward, each with the addresses to listen on.
    pub(crate) specs: Vec<(Bind, Spec)>,
    /// The container to go through, if the flags or the presets say.
    pub(crate) container: Option<String>,
}

/// What the flags say: it is over what a preset says.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) bind: Option<Bind>,
    pub(crate) container: Option<String>,
}

/// Looks the names up.
pub(crate) fn choose(wishes: Vec<Wish>, flags: Flags, presets: &[Preset]) -> Result<Chosen, Failure> {
    let mut specs = Vec::new();
    let mut through: Option<(String, String)> = None;
    for wish in wishes {
        let (spec, address) = match wish {
            Wish::Spec(spec) => (spec, None),
            Wish::Preset(name) => {
                let forward = find(&name, presets)?;
                match (&through, forward.container.as_ref().filter(|_| flags.container.is_none())) {
                    (Some((other, container)), Some(own)) if container != own => {
                        let message =
                            format!("{other} goes through the container {container}, {name} through {own}");
                        return Err(Failure::new(message).hint("start them one by one, or say --container"));
                    }
                    (None, Some(own)) => through = Some((name.clone(), own.clone())),
                    _ => {}
                }
                let remote = Destination::new(forward.host.as_deref(), forward.port);
                let spec = Spec { bind: None, local_port: forward.local_port.unwrap_or(0), remote };
                (spec, forward.address.as_deref().and_then(Bind::parse))
            }
        };
        let addresses =
            spec.bind.clone().or_else(|| flags.bind.clone()).or(address).unwrap_or(Bind::Loopback);
        specs.push((addresses, spec));
    }
    Ok(Chosen { specs, container: flags.container.or(through.map(|(_, container)| container)) })
}

fn find<'p>(name: &str, presets: &'p [Preset]) -> Result<&'p project::Forward, Failure> {
    let Some(preset) = presets.iter().find(|preset| preset.name == name) else {
        let failure = usage(format!("there is no preset \"{name}\""));
        let names: Vec<_> = presets.iter().map(|preset| preset.name.as_str()).collect();
        return Err(match names.is_empty() {
            true => failure.hint("ecsx.yml of this project names none").hint(FORMS),
            false => failure.hint(format!("there are {}", names.join(", "))),
        });
    };
    preset.forward.as_ref().map_err(|error| Failure::from((**error).clone()))
}

/// Shows the presets on stdout; `json` gives an object a line.
pub(crate) fn list(project: &Project, json: bool) -> Result<u8, Failure> {
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
    let mut stdout = io::stdout();
    // A file's texts: none of them drives the terminal.
    match stdout.write_all(harmless(&text).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::because("cannot write to stdout", error))
        }
        _ => Ok(0),
    }
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

    fn presets() -> Vec<Preset> {
        let db = project::Forward {
            host: Some("db.internal".into()),
            port: 5432,
            local_port: Some(15432),
            container: Some("app".into()),
            address: Some("127.0.0.2".into()),
        };
        let web = project::Forward { port: 80, container: Some("web".into()), ..project::Forward::default() };
        vec![preset("db", db), preset("web", web)]
    }

    fn names(names: &[&str]) -> Vec<Wish> {
        names.iter().map(|name| Wish::Preset((*name).to_owned())).collect()
    }

    #[test]
    fn a_name_stands_for_its_forward() {
        let chosen = choose(names(&["db"]), Flags::default(), &presets()).unwrap();
        assert_eq!(chosen.specs[0].1, Spec::parse("15432:db.internal:5432").unwrap());
        assert_eq!(chosen.specs[0].0, Bind::Addresses(vec!["127.0.0.2".parse().unwrap()]));
        assert_eq!(chosen.container.as_deref(), Some("app"));
    }

    #[test]
    fn flags_are_over_a_presets_address() {
        let chosen =
            choose(names(&["db"]), Flags { bind: Some(Bind::Public), container: None }, &presets()).unwrap();
        assert_eq!(chosen.specs[0].0, Bind::Public);
    }

    #[test]
    fn one_run_goes_through_one_container() {
        let failure = choose(names(&["db", "web"]), Flags::default(), &presets()).unwrap_err();
        assert!(failure.error().to_string().contains("web"));
        let flags = Flags { bind: None, container: Some("app".into()) };
        assert_eq!(
            choose(names(&["db", "web"]), flags, &presets()).unwrap().container.as_deref(),
            Some("app")
        );
    }

    #[test]
    fn a_name_that_is_none_is_told_which_there_are() {
        let failure = choose(names(&["bd"]), Flags::default(), &presets()).unwrap_err();
        assert!(failure.hints().iter().any(|hint| hint.contains("db, web")), "{failure:?}");
    }

    #[test]
    fn the_list_says_what_one_would_have_to_write() {
        let Ok(forward) = &presets()[0].forward else { unreachable!() };
        assert_eq!(described(forward), "127.0.0.2:15432:db.internal:5432  through app");
        assert_eq!(described(&project::Forward { port: 80, ..project::Forward::default() }), ":80");
    }
}
