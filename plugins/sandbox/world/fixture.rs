//! A fixture: the YAML that describes a pretend AWS account.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::faults::Faults;

/// A pretend AWS account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// Its only region; calls signed for another see an empty account.
    #[serde(default = "region")]
    pub(crate) region: String,
    /// Twelve digits.
    #[serde(default = "account")]
    pub(crate) account: String,
    #[serde(default)]
    pub(crate) clusters: Vec<Cluster>,
    /// `host` or `host:port` → `address` or `address:port`.
    #[serde(default)]
    pub(crate) names: BTreeMap<String, String>,
    /// What misbehaves from the start.
    #[serde(default)]
    pub(crate) faults: Faults,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// Encrypt sessions of ExecuteCommand with this KMS key.
    pub(crate) kms_key: Option<String>,
    #[serde(default)]
    pub(crate) services: Vec<Service>,
    /// Tasks that belong to no service.
    #[serde(default)]
    pub(crate) tasks: Vec<Task>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Task definition family; the service's name if not given.
    pub(crate) family: Option<String>,
    /// How many tasks run.
    #[serde(default = "one")]
    pub(crate) tasks: usize,
    #[serde(default = "yes")]
    pub(crate) execute_command: bool,
    /// What health checks say: HEALTHY, UNHEALTHY, UNKNOWN.
    #[serde(default = "unknown")]
    pub(crate) health: String,
    pub(crate) containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) family: String,
    #[serde(default = "yes")]
    pub(crate) execute_command: bool,
    /// What health checks say: HEALTHY, UNHEALTHY, UNKNOWN.
    #[serde(default = "unknown")]
    pub(crate) health: String,
    pub(crate) containers: Vec<Container>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(from = "ContainerOrName")]
pub(crate) struct Container {
    pub(crate) name: String,
    /// Status of the ExecuteCommandAgent: RUNNING, PENDING, STOPPED.
    pub(crate) exec_agent: String,
    /// Why the agent does not run.
    pub(crate) reason: Option<String>,
}

/// A container is usually just a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum ContainerOrName {
    Name(String),
    Container {
        name: String,
        #[serde(default = "running")]
        exec_agent: String,
        reason: Option<String>,
    },
}

impl From<ContainerOrName> for Container {
    fn from(given: ContainerOrName) -> Self {
        match given {
            ContainerOrName::Name(name) => Self { name, exec_agent: running(), reason: None },
            ContainerOrName::Container { name, exec_agent, reason } => Self { name, exec_agent, reason },
        }
    }
}

impl Fixture {
    /// The fixture used when none is given.
    pub(crate) const DEFAULT: &str = include_str!("default.yml");

    /// Reads a fixture; without a path, the embedded one.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, String> {
        let (name, text) = match path {
            None => ("the embedded fixture".to_owned(), Self::DEFAULT.to_owned()),
            Some(path) => {
                let name = path.display().to_string();
                let text =
                    std::fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
                (name, text)
            }
        };
        serde_yaml::from_str(&text).map_err(|error| format!("{name}: {error}"))
    }
}

fn region() -> String {
    "us-east-1".to_owned()
}

fn account() -> String {
    "123456789012".to_owned()
}

fn running() -> String {
    "RUNNING".to_owned()
}

fn unknown() -> String {
    "UNKNOWN".to_owned()
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_fixture_reads() {
        let fixture = Fixture::read(None).unwrap();
        let names: Vec<_> = fixture.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        assert_eq!(names, ["demo", "secret", "empty"]);
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.yml");
        std::fs::write(&path, "clusters:\n  - name: a\n    sevices: []\n").unwrap();
        let error = Fixture::read(Some(&path)).unwrap_err();
        assert!(error.contains("sevices") && error.contains("line 3"), "{error}");
    }
}
