//! ecsx-health: asks a container for a page of its own, through a tunnel.
//!
//! ```text
//! ecsx health --service web --port 8080 /healthz
//! ```
//!
//! An example of a plugin in Rust: [`ecsx::plugin`] answers TAB, describe and man; the tunnel is
//! `ecsx portforward -o json`, which says on stdout when it is ready.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use clap::Parser;
use ecsx::plugin::{Globals, Plugin, env};

/// Ask a container for its health, over HTTP
#[derive(Parser)]
#[command(name = "ecsx-health", version)]
struct Arguments {
    /// The page
    #[arg(default_value = "/")]
    path: String,
    /// The container's port
    #[arg(long, default_value = "80")]
    port: u16,
    #[command(flatten)]
    globals: Globals,
}

fn main() -> ExitCode {
    let arguments = Plugin::new()
        .values("path", |_| vec!["/health".into(), "/healthz".into(), "/up".into()])
        .values("port", |_| vec!["80".into(), "3000".into(), "8080".into()])
        .parse();
    run(arguments).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(Arguments { path, port, mut globals }: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    globals.enter()?;
    let tunnel = Tunnel::open(port, &globals)?;
    let answer = get(&tunnel.address, &path)?;
    let status = answer.lines().next().unwrap_or_default();
    println!("{status}");
    let well = status.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A running `ecsx portforward`; dropped, it is told to end.
struct Tunnel {
    process: Child,
    address: String,
}

impl Tunnel {
    fn open(port: u16, globals: &Globals) -> Result<Self, Box<dyn Error>> {
        let ecsx = std::env::var_os(env::BIN).unwrap_or_else(|| "ecsx".into());
        let mut command = Command::new(ecsx);
        command.args(["portforward", "-q", "-o", "json", "--address", "127.0.0.1", &format!(":{port}")]);
        let mut process = command.envs(globals.environment()).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or("no stdout")?;
        for line in BufReader::new(stdout).lines() {
            let event: serde_json::Value = serde_json::from_str(&line?)?;
            if event["event"] == "ready" {
                let address = format!("127.0.0.1:{}", event["local_port"]);
                return Ok(Self { process, address });
            }
        }
        // It has said why on stderr.
        Err(format!("no tunnel ({})", process.wait()?).into())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn get(address: &str, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 << 10).read_to_string(&mut answer)?;
    Ok(answer)
}
