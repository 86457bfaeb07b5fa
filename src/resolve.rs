//! The one seam between what was said and where to go: options, environment and project become
//! a [`Wanted`], and a [`Wanted`] becomes a [`Target`] with the help of any [`Cloud`].
//!
//! What was asked for, with a flag or with a variable of ours, beats the project; the project
//! beats `AWS_REGION`. `-v` tells on stderr which file was taken and where each value came from.
//!
//! ```no_run
//! # async fn program(mut options: ecsx::resolve::Options) -> Result<(), ecsx::ui::Failure> {
//! let ui = options.ui();
//! let wanted = options.read(&ui)?;                          // files only
//! # #[cfg(feature = "aws")] {
//! let cloud = ecsx::aws::Aws::new(&wanted.account()).await?;
//! let target = wanted.choose(&cloud, &ui).await?;
//! # }
//! # Ok(()) }
//! ```

mod asker;
mod query;

use std::path::PathBuf;

use clap::Args;

use crate::ecs::{self, AccessKey, Cloud, Refusal, Selection, Target};
use crate::plugin::{self, CannotEnter, Globals};
use crate::project::{self, Environment, Origin, Project};
use crate::ui::{Explain, Failure, Picker, Ui};

use asker::Asker;

/// The options of every program that goes to a task.
#[derive(Args, Debug, Clone, Default)]
#[group(skip)]
pub struct Options {
    /// Where and as whom.
    #[command(flatten)]
    pub globals: Globals,

    /// Task: id, the beginning of one, or ARN
    #[arg(long, visible_alias = "id", value_name = "TASK", env = TASK, help_heading = HEADING)]
    pub task: Option<String>,

    /// Container
    #[arg(long, value_name = "NAME", env = CONTAINER, help_heading = HEADING)]
    pub container: Option<String>,

    /// Task definition family, for tasks of no service
    #[arg(long, value_name = "FAMILY", help_heading = HEADING)]
    pub family: Option<String>,

    /// Pick with this command instead of the built-in picker (fzf, peco)
    #[arg(long, value_name = "COMMAND", env = FILTER_COMMAND, help_heading = HEADING)]
    pub filter_command: Option<String>,

    /// Environment file for the project's templates
    #[arg(long, value_name = "FILE", help_heading = PROJECT)]
    pub envfile: Vec<String>,

    /// String for the project's jsonnet
    #[arg(long, value_name = "NAME=VALUE", help_heading = PROJECT)]
    pub ext_str: Vec<String>,

    /// Code for the project's jsonnet
    #[arg(long, value_name = "NAME=CODE", help_heading = PROJECT)]
    pub ext_code: Vec<String>,
}

const HEADING: &str = "Choosing the task";
const PROJECT: &str = "Project options";

/// `--task` and `--container`, as `ecsx target -o env` prints them too.
const TASK: &str = "ECSX_TASK";
const CONTAINER: &str = "ECSX_CONTAINER";
const FILTER_COMMAND: &str = "ECSX_FILTER_COMMAND";

/// What is wanted, before AWS is asked.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What the directory says.
    pub project: Project,
    /// Region, if anything but the AWS configuration names one.
    pub region: Option<String>,
    /// AWS profile, if one was named.
    pub profile: Option<String>,
    /// The profile was asked for (`--profile`, `ECSX_PROFILE`), which beats credentials in the
    /// environment.
    pub profile_only: bool,
    /// Credentials that an envfile sets, as ecspresso takes them from it.
    pub access_key: Option<AccessKey>,
    /// Which task and container.
    pub selection: Selection,
    /// `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// `SSM_PLUGIN_SKIP_CLIENT_CONFIGURE=true`: WebSocket upgrades stay unsigned.
    pub unsigned_upgrades: bool,
    /// Asked for now.
    filter_command: Option<String>,
    /// The person's usual one, as set up for ecspresso or ecsta; needs a terminal.
    usual_filter: Option<String>,
}

impl Explain for CannotEnter {}

impl Options {
    /// stderr, as `--color`, `-v` and `-q` want it.
    pub fn ui(&self) -> Ui {
        Ui::new(self.globals.color, self.globals.verbose, self.globals.quiet)
    }

    /// Goes to the directory that `-C` names and reads the project of it. Asks nothing of AWS.
    pub fn project(&mut self, ui: &Ui) -> Result<Project, Failure> {
        self.globals.enter()?;
        let environment = surroundings();
        let wanted = self.wanted(self.load(&environment, ui)?, &environment);
        self.tell(&wanted, ui);
        Ok(wanted.project)
    }

    /// As [`Options::project`], and puts together which task is wanted. Nothing named at all is
    /// refused.
    pub fn read(&mut self, ui: &Ui) -> Result<Wanted, Failure> {
        self.globals.enter()?;
        let environment = surroundings();
        let project = self.load(&environment, ui)?;
        let wanted = self.wanted(project, &environment);
        wanted.refuse_nothing()?;
        self.tell(&wanted, ui);
        Ok(wanted)
    }

    /// As [`Options::read`], for TAB: says nothing and refuses nothing. A project in disorder is
    /// for the program itself to complain of.
    pub fn guess(&mut self) -> Wanted {
        let silent = Ui::new(clap::ColorChoice::Never, 0, true);
        let environment = surroundings();
        let project = self.load(&environment, &silent).unwrap_or_else(|_| Project {
            region: self.globals.region.clone(),
            cluster: self.cluster(&environment),
            service: self.globals.service.clone(),
            ..Project::default()
        });
        self.wanted(project, &environment)
    }

    fn load(&self, environment: &Environment, ui: &Ui) -> Result<Project, Failure> {
        let options = project::Options {
            config: self.globals.config.clone(),
            envfiles: self.envfile.clone(),
            ext_str: self.ext_str.clone(),
            ext_code: self.ext_code.clone(),
            region: self.globals.region.clone(),
            cluster: self.cluster(environment),
            service: self.globals.service.clone(),
        };
        let project = project::load(&options, environment)?;
        for file in [&project.config, &project.presets_file].into_iter().flatten() {
            ui.detail(&format!("project {}", file.display()));
        }
        if project.config.is_none() && project.presets_file.is_none() {
            ui.detail(&format!("no project in {} or above", environment.current_dir.display()));
        }
        project.remarks.iter().for_each(|remark| ui.detail(remark));
        project.warnings.iter().for_each(|warning| ui.warn(warning));
        if let Some(error) = &project.definition_error {
            ui.detail(&format!("family and containers are not known:\n{error}"));
        }
        Ok(project)
    }

    fn cluster(&self, environment: &Environment) -> Option<String> {
        self.globals.cluster.clone().or_else(|| variable(environment, "ECS_CLUSTER"))
    }

    fn wanted(&self, project: Project, environment: &Environment) -> Wanted {
        let given = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
        // What an envfile sets is over the environment, and not over what was asked for.
        let set = |name: &str| project.variables.get(name).filter(|value| !value.is_empty()).cloned();
        let asked_for = self.globals.profile.is_some();
        let profile = self.globals.profile.clone();
        let profile = profile
            .or_else(|| set(plugin::env::AWS_PROFILE))
            .or_else(|| variable(environment, plugin::env::AWS_PROFILE));
        let access_key = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY")).filter(|_| !asked_for);
        let access_key =
            access_key.map(|(id, secret)| AccessKey { id, secret, session_token: set("AWS_SESSION_TOKEN") });
        let (task, family) = (given(&self.task), given(&self.family));
        // The project's container is one of the project's tasks.
        let elsewhere = task.is_some() || family.is_some() || self.globals.service.is_some();
        let usual_container = project.container.clone().filter(|_| elsewhere);
        let container = given(&self.container).or_else(|| project.container.clone().filter(|_| !elsewhere));
        // A family that was asked for need not be the project's service's.
        let service = match &family {
            Some(_) => self.globals.service.clone(),
            None => project.service.clone(),
        };
        let selection = Selection {
            cluster: project.cluster.clone(),
            family: family.or_else(|| project.family.clone().filter(|_| service.is_none())),
            service,
            task,
            container,
            usual_container,
            likely_containers: project.containers.clone(),
        };
        let Selection { cluster, service, task, .. } = &selection;
        let of_arns = [task, cluster, service].into_iter().flatten().find_map(|name| region_of(name));
        Wanted {
            region: project.region.clone().or(of_arns).or_else(|| set(plugin::env::AWS_DEFAULT_REGION)),
            profile,
            profile_only: asked_for,
            access_key,
            ca_bundle: variable(environment, "AWS_CA_BUNDLE").map(PathBuf::from),
            unsigned_upgrades: variable(environment, "SSM_PLUGIN_SKIP_CLIENT_CONFIGURE")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            filter_command: given(&self.filter_command),
            usual_filter: variable(environment, "ECSPRESSO_FILTER_COMMAND")
                .or_else(|| project.ecsta.filter_command.clone()),
            selection,
            project,
        }
    }

    /// Where each value came from.
    fn tell(&self, wanted: &Wanted, ui: &Ui) {
        self.sources(wanted).iter().for_each(|line| ui.detail(line));
    }

    fn sources(&self, wanted: &Wanted) -> Vec<String> {
        let Wanted { selection, project, .. } = wanted;
        let Globals { cluster, service, profile, region, .. } = &self.globals;
        let origins = &project.origins;
        let set = |name: &str| project.variables.contains_key(name);
        let of_profile = match set(plugin::env::AWS_PROFILE) {
            true => "AWS_PROFILE of an envfile",
            false => plugin::env::AWS_PROFILE,
        };
        let of_region = match set(plugin::env::AWS_DEFAULT_REGION) {
            true => "AWS_DEFAULT_REGION of an envfile",
            false => "an ARN",
        };
        [
            ("region", &wanted.region, region, "--region or ECSX_REGION", &origins.region, of_region),
            ("profile", &wanted.profile, profile, "--profile or ECSX_PROFILE", &None, of_profile),
            ("cluster", &selection.cluster, cluster, "--cluster or ECSX_CLUSTER", &origins.cluster, ""),
            ("service", &selection.service, service, "--service or ECSX_SERVICE", &origins.service, ""),
            ("family", &selection.family, &self.family, "--family", &origins.family, ""),
            ("task", &selection.task, &self.task, "--task or ECSX_TASK", &None, ""),
            (
                "container",
                &selection.container,
                &self.container,
                "--container or ECSX_CONTAINER",
                &origins.container,
                "",
            ),
        ]
        .into_iter()
        .filter_map(|(what, value, given, asked, origin, otherwise)| {
            let value = value.as_ref()?;
            let source = match origin {
                _ if given.as_ref() == Some(value) => asked.to_owned(),
                // The only other way to ask for one.
                Some(Origin::Asked) => "ECS_CLUSTER".to_owned(),
                Some(origin) => origin.to_string(),
                None => otherwise.to_owned(),
            };
            Some(format!("{what} {value} ({source})"))
        })
        .collect()
    }
}

impl Wanted {
    /// Without so much as a cluster, and nobody to ask for one, there is nothing to ask AWS for.
    fn refuse_nothing(&self) -> Result<(), Failure> {
        let Selection { service, family, task, .. } = &self.selection;
        if let (None, None, None, Some(error)) = (service, family, task, &self.project.definition_error) {
            return Err((**error).clone().into());
        }
        match self.selection.names_nothing() && !self.picker(false).asks() {
            true => Err(Refusal::NothingNamed.into()),
            false => Ok(()),
        }
    }

    /// Asks `cloud` which tasks there are and chooses one, asking the person where several
    /// would do.
    pub async fn choose<C: Cloud>(&self, cloud: &C, ui: &Ui) -> Result<Target, Refusal> {
        let picker = self.picker(ui.colored());
        let query = self.project.ecsta.task_format_query.clone();
        let chosen = ecs::choose(cloud, &self.selection, &Asker { picker, query }).await?;
        chosen.remarks.iter().for_each(|remark| ui.status(remark));
        let Target { cluster, task_id, container, region, .. } = &chosen.target;
        ui.detail(&format!("task {task_id} in {cluster} ({region}), container {container}"));
        Ok(chosen.target)
    }

    fn picker(&self, colored: bool) -> Picker {
        Picker { filter: self.filter_command.clone(), usual_filter: self.usual_filter.clone(), colored }
    }

    /// Chooses again, without asking, when `last` cannot be reached any more.
    pub async fn choose_again<C: Cloud>(&self, cloud: &C, last: &Target) -> Result<Target, Refusal> {
        ecs::choose_next(cloud, &self.selection, last).await
    }

    /// Account and region, for the SDK.
    #[cfg(feature = "aws")]
    pub fn account(&self) -> crate::aws::Account {
        crate::aws::Account {
            region: self.region.clone(),
            profile: self.profile.clone(),
            profile_only: self.profile_only,
            access_key: self.access_key.clone(),
            ca_bundle: self.ca_bundle.clone(),
            unsigned_upgrades: self.unsigned_upgrades,
        }
    }
}

/// The process as projects are to see it.
fn surroundings() -> Environment {
    Environment {
        variables: std::env::vars_os().collect(),
        current_dir: std::env::current_dir().unwrap_or_default(),
        home: std::env::home_dir(),
    }
}

fn variable(environment: &Environment, name: &str) -> Option<String> {
    environment.variables.get(name).filter(|value| !value.is_empty()).cloned()
}

/// `arn:aws:ecs:REGION:…`
fn region_of(arn: &str) -> Option<String> {
    let mut parts = arn.split(':');
    (parts.next() == Some("arn")).then(|| parts.nth(2).map(str::to_owned)).flatten().filter(|r| !r.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    /// A directory with an ecspresso.yml, and what becomes of `words` in it.
    fn wanted(config: &str, variables: &[(&str, &str)], words: &[&str]) -> Result<Wanted, Failure> {
        let directory = tempfile::tempdir().unwrap();
        if !config.is_empty() {
            std::fs::write(directory.path().join("ecspresso.yml"), config).unwrap();
        }
        let environment = Environment {
            variables: variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            current_dir: directory.path().to_path_buf(),
            home: Some(directory.path().to_path_buf()),
        };
        let options = Program::try_parse_from([&["program"], words].concat()).unwrap().options;
        let ui = Ui::new(clap::ColorChoice::Never, 0, true);
        let wanted = options.wanted(options.load(&environment, &ui)?, &environment);
        wanted.refuse_nothing().map(|()| wanted)
    }

    const PROJECT: &str = "region: eu-west-1\ncluster: of-project\nservice: web\n";

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_project() {
        let variables = [("ECS_CLUSTER", "of-environment")];
        let cluster = |variables: &[_], words: &[_]| {
            wanted(PROJECT, variables, words).unwrap().selection.cluster.unwrap()
        };
        assert_eq!(cluster(&[], &[]), "of-project");
        assert_eq!(cluster(&variables, &[]), "of-environment");
        assert_eq!(cluster(&variables, &["--cluster", "of-flag"]), "of-flag");
    }

    #[test]
    fn a_region_that_was_asked_for_beats_the_project_and_the_project_beats_aws_region() {
        let region =
            |config, variables: &[_], words: &[_]| wanted(config, variables, words).unwrap().region.unwrap();
        let variables = [("AWS_REGION", "of-environment")];
        assert_eq!(region(PROJECT, &variables, &[]), "eu-west-1");
        assert_eq!(region(PROJECT, &variables, &["--region", "of-flag"]), "of-flag");
        assert_eq!(region("cluster: c\n", &variables, &[]), "of-environment");
    }

    #[test]
    fn each_value_is_told_with_what_it_is_from() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ecspresso.yml"), PROJECT).unwrap();
        std::fs::write(directory.path().join("ecsx.yml"), "container: app\n").unwrap();
        let environment = Environment {
            variables: [("ECS_CLUSTER".to_owned(), "c".to_owned())].into_iter().collect(),
            current_dir: directory.path().to_path_buf(),
            home: None,
        };
        let options = Program::try_parse_from(["program", "--profile", "p"]).unwrap().options;
        let ui = Ui::new(clap::ColorChoice::Never, 0, true);
        let wanted = options.wanted(options.load(&environment, &ui).unwrap(), &environment);
        let file = |name: &str| directory.path().join(name).display().to_string();
        let expected = [
            format!("region eu-west-1 ({})", file("ecspresso.yml")),
            "profile p (--profile or ECSX_PROFILE)".to_owned(),
            "cluster c (ECS_CLUSTER)".to_owned(),
            format!("service web ({})", file("ecspresso.yml")),
            format!("container app ({})", file("ecsx.yml")),
        ];
        assert_eq!(options.sources(&wanted), expected);
    }

    #[test]
    fn a_family_that_was_asked_for_need_not_be_of_the_projects_service() {
        let selection = wanted(PROJECT, &[], &["--family", "batch"]).unwrap().selection;
        assert_eq!((selection.service, selection.family.as_deref()), (None, Some("batch")));
        let both = wanted(PROJECT, &[], &["--family", "web", "--service", "web"]).unwrap().selection;
        assert_eq!((both.service.as_deref(), both.family.as_deref()), (Some("web"), Some("web")));
    }

    #[test]
    fn an_arn_names_the_region_when_nothing_else_does() {
        let arn = "arn:aws:ecs:ap-northeast-1:123456789012:task/prod/0123456789abcdef0123456789abcdef";
        assert_eq!(wanted("", &[], &["--task", arn]).unwrap().region.as_deref(), Some("ap-northeast-1"));
        let region = wanted(PROJECT, &[], &["--task", arn]).unwrap().region;
        assert_eq!(region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn an_envfile_is_over_the_environment_and_under_a_flag() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "AWS_PROFILE=of-file\nAWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY=s3cret\n",
        )
        .unwrap();
        let envfile = ["--envfile", file.path().to_str().unwrap()];
        let plain = wanted(PROJECT, &[], &envfile).unwrap();
        assert_eq!(plain.profile.as_deref(), Some("of-file"));
        assert_eq!(plain.access_key.as_ref().unwrap().secret, "s3cret");
        assert!(!format!("{plain:?}").contains("s3cret"));
        let flag = wanted(PROJECT, &[], &[&envfile[..], &["--profile", "of-flag"]].concat()).unwrap();
        assert_eq!((flag.profile.as_deref(), flag.profile_only), (Some("of-flag"), true));
        assert!(flag.access_key.is_none());
    }
}
