//! `ecsx sandbox demo`: the main job, end to end, without an AWS account.
//!
//! A real `ecsx portforward` in a real ecspresso project reaches a real TCP service; only AWS is
//! pretended. What is shown is also checked.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BufMut;
use ecsx::ui::Failure;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::Options;
use crate::faults::Chance;
use crate::sandbox::{Sandbox, random_hex};
use crate::serve;

/// Bytes sent through the tunnel, each way.
const BYTES: usize = 300_000;
/// How long any step may take.
const PATIENCE: Duration = Duration::from_secs(30);

const CONFIG: &str = "region: us-east-1\ncluster: demo\nservice: worker\n\
                      service_definition: ecs-service-def.json\ntask_definition: ecs-task-def.json\n";
const SERVICE: &str = "{\"desiredCount\": 1, \"enableExecuteCommand\": true}\n";
const TASK: &str = "{\"family\": \"worker\", \"containerDefinitions\": [{\"name\": \"worker\"}]}\n";

/// Shows the main job.
pub(crate) async fn demo() -> Result<u8, Failure> {
    let mut signals = serve::signals()?;
    let sandbox = serve::start(&Options { port: 0, fixture: None, fault: None }).await?;
    let shown = tokio::select! {
        shown = tokio::time::timeout(PATIENCE * 2, show(&sandbox)) => shown,
        // What it has made goes with it.
        number = signals.next() => return Ok(128 + number),
    };
    match shown {
        Ok(shown) => shown.map(|()| 0).map_err(Failure::new),
        Err(_) => Err(Failure::new("the demo stands still").hint("please report this")),
    }
}

async fn show(sandbox: &Arc<Sandbox>) -> Result<(), String> {
    let service = service().await.map_err(|error| format!("cannot listen on 127.0.0.1: {error}"))?;
    sandbox.world().names.insert("db.internal:5432".to_owned(), service.to_string());
    let project = Project::write().map_err(|error| format!("cannot write a project: {error}"))?;
    let config: String = CONFIG.lines().take(3).map(|line| format!("  {line}\n")).collect();
    say(&format!(
        "A pretend AWS is up on 127.0.0.1:{}, with an ECS service \"worker\" in a cluster \"demo\".\n\
         A database listens at db.internal:5432, which only its tasks can reach.\n\n\
         $ cat ecspresso.yml\n{config}\n\
         $ ecsx portforward -L 0:db.internal:5432",
        sandbox.port
    ));

    let started = Instant::now();
    let (mut forward, port) = portforward(sandbox, &project.0).await?;
    say(&format!(
        "\nReady after {} ms. Now a client connects to 127.0.0.1:{port}:",
        started.elapsed().as_millis()
    ));
    let answer = exchange(port).await.map_err(|error| format!("through the tunnel: {error}"))?;
    say(&format!(
        "  it asks \"who is there?\" and hears \"{}\"\n  \
         it sends {} kB and gets them back, SHA-256 equal, in {} ms",
        answer.greeting,
        BYTES / 1000,
        answer.took.as_millis()
    ));
    say(end(sandbox, &mut forward).await?);
    say(
        "\nThe same with your own account, where an ecspresso.yml is (or with --cluster and --service):\n\n  \
         ecsx portforward -L 15432:YOUR-DATABASE-HOST:5432\n  \
         psql -h localhost -p 15432\n\n\
         The service must run with execute-command enabled. More to try without an account:\n\n  \
         ecsx sandbox run -- sh",
    );
    Ok(())
}

/// Some lines of the show. Who does not look any more misses nothing.
fn say(lines: &str) {
    let _ = writeln!(std::io::stdout(), "{lines}");
}

/// An ecspresso project in a directory of its own, gone when dropped.
struct Project(PathBuf);

impl Project {
    fn write() -> std::io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ecsx-demo-{}", &random_hex()[..12]));
        std::fs::create_dir(&folder)?;
        let project = Self(folder);
        for (name, text) in
            [("ecspresso.yml", CONFIG), ("ecs-service-def.json", SERVICE), ("ecs-task-def.json", TASK)]
        {
            std::fs::write(project.0.join(name), text)?;
        }
        Ok(project)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The database: it says who it is, or takes `N\n` and N bytes and answers their hash and the bytes.
async fn service() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    Ok(address)
}

async fn talk(stream: TcpStream) -> std::io::Result<()> {
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.trim().parse::<usize>() {
            Ok(length) => {
                let mut bytes = vec![0; length.min(2 * BYTES)];
                stream.read_exact(&mut bytes).await?;
                let mut answer = format!("{}\n", hash(&bytes)).into_bytes();
                answer.put_slice(&bytes);
                answer
            }
            Err(_) => b"the database, inside the VPC\n".to_vec(),
        };
        stream.write_all(&answer).await?;
        line.clear();
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts the real thing and waits until it is ready; answers its local port.
async fn portforward(sandbox: &Arc<Sandbox>, project: &Path) -> Result<(Child, u16), String> {
    let beside = |name: &str| {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::current_exe().ok().map(|path| path.with_file_name(name)).filter(|path| path.exists())
    };
    let plugin = beside("ecsx-portforward");
    let plugin = plugin.ok_or("ecsx-portforward is not beside this program: install all of ecsx-cli")?;
    // Through the dispatcher, as people do, when it is there.
    let mut command = match beside("ecsx") {
        Some(ecsx) => {
            let mut command = Command::new(ecsx);
            command.arg("portforward");
            command
        }
        None => Command::new(plugin),
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("ECSX_")) {
            command.env_remove(name);
        }
    }
    let nowhere = project.join("no-aws-config");
    let mut child = command
        .args(["-L", "0:db.internal:5432", "-o", "json"])
        .current_dir(project)
        .envs(sandbox.environment())
        .envs([("AWS_CONFIG_FILE", &nowhere), ("AWS_SHARED_CREDENTIALS_FILE", &nowhere)])
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start ecsx portforward: {error}"))?;
    let stdout = child.stdout.take().ok_or("ecsx portforward has no stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["event"] == "ready" {
                return event["local_port"].as_u64().and_then(|port| u16::try_from(port).ok());
            }
        }
        None
    };
    let port = tokio::time::timeout(PATIENCE, ready).await.ok().flatten();
    let port = port.ok_or("ecsx portforward did not get ready")?;
    // Later events are of no interest, but their pipe must not fill up or break.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, port))
}

/// What came back through the tunnel, found equal.
struct Exchanged {
    greeting: String,
    took: Duration,
}

async fn exchange(port: u16) -> Result<Exchanged, String> {
    let talked = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let _ = stream.set_nodelay(true);
        let mut stream = BufReader::new(stream);
        stream.write_all(b"who is there?\n").await?;
        let mut greeting = String::new();
        stream.read_line(&mut greeting).await?;

        let mut chance = Chance::new(u64::from(port));
        let bytes: Vec<u8> =
            std::iter::repeat_with(|| chance.next().to_be_bytes()).flatten().take(BYTES).collect();
        let started = Instant::now();
        stream.write_all(format!("{BYTES}\n").as_bytes()).await?;
        stream.write_all(&bytes).await?;
        let mut hashed = String::new();
        stream.read_line(&mut hashed).await?;
        let mut back = vec![0; BYTES];
        stream.read_exact(&mut back).await?;
        let equal = hashed.trim() == hash(&bytes) && back == bytes;
        Ok::<_, std::io::Error>((
            Exchanged { greeting: greeting.trim().to_owned(), took: started.elapsed() },
            equal,
        ))
    };
    match tokio::time::timeout(PATIENCE, talked).await {
        Ok(Ok((exchanged, true))) => Ok(exchanged),
        Ok(Ok((_, false))) => Err("the bytes are not what was sent".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// Ends the forward, in the way that Ctrl-C does; its session must be over then.
async fn end(sandbox: &Sandbox, forward: &mut Child) -> Result<&'static str, String> {
    #[cfg(unix)]
    {
        let id = forward.id().and_then(|id| rustix::process::Pid::from_raw(id as i32));
        let id = id.ok_or("ecsx portforward has ended by itself")?;
        // Behind a shell's `&` Ctrl-C is ignored, and so it is by what is started there.
        let word = rustix::process::Signal::TERM;
        rustix::process::kill_process(id, word).map_err(|error| error.to_string())?;
        let ended = tokio::time::timeout(PATIENCE, forward.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => return Err(format!("ecsx portforward ended with {status}")),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("ecsx portforward does not end".to_owned()),
        }
        match sandbox.sessions().values().all(|session| session.is_over()) {
            true => Ok("Ctrl-C ends it, and its session at AWS as well."),
            false => Err("ecsx portforward left its session open".to_owned()),
        }
    }
    // There is no Ctrl-C to send to another process here.
    #[cfg(not(unix))]
    {
        forward.kill().await.map_err(|error| error.to_string())?;
        sandbox.sessions().values().for_each(|session| session.end(crate::session::Ending::Admin, ""));
        Ok("That was it.")
    }
}
