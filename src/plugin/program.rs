//! A plugin's own side of the contract: its words for ecsx, its command line for everybody.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{self, Stdio};

use clap::{ArgMatches, Command, FromArgMatches as _, Parser};

use super::complete::complete;
use super::wire::{Candidate, Completion};
use super::{Description, Globals, PROTOCOL_VERSION, env};

/// Answers TAB for an argument's value.
type Values = Box<dyn Fn(&Asked) -> Vec<Candidate>>;

/// A plugin's program, from its clap parser.
///
/// ```no_run
/// use clap::Parser;
/// use ecsx::plugin::{Globals, Plugin};
///
/// /// Greet a service
/// #[derive(Parser)]
/// #[command(name = "ecsx-greet", version)]
/// struct Greet {
///     /// How to greet
///     #[arg(long)]
///     words: Option<String>,
///     #[command(flatten)]
///     globals: Globals,
/// }
///
/// let greet: Greet = Plugin::new().values("words", |_| vec!["hello".into()]).parse();
/// println!("{} {}", greet.words.unwrap_or_default(), greet.globals.service.unwrap_or_default());
/// ```
///
/// Besides its own arguments such a program answers what ecsx asks of a plugin: `__complete`,
/// `__ecsx describe` and `__ecsx man`.
pub struct Plugin {
    homepage: Option<String>,
    values: Vec<(&'static str, Values)>,
    explain: Option<Explain>,
}

type Explain = fn(clap::Error, &[OsString]) -> clap::Error;

/// A question for an argument's values: TAB was pressed there.
pub struct Asked {
    /// What stands at the cursor already. Candidates that do not start with it are left out.
    pub current: String,
    /// The global options on the line so far, and in the environment; `-C` was obeyed.
    pub globals: Globals,
    /// All the arguments on the line so far; what is wrong with them is overlooked.
    pub matches: ArgMatches,
}

impl Asked {
    /// The value of an option so far, by clap's id, for options that hold a `String`: of the
    /// innermost subcommand that has it.
    pub fn value(&self, id: &str) -> Option<&str> {
        let mut level = Some(&self.matches);
        let mut found = None;
        while let Some(matches) = level {
            found = matches.try_get_one::<String>(id).ok().flatten().map(String::as_str).or(found);
            level = matches.subcommand().map(|(_, matches)| matches);
        }
        found
    }
}

impl Default for Plugin {
    fn default() -> Self {
        Self::new()
    }
}

impl Plugin {
    /// A plugin whose arguments complete by what clap knows of them, and [`Globals`] by what ecsx
    /// does.
    pub fn new() -> Self {
        Self { homepage: None, values: Vec::new(), explain: None }
    }

    /// Where to read more about it.
    pub fn homepage(mut self, url: impl Into<String>) -> Self {
        self.homepage = Some(url.into());
        self
    }

    /// What the values of the argument `id` could be. `values` has about half a second; the
    /// plugin is killed when TAB took 800 ms.
    pub fn values(mut self, id: &'static str, values: impl Fn(&Asked) -> Vec<Candidate> + 'static) -> Self {
        self.values.push((id, Box::new(values)));
        self
    }

    /// What to say instead of clap's error on these words, the program's own name first.
    pub fn explain(mut self, explain: fn(clap::Error, &[OsString]) -> clap::Error) -> Self {
        self.explain = Some(explain);
        self
    }

    /// The arguments of this process. Does not come back when ecsx asked a question, when help
    /// or the version was wanted, or when the arguments are wrong (exit code 2).
    pub fn parse<P: Parser>(self) -> P {
        let words: Vec<OsString> = std::env::args_os().collect();
        let command = named(P::command());
        if let Some(answer) = self.answer(&command, words.get(1..).unwrap_or_default()) {
            // A reader that has gone wants nothing more.
            let _ = io::stdout().write_all(&answer);
            std::process::exit(0);
        }
        matches(command, &words).and_then(|mut matches| P::from_arg_matches_mut(&mut matches)).unwrap_or_else(
            |error| match self.explain {
                Some(explain) => explain(error, &words).exit(),
                None => error.exit(),
            },
        )
    }

    /// What ecsx asked with these words, if it did.
    fn answer(&self, command: &Command, words: &[OsString]) -> Option<Vec<u8>> {
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        match &words[..] {
            [first, words @ ..] if first == "__complete" => {
                Some(self.complete(command, words).to_string().into_bytes())
            }
            [first, what] if first == "__ecsx" && what == "describe" => {
                let mut line = serde_json::to_vec(&self.describe(command)).ok()?;
                line.push(b'\n');
                Some(line)
            }
            [first, what] if first == "__ecsx" && what == "man" => manual(command),
            _ => None,
        }
    }

    fn complete(&self, command: &Command, words: &[String]) -> Completion {
        let Some((current, words)) = words.split_last() else { return Completion::nothing() };
        let mut built = command.clone();
        built.build();
        complete(&built, words, current, &|id, current| {
            let asked = || asked(command, words, current);
            match self.values.iter().find(|(known, _)| *known == id) {
                Some((_, values)) => Some(values(&asked()?)),
                None if OF_ECSX.contains(&id) => of_ecsx(id, &asked()?),
                None => None,
            }
        })
    }

    fn describe(&self, command: &Command) -> Description {
        let name = command.get_name();
        Description {
            schema: Description::SCHEMA,
            name: name.strip_prefix("ecsx-").unwrap_or(name).to_owned(),
            version: command.get_version().unwrap_or_default().to_owned(),
            summary: command.get_about().map(ToString::to_string).unwrap_or_default(),
            homepage: self.homepage.clone(),
            protocol: vec![PROTOCOL_VERSION],
            complete: true,
            manual: true,
        }
    }
}

/// The options whose values ecsx knows, from the project and from AWS.
const OF_ECSX: [&str; 4] = ["cluster", "service", "profile", "region"];

/// What ecsx itself would offer, as `ecsx target` does. `None`: it was not ecsx that asked.
fn of_ecsx(id: &str, asked: &Asked) -> Option<Vec<Candidate>> {
    let mut ecsx = process::Command::new(std::env::var_os(env::BIN).filter(|bin| !bin.is_empty())?);
    ecsx.args(["__complete", "target", &format!("--{id}"), &asked.current]);
    ecsx.envs(asked.globals.environment()).stdin(Stdio::null()).stderr(Stdio::null());
    let answer = ecsx.output().ok()?;
    Some(Completion::parse(&String::from_utf8_lossy(&answer.stdout)).candidates)
}

/// What clap makes of `words`, the program's own name first. The usage line of an error shows what
/// was typed, and no option that only the environment has.
///
/// [`Plugin::parse`] does this for a plugin; this is for programs that are none.
pub fn matches(mut command: Command, words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    command.try_get_matches_from_mut(words).map_err(|error| {
        match without_environment(command).try_get_matches_from(words) {
            Err(plain) if plain.kind() == error.kind() => plain,
            _ => error,
        }
    })
}

fn without_environment(command: Command) -> Command {
    command.mut_args(|arg| arg.env(None::<&'static str>)).mut_subcommands(without_environment)
}

/// Usage lines show what the person typed: `ecsx db dump`, not `ecsx-db-dump`.
fn named(command: Command) -> Command {
    match command.get_name().strip_prefix("ecsx-").map(|name| format!("ecsx {name}")) {
        Some(name) => command.bin_name(name),
        None => command,
    }
}

fn asked(command: &Command, words: &[String], current: &str) -> Option<Asked> {
    let words = std::iter::once(command.get_name()).chain(words.iter().map(String::as_str));
    let matches = command.clone().ignore_errors(true).try_get_matches_from(words).ok()?;
    let mut globals = Globals::from_arg_matches(&matches).unwrap_or_default();
    globals.enter().ok()?;
    Some(Asked { current: current.to_owned(), globals, matches })
}

fn manual(command: &Command) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).ok()?;
    Some(page)
}
