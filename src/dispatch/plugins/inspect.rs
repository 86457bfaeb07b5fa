//! `ecsx plugin inspect`: has a plugin describe itself, and keeps what it says.

use std::ffi::OsString;
use std::path::Path;

use ecsx::plugin::{Description, PROTOCOL_VERSION};
use ecsx::ui::Failure;

use super::super::ask::{Answer, DESCRIBE};
use super::super::cli::Output;
use super::super::name::Name;
use super::super::suite::{Chosen, Suite};
use super::super::{print, print_json};

pub(super) fn main(suite: &Suite, words: &[OsString], output: &Output) -> Result<u8, Failure> {
    let Chosen { name, candidate, .. } = suite.choose(words)?;
    let description = describe(suite, &name, &candidate.path)?;
    suite
        .records
        .keep(&name, &candidate.path, &description)
        .map_err(|error| Failure::because(format!("cannot keep what {name} said of itself"), error))?;
    if output.json() {
        return print_json(&description);
    }
    let Description { version, summary, homepage, complete, .. } = description;
    let homepage = homepage.map(|url| format!("{url}\n")).unwrap_or_default();
    let complete = if complete { "completes its arguments" } else { "does not complete its arguments" };
    print(&format!("{name} {version}: {summary}\n{}\n{homepage}{complete}\n", candidate.path.display()))
}

/// What the plugin at `path` says of itself.
pub(super) fn describe(suite: &Suite, name: &Name, path: &Path) -> Result<Description, Failure> {
    ask(suite, name, path).map(|(description, _)| description).map_err(|why| {
        Failure::new(format!("{} {why}", path.display()))
            .hint("it still runs; its author finds in docs/plugins.md how to describe it")
    })
}

/// What the plugin at `path` says of itself, or what is wrong with that, to follow its path.
pub(super) fn ask(suite: &Suite, name: &Name, path: &Path) -> Result<(Description, Answer), String> {
    let answer = suite.ask(name, path, &["__ecsx".into(), "describe".into()], DESCRIBE);
    let answer = answer.map_err(|why| format!("{why} (asked to describe itself)"))?;
    if !answer.status.success() {
        return Err(format!("does not describe itself: `__ecsx describe` ended with {}", answer.status));
    }
    let description: Description = serde_json::from_slice(&answer.stdout).map_err(|error| {
        format!("answers `__ecsx describe` with something else than the contract's JSON: {error}")
    })?;
    if description.schema != Description::SCHEMA {
        return Err(format!("describes itself in schema {}; this ecsx reads 1", description.schema));
    }
    if description.name != name.as_str() {
        return Err(format!("says that its name is `{}`; its file says `{name}`", description.name));
    }
    if !description.protocol.is_empty() && !description.protocol.contains(&PROTOCOL_VERSION) {
        return Err(format!("was written for contract {:?}; this ecsx keeps to 1", description.protocol));
    }
    let one_line = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    if !one_line(&description.summary) || !one_line(&description.version) {
        return Err("needs a version and a summary, each one line of plain text".to_owned());
    }
    Ok((description, answer))
}
