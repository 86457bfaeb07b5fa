//! What black-box tests share: a sandbox as a process, its admin interface, and commands that
//! have it as their AWS.
//!
//! ```no_run
//! let sandbox = Sandbox::start();                                  // the embedded world
//! sandbox.faults(json!({"api": {"ListTasks": {"code": "ThrottlingException", "count": 2}}}));
//! let output = sandbox.command("ecsx-target").args(["--service", "web"]).output().unwrap();
//! assert_eq!(sandbox.state()["calls"]["ListTasks"], 3);
//! sandbox.admin("POST", "sessions/last/cut", json!({}));           // see plugins/sandbox/admin.rs
//! ```

// Every test file uses its own part of this.
#![allow(dead_code)]

#[cfg(unix)]
pub(crate) mod shell;
#[cfg(unix)]
pub(crate) mod suite;
#[cfg(unix)]
pub(crate) mod terminal;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running sandbox; dropped, it is gone.
pub(crate) struct Sandbox {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    /// The path of its admin interface, `/_sandbox/SECRET/`.
    pub(crate) admin: String,
    /// What to export for programs to find it.
    pub(crate) env: Vec<(String, String)>,
    _fixture: Option<tempfile::NamedTempFile>,
}

impl Sandbox {
    /// A sandbox with the embedded world (`plugins/sandbox/world/default.yml`).
    pub(crate) fn start() -> Self {
        Self::launch(None, &[])
    }

    /// A sandbox with a world of its own, as YAML.
    pub(crate) fn with_fixture(yaml: &str) -> Self {
        Self::with_containers(yaml, &[])
    }

    /// The same, with variables that the commands in its containers see (PATH).
    pub(crate) fn with_containers(yaml: &str, variables: &[(&str, &str)]) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(yaml.as_bytes()).unwrap();
        Self::launch(Some(file), variables)
    }

    fn launch(fixture: Option<tempfile::NamedTempFile>, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecsx-sandbox"));
        command.args(["serve", "-o", "json"]).stdout(Stdio::piped()).envs(variables.iter().copied());
        if let Some(fixture) = &fixture {
            command.arg("--fixture").arg(fixture.path());
        }
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value =
            serde_json::from_str(&line).expect("the sandbox prints a line of JSON when it listens");
        let env = ready["env"].as_object().unwrap().iter();
        let env = env.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let endpoint = ready["endpoint"].as_str().unwrap().to_owned();
        let admin = ready["admin"].as_str().unwrap().strip_prefix(&endpoint).unwrap().to_owned();
        Self { process, endpoint, admin, env, _fixture: fixture }
    }

    /// Asks it to end, as a supervisor would, and waits for that.
    #[cfg(unix)]
    pub(crate) fn end(&mut self) {
        let process = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }

    /// One of our executables (`ecsx-portforward`) with this sandbox as its AWS and nothing else of
    /// this process's AWS or ECSX environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("ECSX_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().cloned());
        // Nobody's own profiles, wherever the tests run.
        let nowhere = std::env::temp_dir().join("ecsx-no-such-file");
        command.env("AWS_CONFIG_FILE", &nowhere).env("AWS_SHARED_CREDENTIALS_FILE", &nowhere);
        command
    }

    /// One request to the admin interface (`plugins/sandbox/admin.rs`); panics unless it answers 200.
    pub(crate) fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.http(method, &format!("{}{path}", self.admin), &[], &body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Replaces all faults (`plugins/sandbox/faults.rs` has the fields); `{}` ends them.
    pub(crate) fn faults(&self, faults: Value) {
        self.admin("PUT", "faults", faults);
    }

    /// Counters, sessions, tasks.
    pub(crate) fn state(&self) -> Value {
        self.admin("GET", "state", Value::Null)
    }

    /// How often an API operation was called.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.state()["calls"][operation].as_u64().unwrap_or(0)
    }

    /// What a host and port mean inside the pretend VPC from now on.
    pub(crate) fn name(&self, name: &str, address: impl ToString) {
        self.admin("PATCH", "names", json!({ name: address.to_string() }));
    }

    /// Waits until the sandbox's state is as wanted; panics after 30 s.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let state = self.state();
            if wanted(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "waited in vain for {what}: {state:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// One call of the JSON APIs, signed well enough for the sandbox: status and body.
    pub(crate) fn api(&self, target: &str, body: Value) -> (u16, Value) {
        self.api_as(&format!("{}/20260101/us-east-1", self.key()), target, &body)
    }

    /// The only key id that the sandbox takes.
    pub(crate) fn key(&self) -> &str {
        &self.env.iter().find(|(name, _)| name == "AWS_ACCESS_KEY_ID").unwrap().1
    }

    /// The same with another `KEY/DATE/REGION`; empty for an unsigned call.
    pub(crate) fn api_as(&self, scope: &str, target: &str, body: &Value) -> (u16, Value) {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={scope}/x/aws4_request, SignedHeaders=host, Signature=0");
        let mut headers = vec![("X-Amz-Target", target), ("Content-Type", "application/x-amz-json-1.1")];
        if !scope.is_empty() {
            headers.push(("Authorization", &signed));
        }
        let (status, answer) = self.http("POST", "/", &headers, &body.to_string());
        (status, serde_json::from_str(&answer).unwrap())
    }

    /// One plain HTTP request: status and body.
    pub(crate) fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        self.http_as(self.address(), method, path, headers, body)
    }

    /// `127.0.0.1:PORT`.
    fn address(&self) -> &str {
        self.endpoint.strip_prefix("http://").unwrap()
    }

    /// The same to another `Host`.
    pub(crate) fn http_as(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let address = self.address();
        let mut stream = TcpStream::connect(address).unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command says, with nothing on its stdin. One that comes to no end is ended, and the test
/// fails.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    // Ours take a second or two, unoptimised and on a busy machine some more.
    const LONGEST: Duration = Duration::from_secs(60);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let [stdout, stderr] =
        [all_of(Box::new(child.stdout.take().unwrap())), all_of(Box::new(child.stderr.take().unwrap()))]
            .map(|said| said.recv_timeout(LONGEST.saturating_sub(start.elapsed())));
    let (Ok(stdout), Ok(stderr)) = (stdout, stderr) else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?}: no end after {LONGEST:?}");
    };
    // Its pipes are closed: it ends, if it did not.
    Output { status: child.wait().unwrap(), stdout, stderr }
}

/// What comes out of a pipe, when it is closed.
fn all_of(mut pipe: Box<dyn Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = pipe.read_to_end(&mut said);
        let _ = sender.send(said);
    });
    receiver
}

/// One of our executables, built by Cargo beside the sandbox.
pub(crate) fn binary(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ecsx-sandbox"))
        .with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
