//! `ecsx.yml`: ecsx's own file, beside the ecspresso configuration or alone. Defaults, and
//! forwards by name. It is rendered as ecspresso's files are, plugin functions included.
//!
//! `docs/ecsx.schema.json` describes it for editors.

use std::collections::HashMap;
use std::net::IpAddr;

use super::document::{Data, Document, Entries, Id, near};
use super::error::{Error, ErrorKind, MADE};
use crate::host;

/// A forward with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// What it is called by.
    pub name: String,
    /// Where it goes; or why the file cannot say, which matters to who wants this one.
    pub forward: Result<Forward, Box<Error>>,
}

/// A forward as `ecsx.yml` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forward {
    /// Host as the task sees it; `None` for the container itself.
    pub host: Option<String>,
    /// Port there; never 0.
    pub port: u16,
    /// Local port; `None` for a free one.
    pub local_port: Option<u16>,
    /// Container to go through.
    pub container: Option<String>,
    /// Address to listen on.
    pub address: Option<String>,
}

/// Keys of the file, and of a preset.
pub(crate) const KEYS: [&str; 8] =
    ["config", "region", "cluster", "service", "family", "container", "plugins", "presets"];
pub(crate) const PRESET_KEYS: [&str; 5] = ["host", "port", "local_port", "container", "address"];

/// The most presets of a file. (Real ones have tens.)
const MOST_PRESETS: usize = 1000;

/// What `ecsx.yml` says.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) region: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) container: Option<String>,
    pub(crate) presets: Vec<Preset>,
}

/// The ecspresso configuration that the file names, and where.
pub(crate) fn config(document: &Document<'_>) -> Result<Option<(String, Id)>, Error> {
    let Some(entries) = root(document)? else { return Ok(None) };
    let named = document.optional(&entries, "config")?;
    Ok(named.zip(entries.get("config").map(|entry| entry.value)))
}

/// Decodes the file. Unlike ecspresso's, a key that is not known is an error.
pub(crate) fn decode(document: &Document<'_>) -> Result<File, Error> {
    let Some(entries) = root(document)? else { return Ok(File::default()) };
    known(document, &entries, &KEYS)?;
    let text = |key: &str| document.optional(&entries, key);
    Ok(File {
        region: text("region")?,
        cluster: text("cluster")?,
        service: text("service")?,
        family: text("family")?,
        container: text("container")?,
        presets: presets(document, &entries)?,
    })
}

fn root<'d>(document: &'d Document<'_>) -> Result<Option<Entries<'d>>, Error> {
    match (&document.nodes[document.root].data, document.entries(document.root)) {
        (Data::Null, _) => Ok(None),
        (_, Some(entries)) => Ok(Some(entries)),
        (data, None) => {
            Err(document.wrong(document.root, format!("this must be a map, not {}", data.kind())))
        }
    }
}

fn presets(document: &Document<'_>, entries: &Entries<'_>) -> Result<Vec<Preset>, Error> {
    let Some(entry) = entries.get("presets") else { return Ok(Vec::new()) };
    let pairs = match (&document.nodes[entry.value].data, document.pairs(entry.value)) {
        (Data::Null, _) => return Ok(Vec::new()),
        (_, Some(pairs)) => pairs,
        (data, None) => {
            return Err(
                document.wrong(entry.value, format!("presets must be a map of names, not {}", data.kind()))
            );
        }
    };
    // Each may have an error of its own.
    if let Some((key, _)) = pairs.get(MOST_PRESETS) {
        let message = format!("more than {MOST_PRESETS} presets in one file");
        return Err(Error::at(ErrorKind::TooLarge, document.place(*key), message));
    }
    let mut presets: Vec<Preset> = Vec::new();
    let mut known = HashMap::new();
    for (key, value) in pairs {
        let preset = preset(document, key, value)?;
        // Merged, and here again: the last one counts, in the place of the first.
        match known.get(&preset.name) {
            Some(&first) => presets[first] = preset,
            None => {
                known.insert(preset.name.clone(), presets.len());
                presets.push(preset);
            }
        }
    }
    Ok(presets)
}

fn preset(document: &Document<'_>, key: Id, value: Id) -> Result<Preset, Error> {
    let name = match &document.nodes[key].data {
        Data::Text(name) => name.clone(),
        data => {
            return Err(document.wrong(key, format!("a preset's name must be text, not {}", data.kind())));
        }
    };
    if !is_name(&name) {
        let error =
            document.wrong(key, "a preset's name starts with a letter; letters, digits, - _ . follow");
        return Err(error.hint("so that it cannot be taken for a port, or an option"));
    }
    let forward = match forward(document, value) {
        Ok(forward) => Ok(forward),
        Err(error) if matches!(error.kind(), ErrorKind::Variable | ErrorKind::Lookup) => Err(Box::new(error)),
        Err(error) => return Err(error),
    };
    Ok(Preset { name, forward })
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn forward(document: &Document<'_>, id: Id) -> Result<Forward, Error> {
    let Some(entries) = document.entries(id) else {
        let kind = document.nodes[id].data.kind();
        return Err(document.wrong(id, format!("a preset is a map with a port, not {kind}")));
    };
    known(document, &entries, &PRESET_KEYS)?;
    let address = document.optional(&entries, "address")?;
    if let (Some(address), Some(entry)) = (&address, entries.get("address"))
        && address.parse::<IpAddr>().is_err()
        && !matches!(address.as_str(), "localhost" | "*")
    {
        return Err(
            document.wrong(entry.value, "address must be an IP address of this machine, localhost, or *")
        );
    }
    let host = document.optional(&entries, "host")?;
    if let (Some(host), Some(entry)) = (&host, entries.get("host"))
        && host::bare(host.trim()).is_none()
    {
        let error = document.wrong(entry.value, "host must be a name or an IP address");
        return Err(match host.trim() {
            // Of a variable that is not set, maybe: it must not lead elsewhere.
            "" => error.hint("leave the key out for a port of the container itself"),
            _ => error.hint("without a scheme, a user, or a port: that one has a key of its own"),
        });
    }
    let Some(port) = port(document, &entries, "port")?.filter(|port| *port != 0) else {
        let at = entries.get("port").map_or(id, |entry| entry.value);
        return Err(document.wrong(at, "a preset needs the port to go to: a number from 1 to 65535"));
    };
    Ok(Forward {
        host,
        port,
        // 0 is a free one, as on the command line.
        local_port: self::port(document, &entries, "local_port")?.filter(|port| *port != 0),
        container: document.optional(&entries, "container")?,
        address,
    })
}

/// A port, in quotes or not: a template in quotes gives text.
fn port(document: &Document<'_>, entries: &Entries<'_>, key: &str) -> Result<Option<u16>, Error> {
    let Some(entry) = entries.get(key) else { return Ok(None) };
    let text = match &document.nodes[entry.value].data {
        Data::Null => return Ok(None),
        Data::Number(text) => text,
        _ => document.string(key, entry.value)?,
    };
    let port =
        text.parse().map_err(|_| document.wrong(entry.value, format!("{key} must be a port, 0 to 65535")))?;
    Ok(Some(port))
}

fn known(document: &Document<'_>, entries: &Entries<'_>, keys: &[&str]) -> Result<(), Error> {
    let unknown = entries.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
    let Some((key, entry)) = unknown.min_by_key(|(_, entry)| entry.key) else { return Ok(()) };
    let name = document.called(entry.key, entry.name).unwrap_or(MADE);
    let name: String = name.chars().take(60).collect();
    let error = document.wrong(entry.key, format!("key {name:?} is not known here"));
    Err(match near(key, keys) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("there are {}", keys.join(", "))),
    })
}
