//! The functions of a project's templates and jsonnet: variables, and look-ups in states.
//!
//! A look-up is made when it is called, never before. What only AWS, a remote state or a
//! command could answer is not asked for: it is unknown, and whoever needs it says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{Error, ErrorKind, MADE};
use super::template::{BUILTINS, Failed, Functions, Value, kind, sprintf};
use super::tfstate::{Read, Refused, State};
use super::variables::Variables;

/// What a plugin's function does.
#[derive(Debug, Clone)]
pub(crate) enum Function {
    /// `tfstate`, in the state of this index.
    Tfstate(usize),
    /// `tfstatef`: the same with a format.
    Tfstatef(usize),
    /// Only AWS knows: which service has to be asked, and what jsonnet calls the parameters.
    Remote { service: &'static str, parameters: &'static [&'static str] },
    /// A command would have to be run.
    Command { arguments: usize },
}

/// Where a state is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file, and whether an error may tell its name.
    File(PathBuf, bool),
    /// Anywhere but on this machine: as an error calls it.
    Remote(String),
}

#[derive(Debug)]
struct Slot {
    location: Location,
    state: OnceLock<Result<State, Failure>>,
}

#[derive(Debug, Clone)]
struct Failure {
    message: String,
    hints: Vec<String>,
}

/// Everything a template of this project may call.
#[derive(Debug, Clone)]
pub(crate) struct Lookups {
    variables: Variables,
    current: PathBuf,
    functions: BTreeMap<String, Function>,
    states: Vec<Arc<Slot>>,
    /// Not all plugins are known yet: every name may be one of their functions.
    deferred: bool,
    /// No plugins were read so far.
    fresh: bool,
}

/// What every template may call.
const ALWAYS: [&str; 3] = ["env", "json_escape", "must_env"];

impl Lookups {
    /// Before the plugins are known.
    pub(crate) fn new(variables: Variables, current: &Path) -> Self {
        Self {
            variables,
            current: current.to_path_buf(),
            functions: BTreeMap::new(),
            states: Vec::new(),
            deferred: true,
            fresh: true,
        }
    }

    /// From now on only what was added is a function.
    pub(crate) fn settle(&mut self) {
        (self.deferred, self.fresh) = (false, false);
    }

    /// More plugins are to come: from now on every name may be a function.
    pub(crate) fn defer(&mut self) {
        self.deferred = true;
    }

    /// Whether no plugins were read so far.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Adds a function; false if there is one of that name.
    pub(crate) fn add(&mut self, name: String, function: Function) -> bool {
        let taken = ALWAYS.contains(&name.as_str()) || BUILTINS.contains(&name.as_str());
        !taken && self.functions.insert(name, function).is_none()
    }

    /// Adds a state; its index.
    pub(crate) fn add_state(&mut self, location: Location) -> usize {
        self.states.push(Arc::new(Slot { location, state: OnceLock::new() }));
        self.states.len() - 1
    }

    /// A variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The plugin functions by name.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.functions.iter().map(|(name, function)| (name.as_str(), function))
    }

    /// The plugin function of that name.
    pub(crate) fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// Whether `name` is a function that needs no plugin.
    pub(crate) fn is_plain(name: &str) -> bool {
        ALWAYS.contains(&name) || BUILTINS.contains(&name)
    }

    /// Whether there is, or may be, such a function.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.deferred || Self::is_plain(name) || self.functions.contains_key(name)
    }

    /// The function most like `name`.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        let known = self.functions.keys().map(String::as_str).chain(ALWAYS);
        known
            .map(|known| (strsim::jaro_winkler(name, known), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known)
    }

    /// `env`: the first of the variables that is not empty, if there is one. An error calls them
    /// what is `told` of their names.
    pub(crate) fn env<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        told: impl Fn(&'n str) -> &'n str,
    ) -> Result<Option<&str>, Failed> {
        for name in names {
            match self.variable(name) {
                Some("") => {}
                None if self.variables.is_no_text(name) => return Err(no_text("env", told(name))),
                None => {}
                value => return Ok(value),
            }
        }
        Ok(None)
    }

    /// `must_env`: the variable, even an empty one. An error calls it what is `told` of its name.
    pub(crate) fn must_env<'n>(
        &self,
        name: &'n str,
        told: impl Fn(&'n str) -> &'n str,
    ) -> Result<&str, Failed> {
        self.variable(name).ok_or_else(|| match self.variables.is_no_text(name) {
            true => no_text("must_env", told(name)),
            false => not_set(told(name)),
        })
    }

    /// The value at `address` in the state `index`. An error calls it what is `told` of it.
    pub(crate) fn tfstate<'n>(
        &self,
        name: &str,
        index: usize,
        address: &'n str,
        told: impl Fn(&'n str) -> &'n str,
    ) -> Result<serde_json::Value, Failed> {
        let slot = &self.states[index];
        let state =
            slot.state.get_or_init(|| self.read(slot)).as_ref().map_err(|failure| Failed::Unavailable {
                kind: ErrorKind::Lookup,
                message: format!("{name} {}: {}", told(address), failure.message),
                hints: failure.hints.clone(),
            })?;
        match state.lookup(address) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(Failed::Wrong(format!("{name}: {} is not in the state", told(address)))),
            Err(Refused::NoAddress) => {
                Err(Failed::Wrong(format!("{name}: {} is no address in a Terraform state", told(address))))
            }
            Err(Refused::TooMuch) => {
                Err(Failed::Wrong(format!("{name}: too many look-ups in a state so large")))
            }
        }
    }

    fn read(&self, slot: &Slot) -> Result<State, Failure> {
        let elsewhere = |place: &str| Failure {
            message: format!("its state is not on this machine ({place}), and ecsx does not fetch states"),
            hints: avoid(),
        };
        let (path, is_told) = match &slot.location {
            Location::File(path, is_told) => (path, *is_told),
            Location::Remote(url) => return Err(elsewhere(&without_secrets(url))),
        };
        match State::read(path, self.variable("TF_WORKSPACE"), &self.current) {
            Ok(Read::State(state)) => Ok(state),
            Ok(Read::Elsewhere(kind)) => Err(elsewhere(&format!("backend {kind}"))),
            Err(error) if is_told => Err(Failure { message: error.to_string(), hints: avoid() }),
            Err(_) => Err(Failure { message: "its state cannot be read".to_owned(), hints: avoid() }),
        }
    }

    /// A function that is not for this machine to answer.
    pub(crate) fn unavailable(name: &str, function: &Function) -> Failed {
        let message = match function {
            Function::Remote { service, .. } => {
                format!("{name} asks {service}, which ecsx does not while it reads a project")
            }
            Function::Command { .. } => {
                format!("{name} runs a command, which ecsx never does for a project's file")
            }
            Function::Tfstate(_) | Function::Tfstatef(_) => format!("{name} cannot be answered here"),
        };
        Failed::Unavailable { kind: ErrorKind::Lookup, message, hints: avoid() }
    }
}

/// That a variable is missing that is `told` so.
fn not_set(told: &str) -> Failed {
    Failed::Unavailable {
        kind: ErrorKind::Variable,
        message: format!("must_env: the variable {told} is not set"),
        hints: vec!["set it, or name a file that does with --envfile FILE".to_owned()],
    }
}

/// That a variable is there, but no text.
fn no_text(function: &str, told: &str) -> Failed {
    Failed::Unavailable {
        kind: ErrorKind::Variable,
        message: format!("{function}: the value of the variable {told} is not UTF-8"),
        hints: Vec::new(),
    }
}

/// A URL without what may be a password or a token in it.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.find('/').unwrap_or(rest.len());
            let start = rest[..host].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[start..])
        }
        None => url.to_owned(),
    }
}

/// How to do without a look-up.
fn avoid() -> Vec<String> {
    vec!["say what it would answer: --cluster, --service, --family or --container".to_owned()]
}

impl Functions for Lookups {
    fn call(&self, name: &str, arguments: &[Value], tellable: &dyn Fn() -> bool) -> Result<Value, Failed> {
        let texts = |arguments: &[Value]| -> Result<Vec<String>, Failed> {
            let text = |value: &Value| match value {
                Value::Text(text) => Ok(text.clone()),
                other => Err(Failed::Wrong(format!("{name} takes strings, not {}", kind(other)))),
            };
            arguments.iter().map(text).collect()
        };
        let one = |arguments: &[Value]| match texts(arguments)?.as_slice() {
            [text] => Ok(text.clone()),
            others => Err(Failed::Wrong(format!("{name} takes one argument, not {}", others.len()))),
        };
        match name {
            "env" => {
                let names = texts(arguments)?;
                let found =
                    self.env(names.iter().map(String::as_str), |name| if tellable() { name } else { MADE })?;
                let last = || names.last().map(String::as_str);
                return Ok(Value::Text(found.or_else(last).unwrap_or_default().to_owned()));
            }
            "must_env" => {
                let variable = one(arguments)?;
                let told = |name| if tellable() { name } else { MADE };
                return self.must_env(&variable, told).map(|value| Value::Text(value.to_owned()));
            }
            "json_escape" => return Ok(Value::Text(super::template::json_escape(&one(arguments)?))),
            _ => {}
        }
        let tfstate = |index: usize, address: &str| {
            let address = address.replace('\'', "\"");
            let told = |address| if tellable() { address } else { MADE };
            Ok(Value::Text(text_of(self.tfstate(name, index, &address, told)?)))
        };
        match self.functions.get(name) {
            Some(&Function::Tfstate(index)) => tfstate(index, &one(arguments)?),
            Some(&Function::Tfstatef(index)) => {
                let [Value::Text(format), rest @ ..] = arguments else {
                    return Err(Failed::Wrong(format!("{name} takes a format first")));
                };
                tfstate(index, &sprintf(format, rest))
            }
            Some(function) => Err(Self::unavailable(name, function)),
            None if self.deferred => Err(Failed::Unavailable {
                kind: ErrorKind::Lookup,
                // The name may be a secret that the template is made of.
                message: "this function is not known before the plugins are".to_owned(),
                hints: Vec::new(),
            }),
            None => Err(Failed::NoSuchFunction),
        }
    }
}

/// A value as tfstate prints it: strings raw, anything else as JSON.
fn text_of(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

/// An error for a function that does not exist.
pub(crate) fn not_defined(lookups: &Lookups, name: &str, place: super::error::Place) -> Error {
    let error = Error::at(ErrorKind::Template, place, format!("function {name} is not defined"));
    match (lookups.nearest(name), name) {
        (Some(near), _) => error.hint(format!("there is {near}")),
        (None, name)
            if name.ends_with("tfstate") || name.ends_with("tfstatef") || name.starts_with("cfn_") =>
        {
            error.hint("it comes with an entry in `plugins:` of the configuration (mind its func_prefix)")
        }
        _ => error,
    }
}
