//! Choosing, against a cloud made by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::pick::Nobody;
use super::*;
use crate::ui::Explain as _;

/// A cluster `prod` in eu-west-1 that holds these tasks.
#[derive(Default)]
struct Fake {
    tasks: Vec<Task>,
    services: BTreeMap<&'static str, Service>,
}

fn not_found(code: &str) -> CloudError {
    let mut error = CloudError::new("ecs:ListTasks", CloudErrorKind::NotFound, "not found");
    error.code = Some(code.into());
    error
}

fn unused<T>() -> Result<T, CloudError> {
    Err(CloudError::new("unused", CloudErrorKind::Other, "not part of choosing"))
}

impl Cloud for Fake {
    fn region(&self) -> &str {
        "eu-west-1"
    }
    fn endpoint_overridden(&self) -> bool {
        false
    }
    async fn list_clusters(&self) -> Result<Vec<String>, CloudError> {
        Ok(vec!["arn:aws:ecs:eu-west-1:1:cluster/prod".into()])
    }
    async fn list_services(&self, _: &str) -> Result<Vec<String>, CloudError> {
        Ok(self.services.keys().map(|s| format!("arn:aws:ecs:eu-west-1:1:service/prod/{s}")).collect())
    }
    async fn describe_service(&self, _: &str, service: &str) -> Result<Option<Service>, CloudError> {
        Ok(self.services.get(service).cloned())
    }
    async fn list_tasks(
        &self,
        cluster: &str,
        service: Option<&str>,
        family: Option<&str>,
    ) -> Result<Vec<String>, CloudError> {
        if cluster != "prod" {
            return Err(not_found("ClusterNotFoundException"));
        }
        if let Some(service) = service
            && !self.services.contains_key(service)
        {
            return Err(not_found("ServiceNotFoundException"));
        }
        let matches = |t: &&Task| {
            service.is_none_or(|s| t.service() == Some(s))
                && family.is_none_or(|f| t.definition.starts_with(&format!("{f}:")))
                && t.desired_status == "RUNNING"
        };
        Ok(self.tasks.iter().filter(matches).map(|t| t.arn.clone()).collect())
    }
    async fn describe_tasks(&self, _: &str, tasks: &[String]) -> Result<Vec<Task>, CloudError> {
        let asked = |t: &&Task| tasks.iter().any(|asked| *asked == t.arn || *asked == t.id());
        Ok(self.tasks.iter().filter(asked).cloned().collect())
    }
    async fn start_session(
        &self,
        _: &str,
        _: &str,
        _: BTreeMap<String, Vec<String>>,
    ) -> Result<Ticket, CloudError> {
        unused()
    }
    async fn execute_command(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Ticket, CloudError> {
        unused()
    }
    async fn resume_session(&self, _: &str) -> Result<Option<Ticket>, CloudError> {
        unused()
    }
    async fn terminate_session(&self, _: &str) -> Result<(), CloudError> {
        unused()
    }
    async fn sign_upgrade(&self, _: &str) -> Result<Vec<(String, String)>, CloudError> {
        unused()
    }
    async fn generate_data_key(&self, _: &str, _: BTreeMap<String, String>) -> Result<DataKey, CloudError> {
        unused()
    }
}

/// Picks the last of whatever is asked.
struct Last;

impl Ask for Last {
    async fn task(&self, tasks: &[Task]) -> Result<Option<usize>, Refusal> {
        Ok(Some(tasks.len() - 1))
    }
    async fn container(&self, _: &Task, containers: &[&str]) -> Result<Option<usize>, Refusal> {
        Ok(Some(containers.len() - 1))
    }
}

/// The fake never waits.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the fake cloud never waits"),
    }
}

fn running_container(name: &str) -> Container {
    Container {
        name: name.into(),
        runtime_id: Some(format!("rt-{name}")),
        last_status: "RUNNING".into(),
        exec_agent: Some(("RUNNING".into(), None)),
    }
}

/// A healthy task of service or family `group`; later `age`s are newer.
fn task(id: char, group: &str, definition: &str, age: i64, containers: &[&str]) -> Task {
    let id = id.to_string().repeat(32);
    Task {
        arn: format!("arn:aws:ecs:eu-west-1:1:task/prod/{id}"),
        cluster_arn: "arn:aws:ecs:eu-west-1:1:cluster/prod".into(),
        group: group.into(),
        definition: definition.into(),
        last_status: "RUNNING".into(),
        desired_status: "RUNNING".into(),
        started_at: Some(age),
        execute_command: true,
        containers: containers.iter().map(|name| running_container(name)).collect(),
        ..Task::default()
    }
}

fn shop() -> Fake {
    let on = Service { execute_command: true, desired: 2, ..Service::default() };
    Fake {
        tasks: vec![
            task('a', "service:web", "web:7", 100, &["web", "envoy"]),
            task('b', "service:web", "web:7", 200, &["web", "envoy"]),
            task('c', "service:worker", "worker:1", 300, &["main"]),
            task('d', "family:web", "web:7", 50, &["web"]),
            task('e', "service:other", "web:7", 400, &["web"]),
        ],
        services: BTreeMap::from([("web", on.clone()), ("worker", on.clone()), ("other", on)]),
    }
}

fn of_service(service: &str) -> Selection {
    Selection { cluster: Some("prod".into()), service: Some(service.into()), ..Selection::default() }
}

fn refused(cloud: &Fake, selection: &Selection) -> (String, Vec<String>) {
    let refusal = now(choose(cloud, selection, &Nobody)).expect_err("refused");
    (refusal.to_string(), refusal.hints())
}

#[test]
fn one_task_is_taken_without_asking() {
    let chosen = now(choose(&shop(), &of_service("worker"), &Nobody)).unwrap();
    assert_eq!(chosen.target.ssm_target(), format!("ecs:prod_{}_rt-main", "c".repeat(32)));
    assert_eq!(chosen.remarks, Vec::<String>::new());
}

#[test]
fn of_several_the_person_picks_and_without_one_the_newest_is_taken_and_said() {
    let picked = now(choose(&shop(), &of_service("web"), &Last)).unwrap();
    assert_eq!(picked.target.task_id, "a".repeat(32));
    let newest = now(choose(&shop(), &of_service("web"), &Nobody)).unwrap();
    assert_eq!(newest.target.task_id, "b".repeat(32));
    assert!(newest.remarks[0].contains("the newest of 2 of service web"), "{:?}", newest.remarks);
}

#[test]
fn a_task_whose_agent_does_not_run_is_passed_over() {
    let mut cloud = shop();
    cloud.tasks[1].containers.iter_mut().for_each(|c| c.exec_agent = Some(("PENDING".into(), None)));
    let chosen = now(choose(&cloud, &of_service("web"), &Nobody)).unwrap();
    assert_eq!(chosen.target.task_id, "a".repeat(32));
}

#[test]
fn a_task_whose_health_checks_fail_is_passed_over_while_there_are_others() {
    let mut cloud = shop();
    cloud.tasks[1].health_status = "UNHEALTHY".into();
    let chosen = now(choose(&cloud, &of_service("web"), &Nobody)).unwrap();
    assert_eq!(chosen.target.task_id, "a".repeat(32));
    assert!(chosen.remarks[0].contains("1 of them UNHEALTHY"), "{:?}", chosen.remarks);
    cloud.tasks[0].health_status = "UNHEALTHY".into();
    let chosen = now(choose(&cloud, &of_service("web"), &Nobody)).unwrap();
    assert_eq!(chosen.target.task_id, "b".repeat(32));
    assert!(chosen.remarks[0].contains("all of them UNHEALTHY"), "{:?}", chosen.remarks);
    cloud.tasks.remove(0);
    let chosen = now(choose(&cloud, &of_service("web"), &Nobody)).unwrap();
    assert!(chosen.remarks[0].contains("is UNHEALTHY: the only one"), "{:?}", chosen.remarks);
}

#[test]
fn family_and_service_together_leave_out_other_services_and_keep_stand_alone_tasks() {
    struct Count(std::sync::Mutex<Vec<String>>);
    impl Ask for Count {
        async fn task(&self, tasks: &[Task]) -> Result<Option<usize>, Refusal> {
            *self.0.lock().unwrap() = tasks.iter().map(|t| t.id()[..1].to_owned()).collect();
            Ok(Some(0))
        }
        async fn container(&self, _: &Task, _: &[&str]) -> Result<Option<usize>, Refusal> {
            Ok(Some(0))
        }
    }
    let seen = Count(Vec::new().into());
    let selection = Selection { family: Some("web".into()), ..of_service("web") };
    now(choose(&shop(), &selection, &seen)).unwrap();
    assert_eq!(*seen.0.lock().unwrap(), ["b", "a", "d"]);
}

#[test]
fn a_task_may_be_named_by_id_arn_or_beginning() {
    let id = "c".repeat(32);
    for named in [id.clone(), format!("arn:aws:ecs:eu-west-1:1:task/prod/{id}"), "ccc".into()] {
        let selection = Selection { task: Some(named.clone()), ..of_service("web") };
        let chosen = now(choose(&shop(), &selection, &Nobody)).unwrap();
        assert_eq!(chosen.target.task_id, id, "{named}");
        assert_eq!(chosen.target.service.as_deref(), Some("worker"));
    }
    // The ARN names the cluster as well.
    let selection =
        Selection { task: Some(format!("arn:aws:ecs:eu-west-1:1:task/prod/{id}")), ..Selection::default() };
    assert_eq!(now(choose(&shop(), &selection, &Nobody)).unwrap().target.cluster, "prod");
}

#[test]
fn a_beginning_that_fits_several_tasks_is_refused_with_their_ids() {
    let mut cloud = shop();
    cloud.tasks[0].arn = format!("arn:aws:ecs:eu-west-1:1:task/prod/b1{}", "0".repeat(30));
    let (error, _) = refused(&cloud, &Selection { task: Some("b".into()), ..of_service("web") });
    assert!(error.contains("b1000") && error.contains("bbbb"), "{error}");
}

#[test]
fn wrong_names_are_answered_with_the_right_ones() {
    let cloud = shop();
    let (error, hints) = refused(&cloud, &Selection { cluster: Some("prd".into()), ..of_service("web") });
    assert_eq!(error, "no cluster prd in eu-west-1; clusters there: prod");
    assert_eq!(hints, ["did you mean prod?"]);
    let (error, hints) = refused(&cloud, &of_service("wrker"));
    assert_eq!(error, "no service wrker in cluster prod; services there: other, web, worker");
    assert_eq!(hints, ["did you mean worker?"]);
    let (error, _) = refused(&cloud, &Selection { task: Some("f00".into()), ..of_service("web") });
    assert!(
        error.starts_with("no task f00 in cluster prod; running tasks of service web there: aaaa"),
        "{error}"
    );
    let (error, _) = refused(&cloud, &Selection { container: Some("nope".into()), ..of_service("worker") });
    assert!(error.ends_with("; containers there: main"), "{error}");
    let (error, _) = refused(&cloud, &Selection::default());
    assert!(error.contains("no project here"), "{error}");
}

#[test]
fn a_service_without_tasks_says_why() {
    let mut cloud = shop();
    cloud.tasks.clear();
    cloud.services.get_mut("web").unwrap().last_event =
        Some("(service web) was unable to place a task.".into());
    let (error, _) = refused(&cloud, &of_service("web"));
    assert_eq!(
        error,
        "no running task of service web in cluster prod: (service web) was unable to place a task"
    );
    cloud.services.get_mut("web").unwrap().desired = 0;
    let (error, _) = refused(&cloud, &of_service("web"));
    assert!(error.ends_with("its desired count is 0"), "{error}");
}

#[test]
fn a_service_whose_tasks_only_start_may_be_tried_again() {
    let mut cloud = shop();
    cloud.tasks[2].last_status = "PROVISIONING".into();
    let refusal = now(choose(&cloud, &of_service("worker"), &Nobody)).expect_err("refused");
    assert!(refusal.to_string().ends_with(&format!("task {} is PROVISIONING", "c".repeat(32))), "{refusal}");
    assert!(refusal.may_pass());
}

#[test]
fn execute_command_off_in_the_service_differs_from_a_task_older_than_the_setting() {
    let mut cloud = shop();
    cloud.tasks[2].execute_command = false;
    cloud.tasks[2].containers[0].exec_agent = None;
    let (error, hints) = refused(&cloud, &of_service("worker"));
    assert!(error.starts_with("execute-command is off in task cccc"), "{error}");
    assert!(hints[0].contains("older"), "{hints:?}");
    cloud.services.get_mut("worker").unwrap().execute_command = false;
    let (error, hints) = refused(&cloud, &of_service("worker"));
    assert!(error.starts_with("execute-command is off in service worker"), "{error}");
    assert!(hints[0].contains("--enable-execute-command"), "{hints:?}");
}

#[test]
fn an_agent_that_does_not_run_is_named_with_ecs_reason() {
    let mut cloud = shop();
    cloud.tasks[2].containers[0].exec_agent =
        Some(("STOPPED".into(), Some("Received Container Stopped event".into())));
    let (error, hints) = refused(&cloud, &of_service("worker"));
    assert!(
        error.contains("container main") && error.ends_with("Received Container Stopped event"),
        "{error}"
    );
    assert!(hints[0].contains("ssmmessages:CreateControlChannel"), "{hints:?}");
}

#[test]
fn a_named_task_that_stopped_is_refused_with_the_reason() {
    let mut cloud = shop();
    cloud.tasks[2].last_status = "STOPPED".into();
    cloud.tasks[2].desired_status = "STOPPED".into();
    cloud.tasks[2].stopped_reason = Some("Scaling activity initiated".into());
    let (error, _) = refused(&cloud, &Selection { task: Some("c".repeat(32)), ..of_service("worker") });
    assert!(error.ends_with("is STOPPED, not RUNNING: Scaling activity initiated"), "{error}");
}

#[test]
fn of_several_containers_the_only_usable_the_services_own_or_the_projects_is_taken() {
    let mut cloud = shop();
    let by_name = now(choose(&cloud, &of_service("web"), &Last)).unwrap();
    assert_eq!(by_name.target.container, "web");

    cloud.tasks[2].containers = vec![running_container("main"), running_container("log")];
    assert_eq!(now(choose(&cloud, &of_service("worker"), &Last)).unwrap().target.container, "log");
    let (error, hints) = refused(&cloud, &of_service("worker"));
    assert!(error.ends_with("has several containers: main, log"), "{error}");
    assert!(hints.iter().any(|hint| hint.contains("ecsx.yml: \"container: main\"")), "{hints:?}");
    let usual = Selection { usual_container: Some("log".into()), ..of_service("worker") };
    assert_eq!(now(choose(&cloud, &usual, &Nobody)).unwrap().target.container, "log");
    let absent = Selection { usual_container: Some("nope".into()), ..of_service("worker") };
    assert!(refused(&cloud, &absent).0.ends_with("has several containers: main, log"));
    let project = Selection { likely_containers: vec!["main".into()], ..of_service("worker") };
    assert_eq!(now(choose(&cloud, &project, &Nobody)).unwrap().target.container, "main");

    cloud.tasks[2].containers[0].exec_agent = Some(("STOPPED".into(), None));
    assert_eq!(now(choose(&cloud, &of_service("worker"), &Nobody)).unwrap().target.container, "log");
}

#[test]
fn choosing_again_takes_another_task_of_the_service_and_the_same_container() {
    let mut cloud = shop();
    let selection = of_service("web");
    let first = now(choose(&cloud, &selection, &Nobody)).unwrap().target;
    let next = now(choose_next(&cloud, &selection, &first)).unwrap();
    assert_eq!((next.task_id.as_str(), next.container.as_str()), ("a".repeat(32).as_str(), "web"));
    cloud.tasks.remove(0);
    assert_eq!(now(choose_next(&cloud, &selection, &first)).unwrap(), first, "nothing else runs");
    cloud.tasks.clear();
    assert!(now(choose_next(&cloud, &selection, &first)).unwrap_err().may_pass());
}

#[test]
fn choosing_again_keeps_to_a_task_that_was_named() {
    let mut cloud = shop();
    let selection = Selection { task: Some("aaa".into()), ..of_service("web") };
    let first = now(choose(&cloud, &selection, &Nobody)).unwrap().target;
    assert_eq!(now(choose_next(&cloud, &selection, &first)).unwrap(), first);
    cloud.tasks[0].last_status = "STOPPED".into();
    assert!(!now(choose_next(&cloud, &selection, &first)).unwrap_err().may_pass());
}
