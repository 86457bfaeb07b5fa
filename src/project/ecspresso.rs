//! ecspresso's own configuration, decoded by Go's rules.

use std::path::{Path, PathBuf};

use super::document::{Data, Document, Entries, Id, near};
use super::error::{Error, ErrorKind, MADE, Place};
use super::lookup::{Function, Location, Lookups};

/// What an ecspresso configuration says that matters here; empty is `None`.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) region: Option<String>,
    pub(crate) cluster: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) service_definition: Option<PathBuf>,
    pub(crate) task_definition: Option<PathBuf>,
    /// Where that is named, if an error must not tell the name.
    pub(crate) task_definition_place: Option<Place>,
    /// The file says nothing at all.
    pub(crate) is_empty: bool,
    /// Things that are odd, though no error.
    pub(crate) warnings: Vec<String>,
}

/// Keys of a configuration, of every version.
const KEYS: &[&str] = &[
    "required_version",
    "region",
    "cluster",
    "service",
    "service_definition",
    "task_definition",
    "express_definition",
    "timeout",
    "plugins",
    "appspec",
    "filter_command",
    "codedeploy",
    "ignore",
];

/// How many keys that are not known are warned of, each by itself.
const MOST_WARNINGS: usize = 10;

/// What flags have said already, so that the file need not be able to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given {
    pub(crate) region: bool,
    pub(crate) cluster: bool,
    pub(crate) service: bool,
}

/// Decodes a configuration whose relative paths are meant from `folder`.
pub(crate) fn decode(document: &Document<'_>, folder: &Path, given: Given) -> Result<Config, Error> {
    let Some(entries) = entries(document)? else {
        return Ok(Config { is_empty: true, ..Config::default() });
    };
    let text = |key: &str, given: bool| match document.optional(&entries, key) {
        Err(error) if given && error.kind() == ErrorKind::Lookup => Ok(None),
        other => other,
    };
    let path = |key: &str| -> Result<Option<PathBuf>, Error> {
        Ok(document.optional(&entries, key)?.map(|text| super::find::clean(&folder.join(text))))
    };
    let made = |key: &str| -> Option<Place> {
        let entry = entries.get(key)?;
        let text = document.string(key, entry.value).ok()?;
        document.called(entry.value, text).is_none().then(|| document.place(entry.value))
    };
    let config = Config {
        region: text("region", given.region)?,
        cluster: text("cluster", given.cluster)?,
        service: text("service", given.service)?,
        service_definition: path("service_definition")?,
        task_definition: path("task_definition")?,
        task_definition_place: made("task_definition"),
        is_empty: entries.is_empty(),
        warnings: warnings(document, &entries),
    };
    path("express_definition")?;
    check_version(document, &entries)?;
    document.optional(&entries, "filter_command")?;
    check_timeout(document, &entries)?;
    check_objects(document, &entries)?;
    Ok(config)
}

/// The keys of the root; `None` of an empty document.
fn entries<'d>(document: &'d Document<'_>) -> Result<Option<Entries<'d>>, Error> {
    let root = &document.nodes[document.root];
    match (&root.data, document.entries(document.root)) {
        (Data::Null, _) => Ok(None),
        (_, Some(entries)) => Ok(Some(entries)),
        (data, None) => {
            let message = format!("a configuration is a map of keys and values, not {}", data.kind());
            Err(document.wrong(document.root, message))
        }
    }
}

fn warnings(document: &Document<'_>, entries: &Entries<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let line = |id: Id| {
        let place = document.place(id);
        format!("{}:{}", place.file.display(), place.line)
    };
    let mut unknown: Vec<_> = entries.iter().filter(|(key, _)| !KEYS.contains(&key.as_str())).collect();
    unknown.sort_by_key(|(_, entry)| entry.key);
    let more = unknown.len().saturating_sub(MOST_WARNINGS);
    for (key, entry) in unknown.into_iter().take(MOST_WARNINGS) {
        let near = near(key, KEYS).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let name = document.called(entry.key, entry.name).unwrap_or(MADE);
        let name: String = name.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
        warnings.push(format!("{}: key {name} is not known to ecspresso{near}", line(entry.key)));
    }
    if more > 0 {
        warnings.push(format!("{more} more keys are not known to ecspresso"));
    }
    if let Some(entry) = entries.get("filter_command") {
        let message = "filter_command is not run for a project's file; set ECSPRESSO_FILTER_COMMAND";
        warnings.push(format!("{}: {message}", line(entry.value)));
    }
    for key in ["region", "cluster", "service"] {
        let Some(entry) = entries.get(key) else { continue };
        if let Data::Text(text) = &document.nodes[entry.value].data
            && let Some(start) = text.find("${")
            && text[start..].contains('}')
        {
            let message = format!(
                "{key} is taken as written: ecspresso knows no ${{NAME}}, only {{{{ must_env `NAME` }}}}"
            );
            warnings.push(format!("{}: {message}", line(entry.value)));
        }
    }
    warnings
}

/// Constraints on ecspresso's version, which is not ecsx's: only their form matters.
fn check_version(document: &Document<'_>, entries: &Entries<'_>) -> Result<(), Error> {
    let (Some(text), Some(entry)) =
        (document.optional(entries, "required_version")?, entries.get("required_version"))
    else {
        return Ok(());
    };
    let is_constraint = |constraint: &str| {
        let version = constraint.trim().trim_start_matches(['=', '!', '<', '>', '~']).trim_start();
        let version = version.strip_prefix('v').unwrap_or(version);
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        numbers.split('.').all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    match text.split(',').all(is_constraint) {
        true => Ok(()),
        false => {
            let error = document.wrong(entry.value, "required_version must be constraints of versions");
            Err(error.hint("such as \">= 2.0.0, < 3\""))
        }
    }
}

/// A duration as Go writes it, or a number.
fn check_timeout(document: &Document<'_>, entries: &Entries<'_>) -> Result<(), Error> {
    let Some(entry) = entries.get("timeout") else { return Ok(()) };
    let fault = || document.wrong(entry.value, "timeout must be a duration").hint("such as 10m or 1h30m");
    match &document.nodes[entry.value].data {
        Data::Null | Data::Number(_) => Ok(()),
        Data::Text(_) => {
            let text = document.string("timeout", entry.value)?;
            // Digits alone are seconds since v3.
            let seconds = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if seconds || is_duration(text) { Ok(()) } else { Err(fault()) }
        }
        _ => Err(fault()),
    }
}

/// Whether Go's time.ParseDuration takes it.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        if number.matches('.').count() > 1 || !number.contains(|c: char| c.is_ascii_digit()) {
            return false;
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        if !matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        rest = after;
    }
    true
}

/// Keys that ecsx does not need, but that must be what they must be.
fn check_objects(document: &Document<'_>, entries: &Entries<'_>) -> Result<(), Error> {
    for key in ["appspec", "codedeploy", "ignore"] {
        let Some(entry) = entries.get(key) else { continue };
        let data = &document.nodes[entry.value].data;
        let Some(inner) = document.entries(entry.value) else {
            match data {
                Data::Null => continue,
                data => {
                    return Err(
                        document.wrong(entry.value, format!("{key} must be a map, not {}", data.kind()))
                    );
                }
            }
        };
        for key in ["application_name", "deployment_group_name", "deployment_config_name"] {
            document.optional(&inner, key).or_else(unknown_is_fine)?;
        }
        if let (Some(tags), "ignore") = (inner.get("tags"), key) {
            match &document.nodes[tags.value].data {
                Data::Null => {}
                Data::List(items) => {
                    items.iter().try_for_each(|item| document.string("a tag", *item).map(drop))?;
                }
                data => {
                    return Err(
                        document.wrong(tags.value, format!("tags must be a list, not {}", data.kind()))
                    );
                }
            }
        }
    }
    Ok(())
}

/// What could not be looked up is no matter where nobody needs it.
fn unknown_is_fine(error: Error) -> Result<Option<String>, Error> {
    if error.kind() == ErrorKind::Lookup { Ok(None) } else { Err(error) }
}

/// Plugins that are there unless named.
const DEFAULT_PLUGINS: [&str; 2] = ["ssm", "secretsmanager"];

/// The most plugins of a file. (Real ones have a few.)
const MOST_PLUGINS: usize = 100;

/// Reads `plugins:` and adds the functions they bring, and those that are always there unless
/// that was done already; nothing is looked up.
pub(crate) fn plugins(
    document: &Document<'_>,
    folder: &Path,
    current: &Path,
    lookups: &mut Lookups,
) -> Result<(), Error> {
    let mut named = Vec::new();
    if let Some(entry) = entries(document)?.as_ref().and_then(|entries| entries.get("plugins")) {
        match &document.nodes[entry.value].data {
            Data::Null => {}
            Data::List(items) => {
                // What is told of each costs a look at the whole file.
                if let Some(item) = items.get(MOST_PLUGINS) {
                    let message = format!("more than {MOST_PLUGINS} plugins in one file");
                    return Err(Error::at(ErrorKind::TooLarge, document.place(*item), message));
                }
                for &item in items {
                    named.push(plugin(document, item, folder, current, lookups)?);
                }
            }
            data => {
                return Err(
                    document.wrong(entry.value, format!("plugins must be a list, not {}", data.kind()))
                );
            }
        }
    }
    let missing = DEFAULT_PLUGINS.iter().filter(|name| !named.iter().any(|named| named == *name));
    for name in missing.filter(|_| lookups.is_fresh()).collect::<Vec<_>>() {
        for (function, kind) in remote(name) {
            if !lookups.add(function.to_owned(), kind) {
                let message = format!("function {function} comes with two plugins");
                let error = Error::new(ErrorKind::Plugin, message);
                return Err(error.hint(format!("write the name in lower case ({name}), or set func_prefix")));
            }
        }
    }
    lookups.settle();
    Ok(())
}

/// Functions of the plugins that ask AWS.
fn remote(plugin: &str) -> Vec<(&'static str, Function)> {
    let function = |service, name, parameters| (name, Function::Remote { service, parameters });
    match plugin {
        "ssm" => vec![function("the SSM parameter store", "ssm", &["name"])],
        "secretsmanager" => vec![function("Secrets Manager", "secretsmanager_arn", &["name"])],
        "cloudformation" => vec![
            function("CloudFormation", "cfn_output", &["stack", "key"]),
            function("CloudFormation", "cfn_export", &["name"]),
        ],
        _ => Vec::new(),
    }
}

/// Adds one entry's functions; its name as written.
fn plugin(
    document: &Document<'_>,
    item: Id,
    folder: &Path,
    current: &Path,
    lookups: &mut Lookups,
) -> Result<String, Error> {
    let Some(entries) = document.entries(item) else {
        let kind = document.nodes[item].data.kind();
        return Err(document.wrong(item, format!("a plugin is a map with a name, not {kind}")));
    };
    let name = document.optional(&entries, "name")?.unwrap_or_default();
    let prefix = document.optional(&entries, "func_prefix")?.unwrap_or_default();
    let config = entries.get("config").copied();
    let settings = match config.map(|entry| (entry, document.entries(entry.value))) {
        None => Entries::new(),
        Some((_, Some(settings))) => settings,
        Some((entry, None)) => match &document.nodes[entry.value].data {
            Data::Null => Entries::new(),
            data => {
                return Err(document.wrong(entry.value, format!("config must be a map, not {}", data.kind())));
            }
        },
    };
    let lower = name.to_lowercase();
    let functions = match lower.as_str() {
        "tfstate" => {
            let location = location(document, item, &settings, folder, current)?;
            let index = lookups.add_state(location);
            vec![
                ("tfstate".to_owned(), Function::Tfstate(index)),
                ("tfstatef".to_owned(), Function::Tfstatef(index)),
            ]
        }
        "external" => match document.optional(&settings, "name")? {
            Some(name) => {
                vec![(name, Function::Command { arguments: number(document, &settings, "num_args") })]
            }
            None => return Err(document.wrong(item, "an external plugin needs a name in its config")),
        },
        plugin => {
            remote(plugin).iter().map(|(name, function)| ((*name).to_owned(), function.clone())).collect()
        }
    };
    if functions.is_empty() {
        let at = entries.get("name").map_or(item, |entry| entry.value);
        let error = {
            let message = match document.called(at, &name) {
                Some(name) => format!("there is no plugin {name:?}"),
                None => "there is no plugin of this name".to_owned(),
            };
            Error::at(ErrorKind::Plugin, document.place(at), message)
        };
        return Err(error.hint("ecspresso knows tfstate, cloudformation, ssm, secretsmanager and external"));
    }
    for (function, kind) in functions {
        if !lookups.add(format!("{prefix}{function}"), kind) {
            let called = |key: &str, entries: &Entries<'_>, text| {
                entries.get(key).is_none_or(|entry| document.called(entry.value, text).is_some())
            };
            let is_told = called("func_prefix", &entries, &prefix)
                && (lower != "external" || called("name", &settings, &function));
            let message = match is_told {
                true => format!("function {prefix}{function} is there already"),
                false => "its function is there already".to_owned(),
            };
            let error = Error::at(ErrorKind::Plugin, document.place(item), message);
            return Err(error.hint("give this plugin a func_prefix"));
        }
    }
    Ok(name)
}

/// Where a tfstate plugin finds its state.
fn location(
    document: &Document<'_>,
    item: Id,
    settings: &Entries<'_>,
    folder: &Path,
    current: &Path,
) -> Result<Location, Error> {
    // Where even the place is unknown, so is the state.
    let text = |key: &str| match document.optional(settings, key) {
        Err(error) if error.kind() == ErrorKind::Lookup => Ok(Some("unknown://".to_owned())),
        other => other,
    };
    let is_told = |key: &str, text: &str| {
        settings.get(key).is_some_and(|entry| document.called(entry.value, text).is_some())
    };
    if let Some(path) = text("path")? {
        return Ok(Location::File(folder.join(&path), is_told("path", &path)));
    }
    let Some(url) = text("url")? else {
        let error =
            Error::at(ErrorKind::Plugin, document.place(item), "tfstate needs to know where the state is");
        return Err(error.hint("config: {path: terraform.tfstate}, or url"));
    };
    let is_told = is_told("url", &url);
    Ok(match url.split_once("://") {
        None => Location::File(current.join(url), is_told),
        Some(("file", path)) => Location::File(PathBuf::from(path), is_told),
        Some(_) if is_told => Location::Remote(url),
        Some(_) => Location::Remote("where is not shown".to_owned()),
    })
}

/// A small number; 0 where there is none.
fn number(document: &Document<'_>, settings: &Entries<'_>, key: &str) -> usize {
    match settings.get(key).map(|entry| &document.nodes[entry.value].data) {
        Some(Data::Number(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}
