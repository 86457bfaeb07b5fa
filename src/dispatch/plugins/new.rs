//! `ecsx plugin new`: the beginnings of a plugin that keeps to the contract from its first run.

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use ecsx::plugin::exit;
use ecsx::ui::Failure;

use super::super::BUILT_IN;
use super::super::name::Name;
use super::super::print;

/// What a plugin can be begun in.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Language {
    Sh,
    Python,
    Rust,
}

/// A file of a new plugin: where it goes, what is in it, whether it is the program.
struct File {
    path: String,
    text: &'static str,
    program: bool,
}

impl Language {
    /// `@NAME@` stands for the plugin's name.
    fn files(self, name: &Name) -> Vec<File> {
        let script = |text| File { path: name.file(), text, program: true };
        let part = |path: &str, text| File { path: path.to_owned(), text, program: false };
        match self {
            Self::Sh => vec![script(include_str!("templates/plugin.sh"))],
            Self::Python => vec![script(include_str!("templates/plugin.py"))],
            Self::Rust => vec![
                part("Cargo.toml", include_str!("templates/Cargo.toml.in")),
                part("src/main.rs", include_str!("templates/main.rs.in")),
            ],
        }
    }
}

pub(super) fn main(name: &str, language: Language, place: &Path) -> Result<u8, Failure> {
    let name = Name::new(name).ok_or_else(|| {
        Failure::new(format!("`{name}` cannot be a plugin: names are of a-z, 0-9 and -")).code(exit::USAGE)
    })?;
    if name.first_party().is_some() || BUILT_IN.contains(&name.as_str()) {
        return Err(Failure::new(format!("the name `{name}` belongs to ecsx")).code(exit::USAGE));
    }
    let directory = place.join(format!("ecsx-{name}"));
    let cannot = |error| Failure::because(format!("cannot write {}", directory.display()), error);
    // What is there already is somebody's work.
    fs::create_dir_all(place).and_then(|()| fs::create_dir(&directory)).map_err(cannot)?;
    for file in language.files(&name) {
        let path = directory.join(&file.path);
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(cannot)?;
        fs::write(&path, file.text.replace("@NAME@", name.as_str())).map_err(cannot)?;
        if file.program {
            make_executable(&path).map_err(cannot)?;
        }
    }
    let at = directory.display();
    let (build, program) = match language {
        Language::Rust => {
            (format!("  (cd {at} && cargo build)\n"), directory.join("target/debug").join(name.file()))
        }
        Language::Sh | Language::Python => (String::new(), directory.join(name.file())),
    };
    let program = program.display();
    print(&format!(
        "Wrote {at}. Next:\n{build}  ecsx plugin check {program}\n  ecsx plugin install {program}\n"
    ))
}

#[cfg(unix)]
fn make_executable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
