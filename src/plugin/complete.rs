//! From a clap command and the words before the cursor to what could stand there.
//!
//! clap's own engine for this is unstable and shows a completer nothing but the word at the
//! cursor; the values here depend on the other options (`--cluster` decides which services).

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::wire::{Candidate, Completion, directive};

/// Where the cursor is: what the words before it leave open.
#[derive(Debug)]
struct Place<'a> {
    /// The subcommand they lead to.
    command: &'a Command,
    /// The option that still wants a value.
    wanting: Option<&'a Arg>,
    /// How many values that option has had from words of their own.
    had: usize,
    /// How many positional arguments are complete.
    positional: usize,
    /// After `--`, or within arguments that are somebody else's: no options any more.
    escaped: bool,
    /// Options that were given.
    given: Vec<&'a str>,
}

/// What could stand at the cursor, in `current`, after `words`. `values` answers for the
/// arguments whose values it knows, by clap's id and what stands at the cursor. `command` must
/// be built (`Command::build`).
///
/// [`Plugin`](super::Plugin) does this for a plugin; this is for programs that are none.
pub fn complete(
    command: &Command,
    words: &[String],
    current: &str,
    values: &dyn Fn(&str, &str) -> Option<Vec<Candidate>>,
) -> Completion {
    let mut place =
        Place { command, wanting: None, had: 0, positional: 0, escaped: false, given: Vec::new() };
    for word in words {
        place.pass(word);
    }
    place.answer(current, values)
}

impl<'a> Place<'a> {
    fn pass(&mut self, word: &str) {
        if let Some(arg) = self.wanting
            && !(word.starts_with('-') && word.len() > 1 && !arg.is_allow_hyphen_values_set() && self.had > 0)
        {
            self.had += 1;
            if self.had >= most_values(arg) {
                self.wanting = None;
            }
            return;
        }
        self.wanting = None;
        if self.escaped {
            self.pass_positional();
        } else if word == "--" {
            self.escaped = true;
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            if let Some(arg) = self.long(name) {
                self.give(arg, value.is_some());
            }
        } else if word.len() > 1 && word.starts_with('-') {
            if let Some((arg, rest)) = self.shorts(&word[1..]) {
                self.give(arg, !rest.is_empty());
            }
        } else if let Some(sub) = self.subcommand(word) {
            self.command = sub;
            self.positional = 0;
        } else {
            self.pass_positional();
        }
    }

    fn give(&mut self, arg: &'a Arg, has_value: bool) {
        self.given.push(arg.get_id().as_str());
        if takes_value(arg) && !has_value && !arg.is_require_equals_set() {
            (self.wanting, self.had) = (Some(arg), 0);
        }
    }

    fn pass_positional(&mut self) {
        let Some(arg) = self.positional() else { return };
        // Everything from a trailing argument on belongs to it, options and all.
        self.escaped |= arg.is_trailing_var_arg_set();
        if most_values(arg) == 1 && !matches!(arg.get_action(), ArgAction::Append) {
            self.positional += 1;
        }
    }

    /// The positional argument at the cursor. After `--` the `last` one is.
    fn positional(&self) -> Option<&'a Arg> {
        let last = || self.command.get_positionals().find(|arg| arg.is_last_set());
        match self.escaped.then(last).flatten() {
            Some(last) => Some(last),
            None => self.command.get_positionals().filter(|arg| !arg.is_last_set()).nth(self.positional),
        }
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|all| all.contains(&name))
        })
    }

    /// The first of these short options that takes a value, and what follows it; else the last.
    fn shorts<'w>(&mut self, letters: &'w str) -> Option<(&'a Arg, &'w str)> {
        let mut last = None;
        for (index, letter) in letters.char_indices() {
            let has = |arg: &&Arg| {
                arg.get_short() == Some(letter)
                    || arg.get_all_short_aliases().is_some_and(|all| all.contains(&letter))
            };
            let arg = self.command.get_arguments().find(has)?;
            if takes_value(arg) {
                return Some((arg, &letters[index + letter.len_utf8()..]));
            }
            self.given.push(arg.get_id().as_str());
            last = Some((arg, ""));
        }
        last
    }

    fn subcommand(&self, word: &str) -> Option<&'a Command> {
        let has = |sub: &&Command| sub.get_name() == word || sub.get_all_aliases().any(|alias| alias == word);
        (self.positional == 0).then(|| self.command.get_subcommands().find(has)).flatten()
    }

    fn answer(&mut self, current: &str, values: &dyn Fn(&str, &str) -> Option<Vec<Candidate>>) -> Completion {
        let optional = current.starts_with('-') && self.had > 0;
        if let Some(arg) = self.wanting.filter(|_| !optional) {
            return values_of(arg, current, values);
        }
        if self.escaped || !current.starts_with('-') {
            return self.answer_positional(current, values);
        }
        if let Some((name, value)) = current.strip_prefix("--").and_then(|long| long.split_once('=')) {
            let arg = self.long(name).filter(|arg| takes_value(arg));
            return arg.map_or_else(Completion::nothing, |arg| values_of(arg, value, values));
        }
        if !current.starts_with("--")
            && let Some((arg, value)) = self.shorts(&current[1..])
            && takes_value(arg)
        {
            let mut completion = values_of(arg, value, values);
            let letters = &current[..current.len() - value.len()];
            completion.candidates.iter_mut().for_each(|candidate| candidate.value.insert_str(0, letters));
            return completion;
        }
        Completion::words(self.options(current))
    }

    fn answer_positional(
        &self,
        current: &str,
        values: &dyn Fn(&str, &str) -> Option<Vec<Candidate>>,
    ) -> Completion {
        let mut completion = match self.positional() {
            Some(arg) => values_of(arg, current, values),
            None => Completion::nothing(),
        };
        if !self.escaped && self.positional == 0 {
            let subcommands = self.command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let offered = subcommands.map(|sub| {
                Candidate::new(sub.get_name(), sub.get_about().map(ToString::to_string).unwrap_or_default())
            });
            completion.candidates.extend(offered.filter(|c| c.value.starts_with(current)));
            completion.directive |= directive::KEEP_ORDER;
        }
        // Nothing else is known to fit: show what may be said at all.
        let silent = completion.candidates.is_empty() && completion.directive & directive::NO_FILES != 0;
        if silent && current.is_empty() && !self.escaped {
            completion = Completion::words(self.options(""));
        }
        completion
    }

    /// The options that may still be given and start with `current`.
    fn options(&self, current: &str) -> Vec<Candidate> {
        let mut offered = Vec::new();
        for arg in self.command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
            let again = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
            if self.given.contains(&arg.get_id().as_str()) && !again {
                continue;
            }
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let word = match (arg.get_long(), arg.get_short()) {
                (Some(long), _) => format!("--{long}"),
                (None, Some(short)) => format!("-{short}"),
                (None, None) => continue,
            };
            if word.starts_with(current) {
                offered.push(Candidate::new(word, help));
            }
        }
        offered
    }
}

fn takes_value(arg: &Arg) -> bool {
    !arg.is_positional() && arg.get_action().takes_values()
}

fn most_values(arg: &Arg) -> usize {
    arg.get_num_args().map_or(1, |range| range.max_values())
}

/// What an argument's value could be: what `values` knows, its possible values, or files.
fn values_of(arg: &Arg, current: &str, values: &dyn Fn(&str, &str) -> Option<Vec<Candidate>>) -> Completion {
    let known = values(arg.get_id().as_str(), current).or_else(|| {
        let possible: Vec<PossibleValue> = arg.get_possible_values();
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        let candidate = |value: &PossibleValue| {
            Candidate::new(value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default())
        };
        (!possible.is_empty()).then(|| shown.map(candidate).collect())
    });
    if let Some(mut known) = known {
        known.retain(|candidate| candidate.value.starts_with(current));
        return Completion::words(known);
    }
    let directive = match arg.get_value_hint() {
        ValueHint::AnyPath | ValueHint::FilePath | ValueHint::ExecutablePath => directive::DEFAULT,
        ValueHint::CommandName | ValueHint::CommandString | ValueHint::CommandWithArguments => {
            directive::DEFAULT
        }
        ValueHint::DirPath => directive::DIRECTORIES,
        _ => directive::NO_FILES,
    };
    Completion::only(directive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction, Command};

    fn command() -> Command {
        let mut command = Command::new("ecsx-x")
            .arg(Arg::new("cluster").long("cluster").global(true))
            .arg(Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue))
            .arg(Arg::new("forward").short('L').action(ArgAction::Append))
            .arg(Arg::new("color").long("color").value_parser(["always", "auto", "never"]))
            .arg(Arg::new("file").long("file").value_hint(ValueHint::FilePath))
            .arg(Arg::new("secret").long("secret").hide(true))
            .subcommand(Command::new("up").about("Go up").arg(Arg::new("floor").value_parser(["one", "two"])))
            .subcommand(Command::new("run").arg(Arg::new("command").last(true).num_args(1..)));
        command.build();
        command
    }

    /// The values and the directive for a line whose last word is at the cursor.
    fn tab(line: &str) -> (Vec<String>, u8) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (current, words) = words.split_last().expect("a word");
        let live = |id: &str, _: &str| match id {
            "cluster" => Some(vec!["blue".into(), "green".into()]),
            "forward" => Some(vec!["5432:db:5432".into()]),
            _ => None,
        };
        let completion = complete(&command(), words, current, &live);
        (completion.candidates.into_iter().map(|c| c.value).collect(), completion.directive)
    }

    fn values(line: &str) -> Vec<String> {
        tab(line).0
    }

    #[test]
    fn subcommands_and_options_are_offered_by_their_beginning() {
        assert_eq!(values("u"), ["up"]);
        assert_eq!(values("--c"), ["--cluster", "--color"]);
        assert_eq!(values("-"), ["--cluster", "--quiet", "-L", "--color", "--file", "--help"]);
    }

    #[test]
    fn a_value_is_offered_after_the_option_and_after_an_equals_sign() {
        assert_eq!(values("--cluster "), ["blue", "green"]);
        assert_eq!(values("--cluster=g"), ["green"]);
        assert_eq!(values("-q --color a"), ["always", "auto"]);
        assert_eq!(values("-L "), ["5432:db:5432"]);
        assert_eq!(values("-qL54"), ["-qL5432:db:5432"]);
    }

    #[test]
    fn an_option_that_was_given_is_not_offered_again_unless_it_repeats() {
        assert!(!values("--cluster x --").contains(&"--cluster".to_owned()));
        assert!(values("-L 1 -").contains(&"-L".to_owned()));
    }

    #[test]
    fn a_value_that_reads_like_a_subcommand_is_a_value() {
        assert_eq!(values("--cluster up "), ["up", "run", "help"]);
        assert_eq!(values("up "), ["one", "two"]);
        assert_eq!(values("up --cluster "), ["blue", "green"]);
    }

    #[test]
    fn files_are_offered_only_where_a_file_is_wanted() {
        assert_eq!(tab("--file ").1, directive::DEFAULT);
        assert_eq!(tab("--cluster ").1 & directive::NO_FILES, directive::NO_FILES);
        assert_eq!(tab("up one "), (vec!["--cluster".to_owned(), "--help".to_owned()], 36));
    }

    #[test]
    fn after_a_double_dash_no_option_is_ours() {
        assert_eq!(values("run -- --cl"), [""; 0]);
        assert_eq!(values("run -- ls --"), [""; 0]);
    }

    #[test]
    fn hidden_options_stay_hidden() {
        assert_eq!(values("--se"), [""; 0]);
    }
}
