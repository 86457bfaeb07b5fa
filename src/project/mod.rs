//! What the directory says: ecspresso, ecsta and ecsx files, read into one [`Project`].
//!
//! [`load`] finds the files and reads them the way their own tools do: the template runs over
//! the text, then the text is parsed ([`ecspresso`](https://github.com/kayac/ecspresso) v2);
//! a file that calls plugin functions is read twice, plugins first (v3). Nothing but files is
//! touched: the environment comes with [`Environment`], no command is run, nothing is fetched.

mod definition;
mod document;
mod ecspresso;
mod ecsta;
mod envfile;
mod error;
mod find;
#[cfg(fuzzing)]
pub mod fuzzing;
mod jsonnet;
mod lookup;
mod origin;
mod presets;
mod reader;
mod template;
mod tfstate;
mod variables;
mod yaml;

use std::path::{Path, PathBuf};

use ecspresso::{Config, Given};
use error::Source;
use jsonnet::External;
use reader::Reader;

pub use ecsta::Ecsta;
pub use error::{Error, ErrorKind, Place};
pub use origin::{Origin, Origins};
pub use presets::{Forward, Preset};
pub use variables::Variables;

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
    /// The container that `ecsx.yml` says to go to.
    pub container: Option<String>,
    /// The `ecsx.yml` that was taken.
    pub presets_file: Option<PathBuf>,
    /// Its forwards, in its order.
    pub presets: Vec<Preset>,
    /// The user's settings of ecsta.
    pub ecsta: Ecsta,
    /// What the envfiles set. It is over the environment's, for the AWS SDK too.
    pub variables: Variables,
    /// Why `family` and `containers` could not be had. An error only for who needs them.
    pub definition_error: Option<Box<Error>>,
    /// What is odd, though no error: a line each, for stderr.
    pub warnings: Vec<String>,
    /// What is only worth saying to who asks: a line each, for stderr.
    pub remarks: Vec<String>,
    /// Where the values are from.
    pub origins: Origins,
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
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The environment's variables.
    pub variables: Variables,
    /// The current directory, absolute.
    pub current_dir: PathBuf,
    /// The home directory.
    pub home: Option<PathBuf>,
}

/// Reads the project of `environment.current_dir`, or the one that `options` name.
///
/// Flags are over `ecsx.yml`, that is over the ecspresso configuration, and `AWS_REGION` is
/// under all. A directory without a project is no error: everything is `None` then.
pub fn load(options: &Options, environment: &Environment) -> Result<Project, Error> {
    // Of the user alone: an envfile must not name a command.
    let (ecsta, warning) = ecsta::read(environment);
    let mut environment = environment.clone();
    let mut set = Variables::default();
    for name in envfiles(options, &environment) {
        let source = Source::read_any(&environment.current_dir.join(name), &environment.current_dir)?;
        set.extend(envfile::parse(&source)?);
    }
    environment.variables.extend(set.iter().map(|(name, value)| (name.clone(), value.clone())));
    let external = external(options, &environment)?;
    let mut reader = Reader::new(environment.variables.clone(), external, &environment.current_dir);

    let mut found = find::find(options.config.as_deref(), &environment)?;
    let read = |path: &Path| Source::read_in(path.parent().unwrap_or(path), path, &environment.current_dir);
    let own = found.presets.as_deref().map(read).transpose()?;
    if let (Some(own), Some(path), false) = (&own, &found.presets, found.asked_for)
        && let Some(named) = reader.config_of_presets(own, path)?
    {
        found.config = Some(named);
    }
    let config = match &found.config {
        Some(config) => reader.config(config, given(options))?,
        None => Config::default(),
    };
    let own = match (own, &found.presets) {
        (Some(own), Some(path)) => reader.presets(&own, path)?,
        _ => presets::File::default(),
    };

    let file = |path: &Option<PathBuf>| path.clone().map_or(Origin::Default, Origin::File);
    let (of_own, of_config) = (file(&found.presets), file(&found.config));
    let pick = |asked: &Option<String>, own: Option<String>, config: Option<String>| {
        let asked = asked.clone().map(|value| (value, Origin::Asked));
        let own = own.map(|value| (value, of_own.clone()));
        asked.or(own).or_else(|| config.map(|value| (value, of_config.clone())))
    };
    let region = environment.variables.get("AWS_REGION").filter(|region| !region.is_empty()).cloned();
    let region = pick(&options.region, own.region, config.region)
        .or_else(|| region.map(|region| (region, Origin::Variable("AWS_REGION"))));
    let cluster = pick(&options.cluster, own.cluster, config.cluster);
    // Nobody's choice, but ecspresso's.
    let fallback = || found.config.as_ref().map(|_| ("default".to_owned(), Origin::Default));
    let mut warnings = config.warnings;
    if let (Some(path), true, None) = (&found.config, config.is_empty, &cluster) {
        let message = "it is empty, and so the cluster is \"default\"";
        warnings.push(format!("{}: {message}", path.display()));
    }
    let ((region, of_region), (cluster, of_cluster), (service, of_service)) = (
        region.unzip(),
        cluster.or_else(fallback).unzip(),
        pick(&options.service, own.service, config.service).unzip(),
    );
    let passed_over = |path: &PathBuf| {
        format!("{} is not taken: anybody may have put it into this parent directory", path.display())
    };
    let mut project = Project {
        remarks: found.passed_over.iter().map(passed_over).collect(),
        origins: Origins {
            region: of_region,
            cluster: of_cluster,
            service: of_service,
            family: own.family.as_ref().map(|_| of_own.clone()),
            container: own.container.as_ref().map(|_| of_own.clone()),
        },
        config: found.config,
        region,
        cluster,
        service,
        service_definition: config.service_definition,
        task_definition: config.task_definition,
        container: own.container,
        presets_file: found.presets,
        presets: own.presets,
        warnings,
        variables: set,
        ..Project::default()
    };
    if let Some(path) = &project.task_definition {
        let folder = project.config.as_deref().and_then(Path::parent).unwrap_or(path);
        match reader.definition(path, folder, config.task_definition_place) {
            Ok(definition) => {
                if definition.family.is_some() {
                    project.origins.family.get_or_insert(Origin::File(path.clone()));
                }
                project.family = definition.family;
                project.containers = definition.containers;
            }
            Err(error) if error.kind() == ErrorKind::Endless => return Err(error),
            Err(error) => project.definition_error = Some(Box::new(error)),
        }
    }
    project.family = own.family.or(project.family);
    project.ecsta = ecsta;
    project.warnings.extend(warning);
    Ok(project)
}

fn given(options: &Options) -> Given {
    Given {
        region: options.region.is_some(),
        cluster: options.cluster.is_some(),
        service: options.service.is_some(),
    }
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

/// The external variables of `--ext-str` and `--ext-code`, else those of the environment.
fn external(options: &Options, environment: &Environment) -> Result<External, Error> {
    let mut external = External::new();
    for (flags, variable, is_code) in
        [(&options.ext_str, "ECSPRESSO_EXT_STR", false), (&options.ext_code, "ECSPRESSO_EXT_CODE", true)]
    {
        let from_environment = environment.variables.get(variable).map(std::slice::from_ref);
        let is_flag = !flags.is_empty();
        let given = if is_flag { flags } else { from_environment.unwrap_or_default() };
        for pair in given.iter().flat_map(|pairs| pairs.split(';')).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                let flag = if is_code { "--ext-code" } else { "--ext-str" };
                // What stands in the environment may be a secret.
                let message = match is_flag {
                    true => format!("{flag} takes NAME=VALUE, not {pair}"),
                    false => format!("{variable} takes NAME=VALUE;NAME=VALUE…, and a part of it has no ="),
                };
                return Err(Error::new(ErrorKind::Jsonnet, message));
            };
            // The last one counts.
            external.retain(|(known, ..)| known != name);
            external.push((name.to_owned(), value.to_owned(), is_code));
        }
    }
    Ok(external)
}
