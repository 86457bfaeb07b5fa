//! What the directory says: ecspresso, ecsta and ecsx files, read into one [`Project`].
//!
//! [`load`] finds the files and reads them the way their own tools do: the template runs over
//! the text, then the text is parsed ([`ecspresso`](https://github.com/kayac/ecspresso) v2);
//! a file that calls plugin functions is read twice, plugins first (v3). Nothing but files is
//! touched: the environment comes with [`Environment`], no command is run, nothing is fetched.

mod definition;
mod document;
mod ecspresso;
mod envfile;
mod error;
mod find;
mod jsonnet;
mod lookup;
mod template;
mod tfstate;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use definition::Definition;
use document::{Document, Text};
use ecspresso::{Config, Given};
use error::Source;
use jsonnet::{External, Jsonnet};
use lookup::Lookups;
use template::Unknowns;

pub use error::{Error, ErrorKind, Place};

/// What a project's files say of region, cluster, service and task definition.
///
/// `None` where the project does not say. Paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// The configuration file that was taken.
    pub config: Option<PathBuf>,
    /// AWS region.
    pub region: Option<String>,
    /// Cluster name or ARN.
    pub cluster: Option<String>,
    /// Service name.
    pub service: Option<String>,
    /// The service definition's file.
    pub service_definition: Option<PathBuf>,
    /// The task definition's file.
    pub task_definition: Option<PathBuf>,
    /// Task definition family, as the task definition's file says.
    pub family: Option<String>,
    /// Names of the containers, as the task definition's file says.
    pub containers: Vec<String>,
    /// Why `family` and `containers` could not be had. An error only for who needs them.
    pub definition_error: Option<Box<Error>>,
    /// What is odd, though no error: a line each, for stderr.
    pub warnings: Vec<String>,
}

/// What the command line says of the project.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config`: the file, rather than the nearest.
    pub config: Option<PathBuf>,
    /// `--envfile`, each as given (commas separate several).
    pub envfiles: Vec<String>,
    /// `--ext-str NAME=VALUE`, each as given (semicolons separate several).
    pub ext_str: Vec<String>,
    /// `--ext-code NAME=CODE`, likewise.
    pub ext_code: Vec<String>,
    /// `--region`: then the project need not know it.
    pub region: Option<String>,
    /// `--cluster`: likewise.
    pub cluster: Option<String>,
    /// `--service`: likewise.
    pub service: Option<String>,
}

/// The surroundings of the process, read by the caller.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment's variables.
    pub variables: BTreeMap<String, String>,
    /// The current directory, absolute.
    pub current_dir: PathBuf,
    /// The home directory.
    pub home: Option<PathBuf>,
}

// Variables hold secrets: their names may be shown, their values not.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("current_dir", &self.current_dir)
            .field("home", &self.home)
            .finish()
    }
}

/// Reads the project of `environment.current_dir`, or the one that `options` name.
///
/// A directory without a project is no error: everything is `None` then.
pub fn load(options: &Options, environment: &Environment) -> Result<Project, Error> {
    let mut environment = environment.clone();
    for name in envfiles(options, &environment) {
        let source = Source::read_any(&environment.current_dir.join(name), &environment.current_dir)?;
        environment.variables.extend(envfile::parse(&source)?);
    }
    let found = find::find(options.config.as_deref(), &environment)?;
    let mut project = match &found.config {
        Some(config) => read(config, options, &environment)?,
        None => Project::default(),
    };
    let region = environment.variables.get("AWS_REGION").filter(|region| !region.is_empty());
    project.region = options.region.clone().or(project.region).or_else(|| region.cloned());
    project.cluster = options.cluster.clone().or(project.cluster);
    project.service = options.service.clone().or(project.service);
    Ok(project)
}

fn envfiles(options: &Options, environment: &Environment) -> Vec<String> {
    let from_environment = environment.variables.get("ECSPRESSO_ENVFILE").map(std::slice::from_ref);
    let named =
        if options.envfiles.is_empty() { from_environment.unwrap_or_default() } else { &options.envfiles };
    named
        .iter()
        .flat_map(|names| names.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a configuration and what it names.
fn read(config: &Path, options: &Options, environment: &Environment) -> Result<Project, Error> {
    let given = Given {
        region: options.region.is_some(),
        cluster: options.cluster.is_some(),
        service: options.service.is_some(),
    };
    let mut reader = Reader {
        lookups: Lookups::new(environment.variables.clone(), &environment.current_dir),
        external: external(options, environment)?,
        current: &environment.current_dir,
    };
    let decoded = reader.config(config, given)?;
    let mut project = Project {
        config: Some(config.to_path_buf()),
        region: decoded.region,
        cluster: decoded.cluster,
        service: decoded.service,
        service_definition: decoded.service_definition,
        task_definition: decoded.task_definition,
        warnings: decoded.warnings,
        ..Project::default()
    };
    if let Some(path) = &project.task_definition {
        match reader.definition(path) {
            Ok(definition) => {
                project.family = definition.family;
                project.containers = definition.containers;
            }
            Err(error) => project.definition_error = Some(Box::new(error)),
        }
    }
    Ok(project)
}

/// The external variables of `--ext-str` and `--ext-code`, else those of the environment.
fn external(options: &Options, environment: &Environment) -> Result<External, Error> {
    let mut external = External::new();
    for (flags, variable, is_code) in
        [(&options.ext_str, "ECSPRESSO_EXT_STR", false), (&options.ext_code, "ECSPRESSO_EXT_CODE", true)]
    {
        let from_environment = environment.variables.get(variable).map(std::slice::from_ref);
        let given = if flags.is_empty() { from_environment.unwrap_or_default() } else { flags };
        for pair in given.iter().flat_map(|pairs| pairs.split(';')).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                let flag = if is_code { "--ext-code" } else { "--ext-str" };
                let error = Error::new(ErrorKind::Jsonnet, format!("{flag} takes NAME=VALUE, not {pair}"));
                return Err(error);
            };
            // The last one counts.
            external.retain(|(known, ..)| known != name);
            external.push((name.to_owned(), value.to_owned(), is_code));
        }
    }
    Ok(external)
}

fn is_jsonnet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonnet")
}

/// Reads the files of one project.
struct Reader<'e> {
    lookups: Lookups,
    external: External,
    current: &'e Path,
}

impl Reader<'_> {
    fn jsonnet(&self) -> Jsonnet {
        Jsonnet {
            external: self.external.clone(),
            lookups: Arc::new(self.lookups.clone()),
            current: self.current.to_path_buf(),
        }
    }

    fn config(&mut self, path: &Path, given: Given) -> Result<Config, Error> {
        let folder = path.parent().unwrap_or(self.current);
        // A configuration in JSON is jsonnet, too.
        let jsonnet = is_jsonnet(path) || path.extension().is_some_and(|extension| extension == "json");
        // The plugins first: what needs them is unknown as yet, or not even evaluated.
        let source = if jsonnet { self.jsonnet().plugins(path)? } else { Source::read(path, self.current)? };
        let (text, uses_plugins) = self.rendered(&source)?;
        let document = if jsonnet { Document::json(&text)? } else { yaml::parse(&text)? };
        ecspresso::plugins(&document, folder, self.current, &mut self.lookups)?;
        if !jsonnet && !uses_plugins {
            return ecspresso::decode(&document, folder, given);
        }
        let source = if jsonnet { self.jsonnet().file(path)? } else { source.clone() };
        let (text, _) = self.rendered(&source)?;
        let document = if jsonnet { Document::json(&text)? } else { yaml::parse(&text)? };
        ecspresso::decode(&document, folder, given)
    }

    fn definition(&self, path: &Path) -> Result<Definition, Error> {
        let jsonnet = is_jsonnet(path);
        let source =
            if jsonnet { self.jsonnet().definition(path)? } else { Source::read(path, self.current)? };
        let tree = self.parsed(&source)?;
        let mut unknowns = Unknowns::default();
        let rendered = template::render(&source, &tree, &self.lookups, &mut unknowns)?;
        definition::decode(&Document::json(&Text { source: &source, rendered, unknowns })?)
    }

    /// Renders a configuration, and says whether it calls functions of plugins. Every variable
    /// that it must have has to be there; all that are not are named at once.
    fn rendered<'s>(&self, source: &'s Source) -> Result<(Text<'s>, bool), Error> {
        let tree = self.parsed(source)?;
        let mut unknowns = Unknowns::default();
        let result = template::render(source, &tree, &self.lookups, &mut unknowns);
        let missing =
            unknowns.reasons().iter().filter(|reason| reason.kind() == ErrorKind::Variable).cloned();
        if let Some(missing) = Error::all(missing) {
            return Err(missing);
        }
        let uses_plugins = tree.functions.iter().any(|function| !Lookups::is_plain(&function.name));
        Ok((Text { source, rendered: result?, unknowns }, uses_plugins))
    }

    /// Parses a template. Go knows its functions when it parses: one that does not exist is an
    /// error even where it is not called.
    fn parsed(&self, source: &Source) -> Result<template::Tree, Error> {
        let tree = template::parse(&source.text).map_err(|fault| fault.of(source))?;
        let unknown = tree.functions.iter().filter(|function| !self.lookups.knows(&function.name));
        let errors = unknown.map(|function| {
            let place = source.place(function.at, function.name.len());
            lookup::not_defined(&self.lookups, &function.name, place)
        });
        Error::all(errors).map_or(Ok(tree), Err)
    }
}
