//! Values from a Terraform state, by the addresses of tfstate-lookup: `output.NAME`,
//! `TYPE.NAME.ATTRIBUTE`, `data.…`, `module.X.…`, with `["key"]`, `['key']` or `[0]`.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value};

use super::error::{Error, ErrorKind, Source};

/// A local state file, version 4.
#[derive(Debug)]
pub(crate) struct State {
    state: Value,
    /// How many resources and instances all look-ups together have gone through.
    seen: AtomicUsize,
}

/// How many those may be: templates have loops.
const MOST_SEEN: usize = 2_000_000;

/// Why there is no answer. (The address is not told: a secret may be in it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no address.
    NoAddress,
    /// There were too many look-ups before.
    TooMuch,
}

/// What a state file may turn out to be.
#[derive(Debug)]
pub(crate) enum Read {
    State(State),
    /// The file only names a backend, which is not on this machine: its type.
    Elsewhere(String),
}

impl State {
    /// Reads the state at `path`. `workspace` is `TF_WORKSPACE`, else what the file
    /// `environment` beside the state says.
    pub(crate) fn read(path: &Path, workspace: Option<&str>, current: &Path) -> Result<Read, Error> {
        let state = parse(path, current)?;
        let Some(backend) = state.get("backend").filter(|backend| backend.is_object()) else {
            return Self::new(state, path).map(Read::State);
        };
        let kind = backend.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != "local" {
            return Ok(Read::Elsewhere(kind.to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        // `.terraform/terraform.tfstate` speaks of files relative to the folder above it.
        let root = folder.parent().unwrap_or(folder);
        let beside = || Source::read(&folder.join("environment"), current).ok().map(|source| source.text);
        let workspace = workspace.map(str::to_owned).or_else(beside).unwrap_or_default();
        let config =
            |key: &str| backend.get("config").and_then(|config| config.get(key)).and_then(Value::as_str);
        let local = match workspace.trim() {
            "" | "default" => root.join(config("path").unwrap_or("terraform.tfstate")),
            name => {
                let workspaces = config("workspace_dir").unwrap_or("terraform.tfstate.d");
                root.join(workspaces).join(name).join("terraform.tfstate")
            }
        };
        Self::new(parse(&local, current)?, &local).map(Read::State)
    }

    fn new(state: Value, path: &Path) -> Result<Self, Error> {
        if state.get("version").and_then(Value::as_u64) == Some(4) {
            return Ok(Self { state, seen: AtomicUsize::new(0) });
        }
        let message = format!("{} is no Terraform state of version 4", path.display());
        Err(Error::new(ErrorKind::Lookup, message).hint("`terraform state pull` writes one"))
    }

    /// The value at `address`; `None` where there is none, or null.
    pub(crate) fn lookup(&self, address: &str) -> Result<Option<Value>, Refused> {
        let steps = steps(address).ok_or(Refused::NoAddress)?;
        let found = match steps.as_slice() {
            [Step::Name(output), Step::Name(name), rest @ ..] if output == "output" => {
                let value = self.state.get("outputs").and_then(|outputs| outputs.get(name)?.get("value"));
                value.and_then(|value| walk(value, rest))
            }
            _ => self.resource(&steps)?,
        };
        Ok(found.filter(|value| !value.is_null()))
    }

    fn resource(&self, steps: &[Step]) -> Result<Option<Value>, Refused> {
        let mut module = String::new();
        let mut rest = steps;
        while let [Step::Name(word), Step::Name(name), after @ ..] = rest
            && word == "module"
        {
            module.push_str(if module.is_empty() { "module." } else { ".module." });
            module.push_str(name);
            rest = after;
            match rest {
                [Step::Key(key), after @ ..] => {
                    module.push_str(&format!("[{}]", Value::String(key.clone())));
                    rest = after;
                }
                [Step::Index(index), after @ ..] => {
                    module.push_str(&format!("[{index}]"));
                    rest = after;
                }
                _ => {}
            }
        }
        let mode = match rest {
            [Step::Name(word), after @ ..] if word == "data" => {
                rest = after;
                "data"
            }
            _ => "managed",
        };
        let [Step::Name(kind), Step::Name(name), rest @ ..] = rest else {
            return Err(Refused::NoAddress);
        };
        let is = |resource: &Value, key: &str, wanted: &str| {
            resource.get(key).and_then(Value::as_str).unwrap_or_default() == wanted
        };
        let resources = self.state.get("resources").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        self.see(resources.len())?;
        let resource = resources.iter().find(|resource| {
            is(resource, "name", name)
                && is(resource, "type", kind)
                && is(resource, "mode", mode)
                && is(resource, "module", &module)
        });
        let Some(instances) = resource.and_then(|resource| resource.get("instances")?.as_array()) else {
            return Ok(None);
        };
        self.see(instances.len())?;
        Ok(instance(instances, rest))
    }

    fn see(&self, count: usize) -> Result<(), Refused> {
        let before = self.seen.fetch_add(count, Ordering::Relaxed);
        if before.saturating_add(count) > MOST_SEEN { Err(Refused::TooMuch) } else { Ok(()) }
    }
}

fn parse(path: &Path, current: &Path) -> Result<Value, Error> {
    let source = Source::read(path, current)?;
    serde_json::from_str(&source.text).map_err(|error| {
        let message = format!(
            "{} is no Terraform state: it is not JSON (line {})",
            source.name.display(),
            error.line()
        );
        Error::new(ErrorKind::Lookup, message)
    })
}

/// The instance that the first step names, or all of them, and what the rest names in it.
fn instance(instances: &[Value], steps: &[Step]) -> Option<Value> {
    let key = |instance: &Value| instance.get("index_key").cloned().unwrap_or(Value::Null);
    let wanted = match steps.first() {
        Some(Step::Key(name)) => Some(Value::from(name.as_str())),
        Some(Step::Index(index)) => Some(Value::from(*index)),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let found = instances.iter().find(|instance| instance.get("index_key") == Some(&wanted));
        // `[0]` may also index into an attribute of the only instance, so to say.
        return found.and_then(|found| walk(found.get("attributes")?, &steps[1..]));
    }
    let first = instances.first()?;
    let attributes = |instance: &Value| instance.get("attributes").cloned().unwrap_or(Value::Null);
    match key(first) {
        Value::Null => walk(first.get("attributes")?, steps),
        Value::String(_) => {
            let pairs = instances
                .iter()
                .map(|one| (key(one).as_str().unwrap_or_default().to_owned(), attributes(one)));
            walk(&Value::Object(pairs.collect::<Map<_, _>>()), steps)
        }
        _ => walk(&Value::Array(instances.iter().map(attributes).collect()), steps),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// `name` or `.name`
    Name(String),
    /// `["key"]`
    Key(String),
    /// `[0]`
    Index(u64),
}

/// The steps of an address; `None` if it is malformed.
fn steps(address: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = address;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            if let Some(quote) = quote {
                let close = after[1..].find(quote)?;
                steps.push(Step::Key(after[1..=close].to_owned()));
                rest = after[close + 2..].strip_prefix(']')?;
            } else {
                let (index, after) = after.split_once(']')?;
                steps.push(Step::Index(index.parse().ok()?));
                rest = after;
            }
            continue;
        }
        let name = match rest.strip_prefix('.') {
            Some(after) if !steps.is_empty() => after,
            None if steps.is_empty() => rest,
            _ => return None,
        };
        let end = name.find(['.', '[']).unwrap_or(name.len());
        if end == 0 {
            return None;
        }
        steps.push(Step::Name(name[..end].to_owned()));
        rest = &name[end..];
    }
    (steps.len() > 1).then_some(steps)
}

fn walk(value: &Value, steps: &[Step]) -> Option<Value> {
    let mut value = value;
    for step in steps {
        value = match step {
            Step::Name(name) | Step::Key(name) => value.get(name)?,
            Step::Index(index) => value.get(usize::try_from(*index).ok()?)?,
        };
    }
    Some(value.clone())
}
