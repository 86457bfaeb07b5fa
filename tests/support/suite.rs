//! A home of its own with a suite in it: `ecsx` copied to `suite/`, plugins beside it and in
//! directories on PATH, all of them scripts of the test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// Held while a program is written and while a process is started: a child that is forked in
/// between would hold the program open for writing, and nobody could execute it (ETXTBSY).
static PROGRAMS: Mutex<()> = Mutex::new(());

/// The home; dropped, it is gone.
pub(crate) struct Suite {
    home: tempfile::TempDir,
}

impl Suite {
    /// A home with `suite/ecsx` and an empty `bin/` on PATH.
    pub(crate) fn new() -> Self {
        let suite = Self { home: tempfile::tempdir().unwrap() };
        for directory in ["suite", "bin"] {
            fs::create_dir(suite.path(directory)).unwrap();
        }
        let _writing = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        fs::copy(env!("CARGO_BIN_EXE_ecsx"), suite.path("suite/ecsx")).unwrap();
        suite
    }

    /// A path in the home, links in the way resolved.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.home.path()).unwrap().join(path)
    }

    /// Writes an executable file; directories are made as needed.
    pub(crate) fn program(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let _writing = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
        fs::write(&file, content).unwrap();
        mode(&file, 0o755);
        file
    }

    /// Writes a plugin that says who it is and what it was called with.
    pub(crate) fn plugin(&self, path: &str) -> PathBuf {
        self.program(path, format!("#!/bin/sh\nprintf '%s' '{path}'\nprintf ' <%s>' \"$@\"\necho\n"))
    }

    /// `ecsx` with these words, knowing nothing of the home of whoever runs the tests.
    pub(crate) fn ecsx(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("suite/ecsx"));
        command.args(words).current_dir(self.path("")).env_clear();
        command.env("HOME", self.path("")).env("LANG", "C.UTF-8").env("TERM", "xterm");
        // Machines that run tests are busy.
        command.env("ECSX_COMPLETE_MS", "20000");
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command
    }

    /// Runs `ecsx` with these words to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        said(&mut self.ecsx(words))
    }

    /// What TAB would get.
    pub(crate) fn tab(&self, words: &[&str]) -> String {
        self.run(&[&["__complete"], words].concat()).stdout
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn said(command: &mut Command) -> Said {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Starts a command; for tests that also write programs.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _starting = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// chmod.
pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
