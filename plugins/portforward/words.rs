//! What to forward, in the order it was typed: the first is the one that a command finds.

use clap::{ArgMatches, Args, Command, FromArgMatches};

/// The positional words and the values of -L, as they stood on the line.
#[derive(Debug)]
pub(crate) struct Words(pub(crate) Vec<String>);

#[derive(Debug, Args)]
#[group(skip)]
struct Arguments {
    /// PORT, LOCAL:REMOTE or :REMOTE (a free local port), as with kubectl: to a port of the container
    /// itself; any form of -L; or a preset of ecsx.yml: NAME, LOCAL:NAME, :NAME
    #[arg(value_name = "FORWARD")]
    words: Vec<String>,

    /// [BIND:]LOCAL:HOST:PORT as with ssh: to a host that the task can reach; :HOST:PORT takes a free
    /// local port, LOCAL:PORT is a port of the container itself. May be repeated
    #[arg(short = 'L', value_name = "FORWARD")]
    forwards: Vec<String>,
}

impl Args for Words {
    fn augment_args(command: Command) -> Command {
        Arguments::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Arguments::augment_args_for_update(command)
    }
}

impl FromArgMatches for Words {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Vec::new();
        for id in ["words", "forwards"] {
            let places = matches.indices_of(id).into_iter().flatten();
            typed.extend(places.zip(matches.get_many::<String>(id).into_iter().flatten()));
        }
        typed.sort();
        Ok(Self(typed.into_iter().map(|(_, word)| word.clone()).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
