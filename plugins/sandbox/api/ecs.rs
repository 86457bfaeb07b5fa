//! ECS: clusters, services, tasks, task definitions, ExecuteCommand.

use serde_json::{Value, json};

use super::{ApiError, Caller, date, page, text, texts, unknown};
use crate::sandbox::Sandbox;
use crate::session::{Document, Ticket};
use crate::world::{Cluster, Container, Service, Task, World};

pub(super) fn call(
    sandbox: &Sandbox,
    caller: &Caller,
    operation: &str,
    body: &Value,
) -> Result<Value, ApiError> {
    let world = sandbox.world();
    let clusters: &[Cluster] = if caller.region == world.region { &world.clusters } else { &[] };
    let find = |name: Option<&str>| {
        let name = name.unwrap_or("default");
        let found = clusters.iter().find(|cluster| cluster.name == name || cluster.arn == name);
        found.ok_or_else(|| ApiError::new("ClusterNotFoundException", "Cluster not found."))
    };
    match operation {
        "ListClusters" => {
            let arns = clusters.iter().map(|cluster| cluster.arn.clone()).collect();
            let (arns, next) = page(sandbox, body, 100, arns)?;
            Ok(json!({"clusterArns": arns, "nextToken": next}))
        }
        "DescribeClusters" => {
            let asked = texts(body, "clusters");
            let asked = if asked.is_empty() { vec!["default"] } else { asked };
            let configured = texts(body, "include").contains(&"CONFIGURATIONS");
            let (found, failures) = partition(&asked, &world, "cluster", |name| {
                find(Some(name)).ok().map(|cluster| describe_cluster(cluster, configured))
            });
            Ok(json!({"clusters": found, "failures": failures}))
        }
        "ListServices" => {
            let cluster = find(text(body, "cluster"))?;
            let arns = cluster.services.iter().map(|service| service.arn.clone()).collect();
            let (arns, next) = page(sandbox, body, 10, arns)?;
            Ok(json!({"serviceArns": arns, "nextToken": next}))
        }
        "DescribeServices" => {
            let cluster = find(text(body, "cluster"))?;
            let asked = texts(body, "services");
            if asked.is_empty() || asked.len() > 10 {
                return Err(ApiError::invalid("Services must have from 1 to 10 elements."));
            }
            let (found, failures) = partition(&asked, &world, &format!("service/{}", cluster.name), |name| {
                cluster.service(name).map(|service| describe_service(&world, cluster, service))
            });
            Ok(json!({"services": found, "failures": failures}))
        }
        "ListTasks" => list_tasks(sandbox, find(text(body, "cluster"))?, body),
        "DescribeTasks" => {
            let cluster = find(text(body, "cluster"))?;
            let asked = texts(body, "tasks");
            if asked.is_empty() || asked.len() > 100 {
                return Err(ApiError::invalid("Tasks must have from 1 to 100 elements."));
            }
            let (found, failures) = partition(&asked, &world, &format!("task/{}", cluster.name), |name| {
                cluster.task(name).map(|task| describe_task(cluster, task))
            });
            Ok(json!({"tasks": found, "failures": failures}))
        }
        "DescribeTaskDefinition" => {
            let name = text(body, "taskDefinition").unwrap_or_default();
            let found = describe_definition(&world, clusters, name);
            let missing = || ApiError::new("ClientException", "Unable to describe task definition.");
            Ok(json!({"taskDefinition": found.ok_or_else(missing)?, "tags": []}))
        }
        "ExecuteCommand" => {
            let cluster = find(text(body, "cluster"))?;
            let (task, container) = executable(cluster, body)?;
            let command =
                text(body, "command").ok_or_else(|| ApiError::invalid("Command cannot be empty."))?;
            if body["interactive"] != true {
                return Err(ApiError::invalid("Interactive is the only mode supported currently."));
            }
            let document =
                Document::Command { command: command.to_owned(), kms_key: cluster.kms_key.clone() };
            let ticket = sandbox.start_session("ecs-execute-command", cluster, task, container, document);
            Ok(execute_answer(cluster, task, container, &ticket))
        }
        _ => Err(unknown(operation)),
    }
}

/// What was found, and AWS' failure entries for what was not.
fn partition(
    asked: &[&str],
    world: &World,
    kind: &str,
    describe: impl Fn(&str) -> Option<Value>,
) -> (Vec<Value>, Vec<Value>) {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        match describe(name) {
            Some(value) => found.push(value),
            None => {
                let arn = match name.starts_with("arn:") {
                    true => (*name).to_owned(),
                    false => world.arn(&format!("{kind}/{name}")),
                };
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    (found, failures)
}

fn list_tasks(sandbox: &Sandbox, cluster: &Cluster, body: &Value) -> Result<Value, ApiError> {
    let (service, family) = (text(body, "serviceName"), text(body, "family"));
    if service.is_some() && family.is_some() {
        return Err(ApiError::invalid("Only one of serviceName and family may be specified."));
    }
    let service = match service {
        None => None,
        Some(name) => {
            let missing = || ApiError::new("ServiceNotFoundException", "Service not found.");
            Some(cluster.service(name).ok_or_else(missing)?)
        }
    };
    let status = text(body, "desiredStatus").unwrap_or("RUNNING");
    let tasks = cluster.tasks.iter().filter(|task| {
        task.desired_status() == status
            && service.is_none_or(|service| task.service() == Some(&service.name))
            && family.is_none_or(|family| task.family == family)
    });
    let (arns, next) = page(sandbox, body, 100, tasks.map(|task| task.arn.clone()).collect())?;
    Ok(json!({"taskArns": arns, "nextToken": next}))
}

fn describe_cluster(cluster: &Cluster, configured: bool) -> Value {
    let running = cluster.tasks.iter().filter(|task| task.stopped.is_none()).count();
    let mut described = json!({
        "clusterArn": cluster.arn, "clusterName": cluster.name, "status": "ACTIVE",
        "registeredContainerInstancesCount": 0, "runningTasksCount": running, "pendingTasksCount": 0,
        "activeServicesCount": cluster.services.len(), "statistics": [], "tags": [], "settings": [],
        "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": [],
    });
    if let (true, Some(key)) = (configured, &cluster.kms_key) {
        described["configuration"] =
            json!({"executeCommandConfiguration": {"kmsKeyId": key, "logging": "DEFAULT"}});
    }
    described
}

fn describe_service(world: &World, cluster: &Cluster, service: &Service) -> Value {
    let running = cluster.tasks.iter();
    let running =
        running.filter(|task| task.service() == Some(&service.name) && task.stopped.is_none()).count();
    json!({
        "serviceArn": service.arn, "serviceName": service.name, "clusterArn": cluster.arn, "status": "ACTIVE",
        "desiredCount": service.desired, "runningCount": running, "pendingCount": 0, "launchType": "FARGATE",
        "platformVersion": "LATEST", "platformFamily": "Linux",
        "taskDefinition": world.arn(&format!("task-definition/{}:{}", service.family, service.revision)),
        "enableExecuteCommand": service.execute_command, "schedulingStrategy": "REPLICA",
        "deployments": [], "events": [], "loadBalancers": [], "serviceRegistries": [], "tags": [],
    })
}

fn describe_task(cluster: &Cluster, task: &Task) -> Value {
    let containers: Vec<_> = task.containers.iter().map(|it| describe_container(task, it)).collect();
    let mut described = json!({
        "taskArn": task.arn, "clusterArn": cluster.arn, "taskDefinitionArn": task.definition_arn,
        "group": task.group, "lastStatus": task.last_status(), "desiredStatus": task.desired_status(),
        "enableExecuteCommand": task.execute_command, "containers": containers,
        "createdAt": date(task.started), "startedAt": date(task.started), "connectivity": "CONNECTED",
        "launchType": "FARGATE", "platformVersion": "1.4.0", "platformFamily": "Linux", "cpu": "256", "memory": "512",
        "availabilityZone": "us-east-1a", "healthStatus": task.health, "version": 3,
        "attachments": [], "attributes": [], "inferenceAccelerators": [], "tags": [],
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
    });
    if let Some(service) = task.service() {
        described["startedBy"] = json!(format!("ecs-svc/{service}"));
    }
    if let Some((at, reason)) = &task.stopped {
        described["stoppedAt"] = json!(date(*at));
        described["stoppedReason"] = json!(reason);
        described["stopCode"] = json!("ServiceSchedulerInitiated");
    }
    described
}

fn describe_container(task: &Task, container: &Container) -> Value {
    let mut described = json!({
        "containerArn": container.arn, "taskArn": task.arn, "name": container.name,
        "image": format!("{}:latest", container.name), "runtimeId": container.runtime_id,
        "lastStatus": task.last_status(), "healthStatus": task.health, "networkBindings": [],
        "networkInterfaces": [{"attachmentId": "00000000-0000-4000-8000-000000000000", "privateIpv4Address": "127.0.0.1"}],
        "cpu": "0",
    });
    if task.execute_command {
        let mut agent = json!({"name": "ExecuteCommandAgent", "lastStatus": container.exec_agent});
        if let Some(reason) = &container.reason {
            agent["reason"] = json!(reason);
        }
        described["managedAgents"] = json!([agent]);
    }
    described
}

/// A task definition by `family`, `family:revision` or ARN, from the services and tasks that use it.
fn describe_definition(world: &World, clusters: &[Cluster], name: &str) -> Option<Value> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let (family, asked) = match name.split_once(':') {
        Some((family, revision)) => (family, Some(revision.parse::<u32>().ok()?)),
        None => (name, None),
    };
    let services = clusters.iter().flat_map(|cluster| &cluster.services);
    let services = services.filter(|service| service.family == family);
    let services = services.map(|service| (service.revision, service.container_names().collect::<Vec<_>>()));
    let tasks = clusters.iter().flat_map(|cluster| &cluster.tasks).filter(|task| task.family == family);
    let names = |task: &'_ Task| task.containers.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    let tasks: Vec<_> = tasks.map(|task| (task.revision, names(task))).collect();
    let tasks = tasks.iter().map(|(revision, names)| (*revision, names.iter().map(String::as_str).collect()));
    let mut known: Vec<(u32, Vec<&str>)> = services.chain(tasks).collect();
    known.sort_by_key(|(revision, _)| *revision);
    let (latest, names) = known.last()?;
    let revision = asked.unwrap_or(*latest);
    if revision == 0 || revision > *latest {
        return None;
    }
    let containers: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "name": name, "image": format!("{name}:latest"), "essential": true, "cpu": 0,
                "portMappings": [], "environment": [], "mountPoints": [], "volumesFrom": [],
            })
        })
        .collect();
    Some(json!({
        "taskDefinitionArn": world.arn(&format!("task-definition/{family}:{revision}")), "family": family,
        "revision": revision, "status": "ACTIVE", "networkMode": "awsvpc", "containerDefinitions": containers,
        "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512", "volumes": [], "placementConstraints": [],
    }))
}

/// The container that ExecuteCommand is for, or AWS' reason why there is none.
fn executable<'a>(cluster: &'a Cluster, body: &Value) -> Result<(&'a Task, &'a Container), ApiError> {
    let task = text(body, "task").and_then(|name| cluster.task(name));
    let task = task.ok_or_else(|| ApiError::invalid("The referenced task was not found."))?;
    if task.stopped.is_some() {
        return Err(ApiError::invalid("The referenced task is not running."));
    }
    let container = match (text(body, "container"), task.containers.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => {
            return Err(ApiError::invalid("Container name is required for a task with several containers."));
        }
        (Some(name), containers) => containers.iter().find(|container| container.name == name),
    };
    let container = container.ok_or_else(|| ApiError::invalid("The referenced container was not found."))?;
    if !task.execute_command || container.exec_agent == "PENDING" {
        return Err(ApiError::invalid(
            "The execute command failed because execute command was not enabled when the task was run or the execute \
             command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again.",
        ));
    }
    if container.exec_agent != "RUNNING" {
        return Err(ApiError::new(
            "TargetNotConnectedException",
            "The execute command failed due to an internal error. Try again later.",
        ));
    }
    Ok((task, container))
}

fn execute_answer(cluster: &Cluster, task: &Task, container: &Container, ticket: &Ticket) -> Value {
    json!({
        "clusterArn": cluster.arn, "taskArn": task.arn, "containerArn": container.arn,
        "containerName": container.name, "interactive": true,
        "session": {"sessionId": ticket.session_id, "streamUrl": ticket.stream_url, "tokenValue": ticket.token},
    })
}
