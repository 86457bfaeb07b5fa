//! What a directory says, read as its own tools read it.

mod bounded;
mod bounds;
mod definitions;
mod ecsta;
mod envfile;
mod errors;
mod finding;
mod jsonnet;
mod presets;
mod templates;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

use ecsx::project::{self, Environment, Error, Options, Project};

/// A directory with a project in it, and surroundings to read it in.
struct Scene {
    folder: tempfile::TempDir,
    environment: Environment,
    options: Options,
}

impl Scene {
    /// A directory with these files.
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let current_dir = fs::canonicalize(folder.path()).unwrap();
        for (name, text) in files {
            let path = current_dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let environment = Environment { current_dir, ..Environment::default() };
        Self { folder, environment, options: Options::default() }
    }

    /// One with an `ecspresso.yml` of this text.
    fn yaml(text: &str) -> Self {
        Self::new(&[("ecspresso.yml", text)])
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.variables.insert(name.into(), value.into());
        self
    }

    /// Goes to a folder of it.
    fn in_folder(mut self, folder: &str) -> Self {
        self.environment.current_dir = self.path(folder);
        fs::create_dir_all(&self.environment.current_dir).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap()
    }

    fn try_load(&self) -> Result<Project, Error> {
        project::load(&self.options, &self.environment)
    }

    fn load(&self) -> Project {
        self.try_load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> Error {
        self.try_load().expect_err("this project must be refused")
    }
}

/// The cluster that `ecspresso.yml` of this text names.
fn cluster(text: &str) -> String {
    Scene::yaml(text).load().cluster.unwrap()
}

/// Whether `ecspresso.yml` of this text is refused.
fn is_refused(text: &str) -> bool {
    Scene::yaml(text).try_load().is_err()
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/project").join(folder)
}
