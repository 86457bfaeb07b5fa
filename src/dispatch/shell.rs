//! The completions of the shells: printing them, and putting them where each shell looks.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ecsx::ui::Failure;
use etcetera::BaseStrategy as _;

use super::cli::{Completion, Install};
use super::print;

/// A shell that ecsx completes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(alias = "pwsh")]
    Powershell,
    Elvish,
    #[value(alias = "nu")]
    Nushell,
}

impl Shell {
    fn shim(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../../completions/ecsx.bash"),
            Self::Zsh => include_str!("../../completions/_ecsx"),
            Self::Fish => include_str!("../../completions/ecsx.fish"),
            Self::Powershell => include_str!("../../completions/ecsx.ps1"),
            Self::Elvish => include_str!("../../completions/ecsx.elv"),
            Self::Nushell => include_str!("../../completions/ecsx.nu"),
        }
    }

    /// Where the user's own completion goes, and what else the user must do for it to be found.
    fn place(self, config: &Path, data: &Path) -> (PathBuf, Option<String>) {
        match self {
            Self::Bash => {
                let then = "have bash-completion (the package) loaded in ~/.bashrc, if it is not yet";
                (data.join("bash-completion/completions/ecsx"), Some(then.to_owned()))
            }
            Self::Zsh => {
                let directory = data.join("zsh/site-functions");
                let line = format!("fpath=({} $fpath)", directory.display());
                (directory.join("_ecsx"), Some(format!("have `{line}` in ~/.zshrc, before compinit")))
            }
            Self::Fish => (config.join("fish/completions/ecsx.fish"), None),
            Self::Powershell => {
                let file = config.join("powershell/ecsx.ps1");
                let line = format!(". {}", file.display());
                (file, Some(format!("have `{line}` in the file that $PROFILE names")))
            }
            Self::Elvish => {
                (config.join("elvish/lib/ecsx.elv"), Some("have `use ecsx` in rc.elv".to_owned()))
            }
            Self::Nushell => (config.join("nushell/autoload/ecsx.nu"), None),
        }
    }

    /// The shell that `$SHELL` names.
    fn current() -> Option<Self> {
        let shell = PathBuf::from(std::env::var_os("SHELL")?);
        Self::from_str(shell.file_stem()?.to_str()?, true).ok()
    }
}

/// `ecsx completion`.
pub(crate) fn main(completion: &Completion) -> Result<u8, Failure> {
    match (&completion.install, completion.shell) {
        (Some(Install::Install { shell }), _) => install(*shell),
        (None, Some(shell)) => print(shell.shim()),
        (None, None) => {
            let failure = Failure::new("no shell named").code(2);
            Err(failure.hint("there are bash, zsh, fish, powershell, elvish and nushell"))
        }
    }
}

fn install(shell: Option<Shell>) -> Result<u8, Failure> {
    let shell = shell.or_else(Shell::current).ok_or_else(|| {
        Failure::new("cannot tell which shell to install for").hint("name it: `ecsx completion install zsh`")
    })?;
    let base = etcetera::choose_base_strategy()
        .map_err(|error| Failure::because("cannot tell where your files go", error))?;
    let (file, then) = shell.place(&base.config_dir(), &base.data_dir());
    let written =
        file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, shell.shim()));
    written.map_err(|error| Failure::because(format!("cannot write {}", file.display()), error))?;
    let then = then.map(|then| format!("Then {then}: ")).unwrap_or_default();
    print(&format!("Wrote {}.\n{then}new shells complete ecsx.\n", file.display()))
}
