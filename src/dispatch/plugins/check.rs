//! `ecsx plugin check`: does a program keep to the contract? For its author, who wants every
//! answer at once, and for their CI: exit code 0 if it does, 1 if not.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use ecsx::plugin::{Completion, exit};
use ecsx::ui::Failure;

use super::super::ask::{Answer, Limits, READ, complete};
use super::super::name::Name;
use super::super::suite::Suite;
use super::super::trust::{Refusal, check_file};
use super::super::{BUILT_IN, print};
use super::{inspect, install};

/// An option that no plugin has.
const NO_SUCH_OPTION: &str = "--ecsx-checks-that-unknown-options-are-refused";

/// What the contract only advises: the options of ecsx after the name, too.
const ADVICE: &str = "options";

/// Longer than this, and a person at TAB takes it for nothing.
const SLOW: Duration = Duration::from_millis(400);

/// What was looked at and how it was.
struct Finding {
    about: &'static str,
    /// What was seen, or what is wrong.
    outcome: Result<String, String>,
}

/// A program and the name its file gives it.
struct Subject<'a> {
    suite: &'a Suite,
    name: Name,
    path: &'a Path,
}

pub(super) fn main(suite: &Suite, path: &Path) -> Result<u8, Failure> {
    let path = if path.is_dir() { &install::program(path)?.1 } else { path };
    let path = std::path::absolute(path)
        .map_err(|error| Failure::because(format!("cannot look at {}", path.display()), error))?;
    let file = path.file_name().map(|file| file.to_string_lossy()).unwrap_or_default();
    let name = Name::of_file(&file).ok_or_else(|| {
        Failure::new(format!("{file:?} cannot be a plugin's file"))
            .hint("it is called ecsx-NAME, NAME of a-z, 0-9 and -")
    })?;
    if BUILT_IN.contains(&name.as_str()) {
        return Err(Failure::new(format!("`ecsx {name}` is a command of ecsx: rename the program")));
    }
    let findings = Subject { suite, name, path: &path }.findings();
    let mut text = String::new();
    for Finding { about, outcome } in &findings {
        let (mark, said) = match outcome {
            Ok(seen) => ("ok  ", seen),
            Err(wrong) if *about == ADVICE => ("note", wrong),
            Err(wrong) => ("FAIL", wrong),
        };
        text += &format!("{mark}  {about:<12}{said}\n");
    }
    print(&text)?;
    let broken = |finding: &&Finding| finding.outcome.is_err() && finding.about != ADVICE;
    let places = match findings.iter().filter(broken).count() {
        0 => return Ok(exit::DONE),
        1 => "1 place".to_owned(),
        several => format!("{several} places"),
    };
    Err(Failure::new(format!("{} breaks the contract in {places}", path.display()))
        .hint("docs/plugins.md is the contract"))
}

impl Subject<'_> {
    fn findings(&self) -> Vec<Finding> {
        let file = check_file(self.path);
        let runs = file.as_ref().map_or_else(Refusal::is_of_the_place, |()| true);
        let mut findings = vec![Finding {
            about: "file",
            outcome: match file {
                Ok(()) => Ok(format!("runs as `ecsx {}`", self.name)),
                Err(why) => Err(why.to_string()),
            },
        }];
        if !runs {
            return findings;
        }
        let described = inspect::ask(self.suite, &self.name, self.path);
        let complete = described.as_ref().is_ok_and(|(description, _)| description.complete);
        findings.push(Finding {
            about: "describe",
            outcome: described
                .map(|(d, answer)| format!("{} {}, in {} ms", d.name, d.version, answer.took.as_millis())),
        });
        if complete {
            findings.push(Finding { about: "complete", outcome: self.completes(&[""]) });
            findings.push(Finding { about: "complete -", outcome: self.completes(&["-"]) });
        }
        findings.push(Finding { about: "--help", outcome: self.says("--help") });
        findings.push(Finding { about: "--version", outcome: self.says("--version") });
        findings.push(Finding { about: ADVICE, outcome: self.takes_options() });
        findings.push(Finding { about: "exit codes", outcome: self.refuses_unknown_options() });
        findings
    }

    fn ask(&self, words: &[&str], limits: Limits) -> Result<Answer, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        self.suite.ask(&self.name, self.path, &words, limits).map_err(|why| why.to_string())
    }

    fn completes(&self, words: &[&str]) -> Result<String, String> {
        let answer = self.ask(&[&["__complete"], words].concat(), complete())?;
        let text = String::from_utf8(answer.stdout).map_err(|_| "did not answer in UTF-8".to_owned())?;
        if !answer.status.success() {
            return Err(format!("`__complete` ended with {}", answer.status));
        }
        let last = text.lines().last().and_then(|line| line.strip_prefix(':'));
        if last.and_then(|number| number.parse::<u8>().ok()).is_none() {
            return Err("the last line of `__complete` must be `:N`, N a sum of directives".to_owned());
        }
        let lines = text.lines().count() - 1;
        let completion = Completion::parse(&text);
        let read = completion.candidates.len() + completion.notes.len();
        if read != lines {
            return Err(format!("{} of {lines} lines are no candidates (control characters?)", lines - read));
        }
        let slow = if answer.took > SLOW { ": slow, people at TAB do not wait that long" } else { "" };
        Ok(format!("{read} candidates in {} ms{slow}", answer.took.as_millis()))
    }

    fn says(&self, option: &str) -> Result<String, String> {
        let answer = self.ask(&[option], READ)?;
        match (answer.status.success(), answer.stdout.is_empty()) {
            (false, _) => Err(format!("ended with {}", answer.status)),
            (true, true) => Err("printed nothing to stdout".to_owned()),
            (true, false) => {
                let text = String::from_utf8_lossy(&answer.stdout);
                Ok(text.lines().next().unwrap_or_default().to_owned())
            }
        }
    }

    fn takes_options(&self) -> Result<String, String> {
        let answer = self.ask(&["--cluster", "c", "--service=s", "-q", "--help"], READ)?;
        match answer.status.success() {
            true => Ok("takes --cluster, --service and -q after its name, too".to_owned()),
            false => {
                Err("does not take --cluster C, --service=S and -q after its name; people expect it"
                    .to_owned())
            }
        }
    }

    fn refuses_unknown_options(&self) -> Result<String, String> {
        let answer = self.ask(&[NO_SUCH_OPTION], READ)?;
        match (answer.status.code() == Some(exit::USAGE.into()), answer.stdout.is_empty()) {
            (true, true) => Ok("an unknown option ends with 2, nothing on stdout".to_owned()),
            (true, false) => Err("an unknown option's complaint belongs on stderr, not stdout".to_owned()),
            (false, _) => Err(format!("an unknown option ends with {}; it should with 2", answer.status)),
        }
    }
}
