//! `ecsx version`: the whole suite.

use ecsx::ui::Failure;
use serde::Serialize;

use super::cli::Output;
use super::suite::Suite;
use super::{print, print_json};

#[derive(Serialize)]
struct Version {
    name: String,
    version: Option<String>,
}

/// Prints the versions of ecsx and of the plugins that would run. Runs none of them.
pub(crate) fn main(suite: &Suite, output: &Output) -> Result<u8, Failure> {
    let own = Version { name: "ecsx".into(), version: Some(env!("CARGO_PKG_VERSION").into()) };
    let plugins = suite.runnable().into_iter().map(|(name, candidate)| {
        let version = suite.known(&name, &candidate).version;
        Version { name: name.as_str().to_owned(), version }
    });
    let all: Vec<Version> = std::iter::once(own).chain(plugins).collect();
    if output.json() {
        return print_json(&all);
    }
    let width = all.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    let lines = all.iter().map(|entry| {
        format!("{:width$}  {}\n", entry.name, entry.version.as_deref().unwrap_or("(not inspected)"))
    });
    print(&lines.collect::<String>())
}
