//! What the directory says: ecspresso, ecsta and ecsx files, read into one [`Project`].

use std::path::PathBuf;

/// What a project's files say of region, cluster, service and task definition.
///
/// `None` where the project does not say. Paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// The configuration file that was taken.
    pub config: Option<PathBuf>,
    /// AWS region.
    pub region: Option<String>,
    /// Cluster name or ARN.
    pub cluster: Option<String>,
    /// Service name.
    pub service: Option<String>,
    /// The service definition's file.
    pub service_definition: Option<PathBuf>,
    /// The task definition's file.
    pub task_definition: Option<PathBuf>,
    /// Task definition family, as the task definition's file says.
    pub family: Option<String>,
    /// Names of the containers, as the task definition's file says.
    pub containers: Vec<String>,
}
