//! The pretend account as it is now: clusters, services, tasks and names.
//!
//! It starts as the fixture says and changes as tasks are killed and services deployed.

mod fixture;

use std::collections::BTreeMap;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

pub(crate) use fixture::Fixture;

/// The account.
pub(crate) struct World {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) clusters: Vec<Cluster>,
    /// `host` or `host:port` → `address` or `address:port`.
    pub(crate) names: BTreeMap<String, String>,
}

pub(crate) struct Cluster {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) kms_key: Option<String>,
    pub(crate) services: Vec<Service>,
    pub(crate) tasks: Vec<Task>,
}

pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) desired: usize,
    pub(crate) execute_command: bool,
    health: String,
    containers: Vec<fixture::Container>,
}

#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) arn: String,
    pub(crate) id: String,
    /// `service:NAME` or `family:NAME`.
    pub(crate) group: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) definition_arn: String,
    pub(crate) execute_command: bool,
    /// What its health checks say.
    pub(crate) health: String,
    pub(crate) started: SystemTime,
    pub(crate) stopped: Option<(SystemTime, String)>,
    /// A newer deployment has replaced it: ECS wants it gone.
    pub(crate) draining: bool,
    pub(crate) containers: Vec<Container>,
}

#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) runtime_id: String,
    pub(crate) exec_agent: String,
    pub(crate) reason: Option<String>,
}

impl Task {
    pub(crate) fn last_status(&self) -> &'static str {
        if self.stopped.is_some() { "STOPPED" } else { "RUNNING" }
    }

    pub(crate) fn desired_status(&self) -> &'static str {
        if self.stopped.is_some() || self.draining { "STOPPED" } else { "RUNNING" }
    }

    /// The service that the task belongs to.
    pub(crate) fn service(&self) -> Option<&str> {
        self.group.strip_prefix("service:")
    }
}

impl World {
    pub(crate) fn new(fixture: Fixture) -> Self {
        let mut world = Self {
            region: fixture.region,
            account: fixture.account,
            clusters: Vec::new(),
            names: fixture.names,
        };
        for given in fixture.clusters {
            let mut cluster = Cluster {
                arn: world.arn(&format!("cluster/{}", given.name)),
                name: given.name,
                kms_key: given.kms_key,
                services: Vec::new(),
                tasks: Vec::new(),
            };
            for given in given.services {
                let service = Service {
                    arn: world.arn(&format!("service/{}/{}", cluster.name, given.name)),
                    family: given.family.unwrap_or_else(|| given.name.clone()),
                    name: given.name,
                    revision: 1,
                    desired: given.tasks,
                    execute_command: given.execute_command,
                    health: given.health,
                    containers: given.containers,
                };
                let tasks = world.tasks_of(&cluster.name, &service);
                cluster.tasks.extend(tasks);
                cluster.services.push(service);
            }
            for (at, given) in given.tasks.into_iter().enumerate() {
                let group = format!("family:{}", given.family);
                cluster.tasks.push(world.task(
                    &cluster.name,
                    (&group, &given.family, 1, at),
                    (given.execute_command, &given.health),
                    &given.containers,
                ));
            }
            world.clusters.push(cluster);
        }
        world
    }

    /// An ECS ARN in this account.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }

    /// The tasks that a service's current revision asks for.
    fn tasks_of(&self, cluster: &str, service: &Service) -> Vec<Task> {
        let group = format!("service:{}", service.name);
        (0..service.desired)
            .map(|at| {
                let place = (group.as_str(), service.family.as_str(), service.revision, at);
                self.task(cluster, place, (service.execute_command, &service.health), &service.containers)
            })
            .collect()
    }

    /// A task whose id follows from its place, so that the same fixture gives the same ids.
    fn task(
        &self,
        cluster: &str,
        (group, family, revision, at): (&str, &str, u32, usize),
        (execute_command, health): (bool, &str),
        containers: &[fixture::Container],
    ) -> Task {
        let id = hex(&format!("{cluster} {group} {revision} {at}"), 32);
        let containers = containers.iter().enumerate().map(|(number, given)| Container {
            arn: self.arn(&format!("container/{cluster}/{id}/{}", hex(&format!("{id} {number}"), 32))),
            name: given.name.clone(),
            runtime_id: format!("{id}-{}", u32::from_be_bytes([0xdb, 0, 0, number as u8])),
            exec_agent: given.exec_agent.clone(),
            reason: given.reason.clone(),
        });
        Task {
            arn: self.arn(&format!("task/{cluster}/{id}")),
            group: group.to_owned(),
            family: family.to_owned(),
            revision,
            definition_arn: self.arn(&format!("task-definition/{family}:{revision}")),
            execute_command,
            health: health.to_owned(),
            started: SystemTime::now(),
            stopped: None,
            draining: false,
            containers: containers.collect(),
            id,
        }
    }

    /// A running task by id, whatever its cluster.
    pub(crate) fn task_mut(&mut self, id: &str) -> Option<&mut Task> {
        self.clusters.iter_mut().flat_map(|cluster| &mut cluster.tasks).find(|task| task.id == id)
    }

    /// Starts a new deployment of a service. Answers the ids of the tasks it will replace.
    pub(crate) fn deploy(&mut self, cluster: &str, service: &str) -> Option<Vec<String>> {
        let at = self.clusters.iter().position(|found| found.name == cluster)?;
        let found = self.clusters[at].services.iter_mut().position(|found| found.name == service)?;
        self.clusters[at].services[found].revision += 1;
        let new = self.tasks_of(cluster, &self.clusters[at].services[found]);
        let old = self.clusters[at].tasks.iter_mut();
        let old = old.filter(|task| task.service() == Some(service) && task.stopped.is_none());
        let old = old.map(|task| {
            task.draining = true;
            task.id.clone()
        });
        let old = old.collect();
        self.clusters[at].tasks.extend(new);
        Some(old)
    }

    /// Stops a task, as ECS would say it. `false` if there is none.
    pub(crate) fn stop(&mut self, task: &str, reason: &str) -> bool {
        if !self.stop_agents(task) {
            return false;
        }
        if let Some(task) = self.task_mut(task) {
            task.stopped.get_or_insert_with(|| (SystemTime::now(), reason.to_owned()));
        }
        true
    }

    /// Stops a task's ECS Exec agents; the task runs on. `false` if there is none.
    pub(crate) fn stop_agents(&mut self, task: &str) -> bool {
        let Some(task) = self.task_mut(task) else { return false };
        for container in &mut task.containers {
            "STOPPED".clone_into(&mut container.exec_agent);
        }
        true
    }

    /// What a destination means in the pretend VPC: another host and port, or the same.
    pub(crate) fn lookup(&self, host: &str, port: u16) -> (String, u16) {
        let found = self.names.get(&format!("{host}:{port}")).or_else(|| self.names.get(host));
        let Some(found) = found else { return (host.to_owned(), port) };
        match found.parse::<std::net::SocketAddr>() {
            Ok(address) => (address.ip().to_string(), address.port()),
            Err(_) => (found.clone(), port),
        }
    }
}

impl Cluster {
    /// A service by name or ARN.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name || service.arn == name)
    }

    /// A task by id or ARN.
    pub(crate) fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == name || task.arn == name)
    }
}

impl Service {
    pub(crate) fn container_names(&self) -> impl Iterator<Item = &str> {
        self.containers.iter().map(|container| container.name.as_str())
    }
}

/// The first `digits` hex digits of a text's hash.
fn hex(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        World::new(Fixture::read(None).unwrap())
    }

    #[test]
    fn ids_are_the_same_in_every_run() {
        let (a, b) = (world(), world());
        assert_eq!(a.clusters[0].tasks[0].arn, b.clusters[0].tasks[0].arn);
        assert_ne!(a.clusters[0].tasks[0].id, a.clusters[0].tasks[1].id);
    }

    #[test]
    fn a_deployment_drains_the_old_tasks_and_starts_new_ones() {
        let mut world = world();
        let old = world.deploy("demo", "web").unwrap();
        assert_eq!(old.len(), 2);
        let cluster = &world.clusters[0];
        let running = cluster.tasks.iter().filter(|task| task.service() == Some("web"));
        let running: Vec<_> = running.filter(|task| task.desired_status() == "RUNNING").collect();
        assert_eq!(running.len(), 2);
        assert!(running.iter().all(|task| task.revision == 2));
    }

    #[test]
    fn names_lead_to_an_address_with_or_without_a_port() {
        let mut world = world();
        world.names.insert("cache.internal:6379".into(), "127.0.0.1:16379".into());
        assert_eq!(world.lookup("db.internal", 5432), ("127.0.0.1".into(), 5432));
        assert_eq!(world.lookup("cache.internal", 6379), ("127.0.0.1".into(), 16379));
        assert_eq!(world.lookup("127.0.0.1", 80), ("127.0.0.1".into(), 80));
    }
}
