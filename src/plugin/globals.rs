//! The options that every ecsx program takes, before or after the plugin's name.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::{fmt, io};

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, ColorChoice, Command, FromArgMatches, ValueHint};

use super::env;

/// The options that every ecsx program takes.
///
/// Before the plugin's name the dispatcher reads them and turns them into environment; a plugin
/// flattens this group (`#[command(flatten)] globals: Globals`) and so takes them after its name
/// as well. A flag beats the environment; an empty variable counts as unset.
///
/// What is here was asked for: with a flag, or with a variable of ours. What AWS' own variables
/// say (`AWS_PROFILE`, `AWS_REGION`) is not, and is the SDK's affair.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    /// `-C`: the directory to work in. [`Globals::enter`] goes there.
    pub directory: Option<PathBuf>,
    /// `--config`: the project's file, relative to `directory`.
    pub config: Option<PathBuf>,
    /// `--cluster`: name or ARN.
    pub cluster: Option<String>,
    /// `--service`: name.
    pub service: Option<String>,
    /// `--profile`: AWS profile.
    pub profile: Option<String>,
    /// `--region`: AWS region.
    pub region: Option<String>,
    /// `-v`: how many times.
    pub verbose: u8,
    /// `-q`: say only what failed.
    pub quiet: bool,
    /// `--color`.
    pub color: ColorChoice,
    /// The variables whose options stood on the command line. Those replace what is inherited,
    /// even if they say nothing but the default.
    given: Vec<&'static str>,
}

/// The options that have a variable: clap's id, and the variable.
const VARIABLES: [(&str, &str); 8] = [
    ("config", env::CONFIG),
    ("cluster", env::CLUSTER),
    ("service", env::SERVICE),
    ("profile", env::PROFILE),
    ("region", env::REGION),
    ("verbose", env::VERBOSE),
    ("quiet", env::QUIET),
    ("color", env::COLOR),
];

/// [`Globals`] as clap reads them.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
struct Options {
    /// Work in DIR, as if ecsx had been started there
    #[arg(short = 'C', value_name = "DIR", value_hint = ValueHint::DirPath, global = true)]
    directory: Option<PathBuf>,

    /// Project file (default: ecspresso.yml and the like, here or further up in the repository)
    #[arg(long, value_name = "FILE", env = env::CONFIG, hide_env_values = true, value_hint = ValueHint::FilePath, global = true)]
    config: Option<PathBuf>,

    /// ECS cluster, name or ARN
    #[arg(long, value_name = "CLUSTER", env = env::CLUSTER, hide_env_values = true, global = true)]
    cluster: Option<String>,

    /// ECS service
    #[arg(long, value_name = "SERVICE", env = env::SERVICE, hide_env_values = true, global = true)]
    service: Option<String>,

    /// AWS profile
    #[arg(long, value_name = "PROFILE", env = env::PROFILE, hide_env_values = true, global = true)]
    profile: Option<String>,

    /// AWS region
    #[arg(long, value_name = "REGION", env = env::REGION, hide_env_values = true, global = true)]
    region: Option<String>,

    /// Say more on stderr; twice for still more
    #[arg(short, long, action = ArgAction::Count, env = env::VERBOSE, hide_env = true, global = true,
          value_parser = count)]
    verbose: u8,

    /// Say only what failed
    #[arg(short, long, action = ArgAction::SetTrue, env = env::QUIET, hide_env = true, global = true,
          value_parser = FalseyValueParser::new())]
    quiet: bool,

    /// Colour on stderr and stdout
    #[arg(long, value_name = "WHEN", env = env::COLOR, hide_env = true, global = true,
          default_value = "auto", hide_default_value = true)]
    color: ColorChoice,
}

/// `ECSX_VERBOSE`: a number; a word that is no number says yes or no.
fn count(value: &str) -> Result<u8, Infallible> {
    let no = ["", "n", "no", "f", "false", "off"].contains(&value.to_ascii_lowercase().as_str());
    Ok(value.parse().unwrap_or(u8::from(!no)))
}

impl From<Options> for Globals {
    fn from(o: Options) -> Self {
        let text = |value: Option<String>| value.filter(|v| !v.is_empty());
        let path = |value: Option<PathBuf>| value.filter(|v| !v.as_os_str().is_empty());
        Self {
            directory: path(o.directory),
            config: path(o.config),
            cluster: text(o.cluster),
            service: text(o.service),
            profile: text(o.profile),
            region: text(o.region),
            verbose: o.verbose,
            quiet: o.quiet,
            color: o.color,
            given: Vec::new(),
        }
    }
}

impl FromArgMatches for Globals {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut globals = Options::from_arg_matches(matches).map(Self::from)?;
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        globals.given = VARIABLES.into_iter().filter(|(id, _)| given(id)).map(|(_, name)| name).collect();
        Ok(globals)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Globals {
    fn augment_args(command: Command) -> Command {
        without_empty_variables(Options::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        without_empty_variables(Options::augment_args_for_update(command))
    }
}

/// An empty variable counts as unset; clap would take it for a value, and a wrong one.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &str| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let empty = VARIABLES.into_iter().filter(|(_, name)| is_empty(name));
    empty.fold(command, |command, (id, _)| command.mut_arg(id, |arg| arg.env(None::<&'static str>)))
}

/// `-C DIR` names a directory that cannot be entered.
#[derive(Debug)]
pub struct CannotEnter {
    directory: PathBuf,
    source: io::Error,
}

impl fmt::Display for CannotEnter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot work in {} (-C): {}", self.directory.display(), self.source)
    }
}

impl std::error::Error for CannotEnter {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Globals {
    /// Goes to the directory that `-C` names and makes `config` absolute. A plugin calls this
    /// first of all, while it has one thread.
    pub fn enter(&mut self) -> Result<(), CannotEnter> {
        if let Some(directory) = self.directory.take()
            && let Err(source) = std::env::set_current_dir(&directory)
        {
            return Err(CannotEnter { directory, source });
        }
        if let Some(config) = &mut self.config
            && let Ok(absolute) = std::path::absolute(&config)
        {
            *config = absolute;
        }
        Ok(())
    }

    /// What was given, as the environment a plugin reads it from. Call [`Globals::enter`] first:
    /// a directory is entered, not handed on.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let text = |value: &Option<String>| value.as_ref().map(OsString::from);
        let color = match self.color {
            ColorChoice::Auto => None,
            ColorChoice::Always => Some("always".into()),
            ColorChoice::Never => Some("never".into()),
        };
        // An option that was given replaces what is inherited, also if it was given as nothing.
        let nothing = |name| self.given.contains(&name).then(OsString::new);
        let ours = [
            (env::CONFIG, self.config.as_ref().map(OsString::from)),
            (env::CLUSTER, text(&self.cluster)),
            (env::SERVICE, text(&self.service)),
            (env::PROFILE, text(&self.profile)),
            (env::REGION, text(&self.region)),
            (env::VERBOSE, (self.verbose > 0).then(|| self.verbose.to_string().into())),
            (env::QUIET, self.quiet.then(|| "1".into())),
            (env::COLOR, color.or_else(|| nothing(env::COLOR).map(|_| "auto".into()))),
        ]
        .map(|(name, value)| (name, value.or_else(|| nothing(name))));
        let aws = [
            (env::AWS_PROFILE, text(&self.profile)),
            (env::AWS_REGION, text(&self.region)),
            (env::AWS_DEFAULT_REGION, text(&self.region)),
        ];
        let said = ours.into_iter().chain(aws);
        said.filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        globals: Globals,
        #[command(subcommand)]
        command: Option<Sub>,
    }

    #[derive(clap::Subcommand)]
    enum Sub {
        Run,
    }

    fn parse(words: &[&str]) -> Globals {
        Program::try_parse_from([&["program"], words].concat()).expect("parses").globals
    }

    #[test]
    fn options_may_stand_before_and_after_a_subcommand() {
        let globals = parse(&["--cluster", "a", "run", "--service", "b", "-vv"]);
        assert_eq!(globals.cluster.as_deref(), Some("a"));
        assert_eq!(globals.service.as_deref(), Some("b"));
        assert_eq!(globals.verbose, 2);
        Program::try_parse_from(["program", "run"]).expect("parses").command.expect("a subcommand");
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        assert_eq!(parse(&["--profile", ""]).profile, None);
    }

    #[test]
    fn what_was_given_becomes_environment_and_nothing_else_does() {
        let globals = parse(&["--cluster", "c", "--region", "eu-west-1", "-q", "--color", "never"]);
        let names: Vec<_> = globals.environment().into_iter().map(|(name, _)| name).collect();
        let region = [env::REGION, env::AWS_REGION, env::AWS_DEFAULT_REGION];
        for name in [env::CLUSTER, env::QUIET, env::COLOR].into_iter().chain(region) {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.contains(&env::SERVICE));
    }

    #[test]
    fn an_option_that_says_the_default_or_nothing_is_handed_on_too() {
        let said = parse(&["--color", "auto", "--cluster", ""]).environment();
        assert_eq!(said, [(env::CLUSTER, "".into()), (env::COLOR, "auto".into())]);
    }

    #[test]
    fn how_much_to_say_may_be_a_number_or_a_word() {
        let counts = ["", "0", "false", "1", "true", "2"].map(|said| count(said).expect("a number"));
        assert_eq!(counts, [0, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let mut globals = parse(&["-C", "/no/such/directory"]);
        let error = globals.enter().expect_err("refused").to_string();
        assert!(error.contains("/no/such/directory") && error.contains("-C"), "{error}");
    }
}
