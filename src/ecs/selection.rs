//! What was asked for, before anything was looked up.

/// The task and container that the user and the project asked for; `None` where neither said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Cluster, name or ARN. ECS has a cluster `default` for those who name none.
    pub cluster: Option<String>,
    /// Service name or ARN.
    pub service: Option<String>,
    /// Task definition family.
    pub family: Option<String>,
    /// Task: full id, ARN, or the beginning of an id.
    pub task: Option<String>,
    /// Container name.
    pub container: Option<String>,
    /// The container that the project goes to, if the task chosen has it: it beats asking.
    pub usual_container: Option<String>,
    /// Containers that the project's task definition names, best guess first: they break a tie.
    pub likely_containers: Vec<String>,
}

impl Selection {
    /// Nobody said anything of where to look.
    pub fn names_nothing(&self) -> bool {
        [&self.cluster, &self.service, &self.family, &self.task].iter().all(|said| said.is_none())
    }
}
