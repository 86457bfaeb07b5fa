//! Where a project's values are from.

use std::fmt;
use std::path::PathBuf;

/// Where one value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The caller gave it: see [`Options`](super::Options).
    Asked,
    /// A file says so.
    File(PathBuf),
    /// This variable of the environment, or of an envfile, says so.
    Variable(&'static str),
    /// Nobody says so: it is what ecspresso takes then.
    Default,
}

/// Where the values of a project are from; `None` where there is no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// Of `region`.
    pub region: Option<Origin>,
    /// Of `cluster`.
    pub cluster: Option<Origin>,
    /// Of `service`.
    pub service: Option<Origin>,
    /// Of `family`.
    pub family: Option<Origin>,
    /// Of `container`.
    pub container: Option<Origin>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("ecspresso's default"),
        }
    }
}
