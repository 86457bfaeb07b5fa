//! A forward as a process, and servers of the pretend VPC.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::Sandbox;

/// Long enough for a loaded machine; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A running `ecsx-portforward`.
pub(crate) struct Forward {
    process: Child,
    events: Receiver<Value>,
    stderr: Arc<Mutex<String>>,
}

impl Forward {
    /// `ecsx-portforward -o json --cluster demo --service web --container app ARGUMENTS`, ready.
    pub(crate) fn up(sandbox: &Sandbox, arguments: &[&str]) -> (Self, u16) {
        let mut forward = Self::start(sandbox, arguments);
        let ready = forward.event("ready");
        let port = ready["local_port"].as_u64().unwrap() as u16;
        (forward, port)
    }

    /// The same, started.
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        Self::start_with(sandbox, arguments, |_| {})
    }

    /// The same, with something of its own about it: its environment, say.
    pub(crate) fn start_with(
        sandbox: &Sandbox,
        arguments: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = sandbox.command("ecsx-portforward");
        change(&mut command);
        command.args(["-o", "json", "--cluster", "demo", "--service", "web", "--container", "app"]);
        command.args(arguments);
        Self::of(command)
    }

    /// What `command` starts.
    pub(crate) fn of(command: Command) -> Self {
        let mut command = with_signals(command);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (to, events) = channel();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = to.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (lines, all) = (BufReader::new(process.stderr.take().unwrap()), stderr.clone());
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *all.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { process, events, stderr }
    }

    /// Waits for an event of this name; others before it are passed over.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true)
    }

    /// Waits for an event of this name that is as wanted.
    pub(crate) fn event_where(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(start.elapsed()) {
            match self.events.recv_timeout(left) {
                Ok(event) if event["event"] == name && wanted(&event) => return event,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        panic!("no event {name}; stderr: {}", self.stderr())
    }

    /// What it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until stderr holds this.
    pub(crate) fn says(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            let stderr = self.stderr();
            if stderr.contains(text) {
                return stderr;
            }
            assert!(start.elapsed() < PATIENCE, "never said \"{text}\": {stderr}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end: exit code and all it said.
    pub(crate) fn outcome(&mut self) -> (Option<i32>, String) {
        let code = self.ended().code();
        // The reader of stderr ends soon after the process.
        thread::sleep(Duration::from_millis(50));
        (code, self.stderr())
    }
}

/// The command with no signal ignored, as a terminal's shell starts it: nohup and a shell's `&`,
/// under which tests run too, ignore some.
fn with_signals(command: Command) -> Command {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    // Rust's own SIGPIPE apart, bits of HUP, INT, QUIT.
    if u64::from_str_radix(ignored.trim(), 16).unwrap_or(0) & 0b111 == 0 {
        return command;
    }
    wrapped(&["env", "--default-signal"], command)
}

/// The command, started by another one.
pub(crate) fn wrapped(by: &[&str], command: Command) -> Command {
    let mut wrapper = Command::new(by[0]);
    wrapper.args(&by[1..]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapper.current_dir(directory);
    }
    wrapper
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("--- stderr of the forward:\n{}---", self.stderr());
        }
    }
}

/// A server of the pretend VPC; each connection has a thread.
pub(crate) fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Sends back what it gets.
pub(crate) fn echo() -> SocketAddr {
    serve(|stream| {
        let _ = std::io::copy(&mut &stream, &mut &stream);
    })
}

/// Takes a length as eight bytes, then that many, and answers with their SHA-256. `taken`
/// counts.
pub(crate) fn sink(taken: Arc<AtomicU64>) -> SocketAddr {
    serve(move |mut stream| {
        let mut head = [0; 8];
        if stream.read_exact(&mut head).is_err() {
            return;
        }
        let mut left = u64::from_be_bytes(head);
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match stream.read(&mut buffer[..most]) {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    hash.update(&buffer[..n]);
                    left -= n as u64;
                    taken.fetch_add(n as u64, Ordering::SeqCst);
                }
            }
        }
        let _ = stream.write_all(&hash.finalize());
    })
}

/// Takes a length as eight bytes, sends that many and their SHA-256, and closes.
pub(crate) fn source() -> SocketAddr {
    serve(|mut stream| {
        let mut head = [0; 8];
        if stream.read_exact(&mut head).is_err() {
            return;
        }
        let mut left = u64::from_be_bytes(head);
        let mut noise = Noise::default();
        let mut hash = Sha256::new();
        while left > 0 {
            let piece = noise.piece(left);
            hash.update(piece);
            left -= piece.len() as u64;
            if stream.write_all(piece).is_err() {
                return;
            }
        }
        let _ = stream.write_all(&hash.finalize());
    })
}

/// Bytes without a pattern that a mistake could repeat.
pub(crate) struct Noise {
    state: u64,
    buffer: Vec<u8>,
}

impl Default for Noise {
    fn default() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, buffer: vec![0; 64 * 1024] }
    }
}

impl Noise {
    pub(crate) fn piece(&mut self, most: u64) -> &[u8] {
        for word in self.buffer.chunks_exact_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            word.copy_from_slice(&self.state.to_le_bytes());
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        &self.buffer[..length]
    }
}

/// A connection to a local port.
pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `length` bytes to a [`sink`]; it must have got the same.
pub(crate) fn upload(port: u16, length: u64) {
    let mut stream = connect(port);
    stream.write_all(&length.to_be_bytes()).unwrap();
    let (mut noise, mut hash, mut left) = (Noise::default(), Sha256::new(), length);
    while left > 0 {
        let piece = noise.piece(left);
        hash.update(piece);
        left -= piece.len() as u64;
        stream.write_all(piece).unwrap();
    }
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, hash.finalize()[..], "the server got other bytes");
}

/// Asks a [`source`] for `length` bytes.
pub(crate) fn ask(port: u16, length: u64) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream
}

/// Reads what a [`source`] was asked for, up to its end; it must be what the source sent.
pub(crate) fn receive(mut stream: TcpStream, length: u64) {
    let (mut hash, mut left, mut buffer) = (Sha256::new(), length, vec![0; 64 * 1024]);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = stream.read(&mut buffer[..most]).unwrap();
        assert_ne!(n, 0, "{left} bytes are missing");
        hash.update(&buffer[..n]);
        left -= n as u64;
    }
    let mut sent = [0; 32];
    stream.read_exact(&mut sent).unwrap();
    assert_eq!(sent, hash.finalize()[..], "other bytes came than were sent");
    assert_eq!(stream.read(&mut buffer).unwrap(), 0, "then the end");
}

/// One exchange with an [`echo`].
pub(crate) fn exchange(stream: &mut TcpStream, words: &[u8]) {
    stream.write_all(words).unwrap();
    let mut answer = vec![0; words.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, words);
}

/// Whether a connection ends with a reset (or was never made), and not as if all had come.
pub(crate) fn is_reset(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

/// Ends the sending side.
pub(crate) fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}
