//! PostgreSQL as Debian has it, behind the sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::Forward;
use crate::support::Sandbox;

/// A database of its own, gone with it.
struct Postgres {
    bin: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    fn start() -> Self {
        let bin = std::fs::read_dir("/usr/lib/postgresql")
            .expect("postgresql is installed")
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .max()
            .expect("a version of postgresql");
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let postgres = Self { bin, directory, port };
        Command::new("chown").arg("-R").arg("postgres").arg(postgres.directory.path()).status().unwrap();
        let data = postgres.data();
        postgres.run("initdb", &["-D", &data, "-A", "trust", "--no-sync"]);
        let options =
            format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off");
        postgres.run("pg_ctl", &["-D", &data, "-w", "-l", &format!("{data}/log"), "-o", &options, "start"]);
        postgres
    }

    fn data(&self) -> String {
        self.directory.path().join("data").to_str().unwrap().to_owned()
    }

    /// One of its programs; it refuses to be root.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(Path::new(&self.bin).join(program));
        command.current_dir("/").stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // pg_ctl's child would keep a pipe open for ever.
        let status = self.command(program).args(arguments).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self
            .command("pg_ctl")
            .args(["-D", &data, "-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .status();
    }
}

#[test]
#[ignore = "needs postgresql"]
fn pgbench_runs_through_a_forward_without_an_error() {
    let postgres = Postgres::start();
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:5432", format!("127.0.0.1:{}", postgres.port));
    let (_forward, port) = Forward::up(&sandbox, &["-L", ":db.internal:5432"]);
    let port = port.to_string();
    let through = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "postgres"];
    postgres.run("pgbench", &[&["-i", "-q", "-s", "2"], &through[..]].concat());
    let bench = postgres.command("pgbench").args(["-c", "8", "-T", "30"]).args(through).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&bench.stdout), String::from_utf8_lossy(&bench.stderr));
    assert!(bench.status.success(), "{out}{errors}");
    assert!(out.contains("number of failed transactions: 0 "), "{out}");
    assert!(!errors.contains("error"), "{errors}");
    println!("{out}");
}
