//! `ecsx help`: what there is, grouped; and the manual or the help of one plugin.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use ecsx::plugin::exit;
use ecsx::ui::Failure;

use super::cli::{self, Help};
use super::name::{FIRST_PARTY, Name};
use super::suite::{Chosen, Suite};
use super::{BUILT_IN, ask, handover, print};

/// `ecsx help [NAME]`.
pub(crate) fn main(suite: &Suite, help: &Help) -> Result<u8, Failure> {
    if let Some(directory) = &help.write_man {
        return write_manuals(suite, directory);
    }
    match help.name.first().and_then(|name| name.to_str()) {
        None => print(&overview(suite)),
        Some(name) if BUILT_IN.contains(&name) => {
            let mut command = cli::command();
            command.build();
            let found = help.name.iter().try_fold(&command, |command, word| command.find_subcommand(word));
            let text = found.map(|command| command.clone().render_help().to_string());
            print(&text.unwrap_or_else(|| overview(suite)))
        }
        Some(_) => of_plugin(suite, help),
    }
}

/// Everything that can be said to ecsx. Runs no plugin.
pub(crate) fn overview(suite: &Suite) -> String {
    let command = cli::command();
    let mut text = format!(
        "{}\n\nUsage: ecsx [OPTIONS] <COMMAND> [ARGUMENTS]...\n",
        command.get_about().map(ToString::to_string).unwrap_or_default()
    );
    let runnable = suite.runnable();
    let lines = |ours: bool| {
        let of_them = runnable.iter().filter(move |(name, _)| name.first_party().is_some() == ours);
        of_them.map(|(name, candidate)| {
            let summary = suite.known(name, candidate).summary;
            (name.as_str().to_owned(), summary.unwrap_or_else(|| candidate.path.display().to_string()))
        })
    };
    group(&mut text, "Commands", lines(true).collect());
    group(&mut text, "Plugins", lines(false).collect());
    let own = command
        .get_subcommands()
        .map(|sub| (sub.get_name().to_owned(), sub.get_about().map(ToString::to_string).unwrap_or_default()));
    group(&mut text, "About ecsx", own.collect());
    let options = cli::command().help_template("{options}").render_help().to_string();
    text += &format!("\nOptions, before the command or after it:\n{}\n", options.trim_end());
    text + "\n`ecsx help NAME` says more of a command.\n"
}

fn group(text: &mut String, heading: &str, mut entries: Vec<(String, String)>) {
    entries.sort_by_key(|(name, _)| FIRST_PARTY.iter().position(|(ours, _)| ours == name));
    if !entries.is_empty() {
        *text += &format!("\n{heading}:\n");
        for (name, summary) in entries {
            *text += &format!("  {name:<14} {summary}\n");
        }
    }
}

/// The manual where there is one and `man` to show it; else the plugin's own `--help`.
fn of_plugin(suite: &Suite, help: &Help) -> Result<u8, Failure> {
    let Chosen { name, words, candidate } = suite.choose(&help.name)?;
    if words == help.name.len()
        && io::IsTerminal::is_terminal(&io::stdout())
        && suite.known(&name, &candidate).manual
        && let Ok(page) = suite.ask(&name, &candidate.path, &["__ecsx".into(), "man".into()], ask::READ)
        && page.status.success()
        && let Some(code) = show_manual(&name, &page.stdout)
    {
        return Ok(code);
    }
    let mut arguments = help.name[words..].to_vec();
    arguments.push("--help".into());
    handover::hand_over(&candidate.path, &arguments, &suite.environment(&name))
}

/// Shows a page with `man`; `None` where that does not work.
fn show_manual(name: &Name, page: &[u8]) -> Option<u8> {
    let file = std::env::temp_dir().join(format!("ecsx-{name}.{}.1", std::process::id()));
    let mut options = fs::File::options();
    let mut opened = options.write(true).create_new(true).open(&file).ok()?;
    let written = io::Write::write_all(&mut opened, page);
    let shown = written.and_then(|()| Command::new("man").arg(&file).stderr(Stdio::null()).status());
    let _ = fs::remove_file(&file);
    shown.ok().filter(|status| status.success()).map(|_| exit::DONE)
}

/// Pages of ecsx and of its own plugins, for packages: `ecsx.1`, `ecsx-exec.1` and so on.
fn write_manuals(suite: &Suite, directory: &Path) -> Result<u8, Failure> {
    let cannot = |error| Failure::because(format!("cannot write to {}", directory.display()), error);
    fs::create_dir_all(directory).map_err(cannot)?;
    let mut page = Vec::new();
    clap_mangen::Man::new(cli::command()).render(&mut page).map_err(cannot)?;
    fs::write(directory.join("ecsx.1"), page).map_err(cannot)?;
    for (name, candidate) in suite.runnable().iter().filter(|(name, _)| name.first_party().is_some()) {
        let answer = suite.ask(name, &candidate.path, &["__ecsx".into(), "man".into()], ask::READ);
        let page = answer.map_err(|why| Failure::new(format!("{} {why}", candidate.path.display())))?;
        fs::write(directory.join(format!("ecsx-{name}.1")), page.stdout).map_err(cannot)?;
    }
    Ok(exit::DONE)
}
