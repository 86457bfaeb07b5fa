//! `ecsx plugin list`: every name, the file that would run, and what is wrong. Runs nothing.

use std::path::PathBuf;

use ecsx::ui::Failure;
use serde::Serialize;

use super::super::cli::Output;
use super::super::discovery::{Candidate, Origin};
use super::super::name::Name;
use super::super::suite::Suite;
use super::super::{print, print_json};

/// A name and what is known of it.
#[derive(Serialize)]
struct Entry {
    name: String,
    version: Option<String>,
    summary: Option<String>,
    /// The file that would run; none may.
    path: Option<PathBuf>,
    origin: Option<Origin>,
    complete: bool,
    /// Files of the same name that would run were it not for `path`.
    shadows: Vec<PathBuf>,
    problems: Vec<Problem>,
}

/// A file that has the name and may not run.
#[derive(Serialize)]
struct Problem {
    path: PathBuf,
    problem: String,
}

pub(super) fn main(suite: &Suite, output: &Output) -> Result<u8, Failure> {
    let entries: Vec<Entry> = suite.search.names().iter().map(|name| entry(suite, name)).collect();
    if output.json() {
        return print_json(&entries);
    }
    let width = |of: fn(&Entry) -> usize| entries.iter().map(of).max().unwrap_or_default();
    let names = width(|entry| entry.name.len());
    let versions = width(|entry| entry.version.as_ref().map_or(1, String::len));
    let mut text = String::new();
    for entry in &entries {
        let version = entry.version.as_deref().unwrap_or("-");
        let path = entry.path.as_ref().map_or("-".to_owned(), |path| path.display().to_string());
        text += &format!("{:names$}  {version:versions$}  {path}\n", entry.name);
        let indented = [
            entry.summary.clone().or_else(|| {
                let inspect = format!(
                    "not inspected as it is now; to have summary and TAB: ecsx plugin inspect {}",
                    entry.name
                );
                entry.path.is_some().then_some(inspect)
            }),
            (entry.path.is_none() && entry.problems.is_empty()).then(|| "missing".to_owned()),
        ];
        let shadows = entry.shadows.iter().map(|path| format!("shadows {}", path.display()));
        let problems = entry.problems.iter().map(|p| format!("{} {}", p.path.display(), p.problem));
        for line in indented.into_iter().flatten().chain(shadows).chain(problems) {
            text += &format!("{:names$}  {line}\n", "");
        }
    }
    print(&text)
}

fn entry(suite: &Suite, name: &Name) -> Entry {
    let (mut runnable, mut problems) = (Vec::new(), Vec::new());
    for Candidate { path, origin, refusal } in suite.search.candidates(name) {
        match refusal {
            None => runnable.push(Candidate { path, origin, refusal }),
            Some(why) => problems.push(Problem { path, problem: why.to_string() }),
        }
    }
    let mut runnable = runnable.into_iter();
    let first = runnable.next();
    let known = first.as_ref().map(|candidate| suite.known(name, candidate)).unwrap_or_default();
    // Two links to one file are one plugin.
    let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
    let first_real = first.as_ref().and_then(|candidate| real(&candidate.path));
    Entry {
        name: name.as_str().to_owned(),
        version: known.version.filter(|_| first.is_some()),
        summary: known.summary.or_else(|| name.first_party().map(str::to_owned)),
        complete: known.complete,
        origin: first.as_ref().map(|candidate| candidate.origin),
        path: first.map(|candidate| candidate.path),
        shadows: runnable.map(|candidate| candidate.path).filter(|path| real(path) != first_real).collect(),
        problems,
    }
}
