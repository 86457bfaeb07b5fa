//! The sandbox's gateway and agent, as a client on the wire sees them.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use ecsx::ssm::wire::{Digest, Message, MessageId, MessageType, PayloadType};
use serde_json::{Value, json};
use support::Sandbox;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::{Request, StatusCode};
use tokio_tungstenite::tungstenite::{self as websocket, WebSocket};

/// A client that knows the wire and nothing else: it acknowledges what it gets and numbers what it sends.
struct Client {
    socket: WebSocket<TcpStream>,
    next: i64,
    /// The bytes of every stream message, in order, by what came.
    expected: i64,
}

/// Starts a session and answers what StartSession or ExecuteCommand answered.
fn start(sandbox: &Sandbox, cluster: &str, document: &str, parameters: Value) -> Value {
    let state = sandbox.state();
    let task = state["tasks"].as_array().unwrap().iter().find(|task| task["cluster"] == cluster).unwrap();
    let (status, answer) = match document {
        "exec" => sandbox.api(
            "AmazonEC2ContainerServiceV20141113.ExecuteCommand",
            json!({
                "cluster": cluster, "task": task["id"], "container": task["containers"][0]["name"],
                "command": parameters, "interactive": true,
            }),
        ),
        document => sandbox.api(
            "AmazonSSM.StartSession",
            json!({"Target": task["containers"][0]["target"], "DocumentName": document, "Parameters": parameters}),
        ),
    };
    assert_eq!(status, 200, "{answer}");
    match answer.get("session") {
        None => answer,
        Some(session) => json!({
            "SessionId": session["sessionId"], "StreamUrl": session["streamUrl"], "TokenValue": session["tokenValue"],
        }),
    }
}

fn forward(sandbox: &Sandbox, port: u16) -> Value {
    let parameters =
        json!({"host": ["db.internal"], "portNumber": [port.to_string()], "localPortNumber": ["0"]});
    start(sandbox, "demo", "AWS-StartPortForwardingSessionToRemoteHost", parameters)
}

fn dial(url: &str) -> Result<WebSocket<TcpStream>, websocket::Error> {
    let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
    let request = Request::get(url)
        .header("Host", address)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    match websocket::client(request.body(()).unwrap(), stream) {
        Ok((socket, _)) => Ok(socket),
        Err(websocket::HandshakeError::Failure(error)) => Err(error),
        Err(websocket::HandshakeError::Interrupted(_)) => panic!("no answer to the upgrade"),
    }
}

impl Client {
    fn open(session: &Value) -> Self {
        let mut socket = dial(session["StreamUrl"].as_str().unwrap()).unwrap();
        let open =
            json!({"MessageSchemaVersion": "1.0", "RequestId": "r", "TokenValue": session["TokenValue"]});
        socket.send(websocket::Message::text(open.to_string())).unwrap();
        Self { socket, next: 0, expected: 0 }
    }

    /// The next message that is no acknowledgement; acknowledged, duplicates left out.
    fn read(&mut self) -> Message {
        loop {
            let bytes = match self.socket.read().unwrap() {
                websocket::Message::Binary(bytes) => bytes,
                other => panic!("{other:?}"),
            };
            let message = Message::decode(bytes, Digest::Verify).unwrap();
            match message.message_type {
                MessageType::Acknowledge => continue,
                MessageType::OutputStreamData => {
                    let body = json!({
                        "AcknowledgedMessageType": "output_stream_data", "AcknowledgedMessageId": message.id.to_string(),
                        "AcknowledgedMessageSequenceNumber": message.sequence, "IsSequentialMessage": true,
                    });
                    self.send(MessageType::Acknowledge, 0, PayloadType::None, body.to_string().as_bytes());
                    if message.sequence == self.expected {
                        self.expected += 1;
                        return message;
                    }
                }
                _ => return message,
            }
        }
    }

    fn expect(&mut self, payload_type: PayloadType) -> Message {
        let message = self.read();
        assert_eq!(message.payload_type, payload_type, "{:?}", message.payload);
        message
    }

    fn input(&mut self, payload_type: PayloadType, payload: &[u8]) {
        let sequence = self.next;
        self.next += 1;
        self.send(MessageType::InputStreamData, sequence, payload_type, payload);
    }

    fn send(&mut self, message_type: MessageType, sequence: i64, payload_type: PayloadType, payload: &[u8]) {
        let (id, payload) = (MessageId([1; 16]), payload.to_vec().into());
        let message = Message { message_type, created_ms: 1, sequence, flags: 0, id, payload_type, payload };
        self.socket.send(websocket::Message::binary(message.encode().unwrap())).unwrap();
    }

    /// start_publication, the handshake, and what the agent asked for.
    fn shake(&mut self) -> Value {
        assert_eq!(self.read().message_type, MessageType::StartPublication);
        let request = self.expect(PayloadType::HandshakeRequest);
        let action =
            json!({"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""});
        let response =
            json!({"ClientVersion": "1.2.764.0", "ProcessedClientActions": [action], "Errors": null});
        self.input(PayloadType::HandshakeResponse, response.to_string().as_bytes());
        self.expect(PayloadType::HandshakeComplete);
        serde_json::from_slice(&request.payload).unwrap()
    }

    /// Output until `wanted` is in it, or the session is over: what came, and its closing text.
    fn output(&mut self, wanted: &str) -> (String, Option<String>) {
        let mut output = String::new();
        loop {
            let message = self.read();
            match message.message_type {
                MessageType::OutputStreamData => {
                    output.push_str(std::str::from_utf8(&message.payload).unwrap())
                }
                MessageType::ChannelClosed => {
                    let body: Value = serde_json::from_slice(&message.payload).unwrap();
                    return (output, Some(body["Output"].as_str().unwrap().to_owned()));
                }
                _ => {}
            }
            if output.contains(wanted) && !wanted.is_empty() {
                return (output, None);
            }
        }
    }
}

/// A TCP service that answers each chunk in capitals; its port.
fn shouting() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..read].to_ascii_uppercase()).unwrap();
            }
        }
    });
    port
}

const SYN: &[u8] = &[1, 0, 0, 0, 3, 0, 0, 0];
const FIN: &[u8] = &[1, 1, 0, 0, 3, 0, 0, 0];

#[test]
fn a_port_session_shakes_hands_and_carries_streams() {
    let sandbox = Sandbox::start();
    let mut client = Client::open(&forward(&sandbox, shouting()));
    let request = client.shake();
    let parameters = &request["RequestedClientActions"][0]["ActionParameters"];
    assert_eq!(parameters["SessionType"], "Port");
    assert_eq!(parameters["Properties"]["type"], "LocalPortForwarding");
    // SYN and data in one message, the data's frame over two.
    client.input(PayloadType::Output, &[SYN, &[1, 2, 5, 0, 3, 0, 0, 0], b"he"].concat());
    client.input(PayloadType::Output, b"llo");
    assert_eq!(client.expect(PayloadType::Output).payload[8..], *b"HELLO");
    client.input(PayloadType::Output, FIN);
    assert_eq!(client.expect(PayloadType::Output).payload, FIN);
    client.input(PayloadType::Flag, &[0, 0, 0, 2]);
    assert_eq!(client.output("").1.as_deref(), Some(""));
    assert_eq!(sandbox.state()["sessions"][0]["ended"], "flag");
}

#[test]
fn a_refused_destination_is_a_flag_and_the_streams_end() {
    let sandbox = Sandbox::start();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut client = Client::open(&forward(&sandbox, dead));
    client.shake();
    client.input(PayloadType::Output, SYN);
    assert_eq!(client.expect(PayloadType::Flag).payload, &[0, 0, 0, 3][..]);
    assert_eq!(client.expect(PayloadType::Output).payload, FIN);
}

#[test]
fn an_old_agent_carries_one_raw_connection() {
    let sandbox = Sandbox::start();
    sandbox.faults(json!({"agent_version": "3.0.100.0"}));
    let parameters = json!({"portNumber": [shouting().to_string()], "localPortNumber": ["0"]});
    let mut client = Client::open(&start(&sandbox, "demo", "AWS-StartPortForwardingSession", parameters));
    assert_eq!(client.shake()["AgentVersion"], "3.0.100.0");
    client.input(PayloadType::Output, b"hello");
    assert_eq!(client.expect(PayloadType::Output).payload, &b"HELLO"[..]);
    // The agent lets go and dials again with the next bytes.
    client.input(PayloadType::Flag, &[0, 0, 0, 1]);
    client.input(PayloadType::Output, b"again");
    assert_eq!(client.expect(PayloadType::Output).payload, &b"AGAIN"[..]);
    assert_eq!(sandbox.state()["sessions"][0]["dials"], 2);
}

#[test]
fn a_session_goes_on_after_a_cut_without_a_new_handshake() {
    let sandbox = Sandbox::start();
    let session = forward(&sandbox, shouting());
    let mut client = Client::open(&session);
    client.shake();
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    assert!(client.socket.read().is_err());
    let (_, resumed) = sandbox.api("AmazonSSM.ResumeSession", json!({"SessionId": session["SessionId"]}));
    let mut again = Client { next: client.next, expected: client.expected, ..Client::open(&resumed) };
    again.input(PayloadType::Output, &[SYN, &[1, 2, 1, 0, 3, 0, 0, 0], b"x"].concat());
    assert_eq!(again.read().message_type, MessageType::StartPublication);
    assert_eq!(again.expect(PayloadType::Output).payload[8..], *b"X");
}

#[test]
fn an_old_token_a_bad_signature_and_a_refusal_keep_a_client_out() {
    let sandbox = Sandbox::start();
    let session = forward(&sandbox, 1);
    let url = session["StreamUrl"].as_str().unwrap();
    sandbox.api("AmazonSSM.ResumeSession", json!({"SessionId": session["SessionId"]}));
    match Client::open(&session).socket.read() {
        Ok(websocket::Message::Close(Some(close))) => assert_eq!(u16::from(close.code), 1008),
        other => panic!("{other:?}"),
    }
    let refused = |status: StatusCode| match dial(url) {
        Err(websocket::Error::Http(answer)) => assert_eq!(answer.status(), status),
        other => panic!("{other:?}"),
    };
    sandbox.faults(json!({"require_signature": true}));
    refused(StatusCode::FORBIDDEN);
    sandbox.faults(json!({"refuse_upgrade": 503}));
    refused(StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn the_service_speaks_with_a_short_header_or_a_long_one() {
    let sandbox = Sandbox::start();
    for header in [112, 116] {
        sandbox.faults(json!({"service_header": header}));
        let mut client = Client::open(&forward(&sandbox, 1));
        let Ok(websocket::Message::Binary(first)) = client.socket.read() else { panic!("start_publication") };
        assert_eq!(first[..4], u32::to_be_bytes(header));
        assert!(first.ends_with(b"start_publication"));
    }
}

#[test]
fn a_killed_task_is_silent_but_for_pauses() {
    let sandbox = Sandbox::start();
    let mut client = Client::open(&forward(&sandbox, shouting()));
    client.shake();
    let task = sandbox.state()["tasks"][0]["id"].as_str().unwrap().to_owned();
    sandbox.admin("POST", &format!("tasks/{task}/kill"), json!({}));
    client.input(PayloadType::Output, SYN);
    assert_eq!(client.read().message_type, MessageType::PausePublication);
}

#[cfg(unix)]
#[test]
fn a_command_runs_on_a_terminal_without_a_handshake() {
    let sandbox = Sandbox::start();
    let script = "sh -c 'stty size; echo \"TERM=$TERM\"; tty | grep -c /dev/; read line; echo got-$line'";
    let mut client = Client::open(&start(&sandbox, "demo", "exec", json!(script)));
    assert_eq!(client.read().message_type, MessageType::StartPublication);
    client.input(PayloadType::Size, br#"{"cols":101,"rows":31}"#);
    let (output, _) = client.output("\r\n1\r\n");
    assert!(output.contains("TERM=xterm-256color\r\n"), "{output}");
    client.input(PayloadType::Output, b"hello\r");
    let (output, closed) = client.output("");
    assert!(output.contains("got-hello"), "{output}");
    assert_eq!(closed.as_deref(), Some(""));
}

#[cfg(unix)]
#[test]
fn keys_reach_the_command_as_signals() {
    let sandbox = Sandbox::start();
    let script = "sh -c 'trap \"echo interrupted; exit\" INT; echo ready; while :; do sleep 0.1; done'";
    let mut client = Client::open(&start(&sandbox, "demo", "exec", json!(script)));
    client.output("ready");
    client.input(PayloadType::Output, b"\x03");
    let (output, _) = client.output("");
    assert!(output.contains("interrupted"), "{output}");
}

#[cfg(unix)]
#[test]
fn a_command_dies_with_its_session() {
    let sandbox = Sandbox::start();
    let session =
        start(&sandbox, "demo", "exec", json!("sh -c 'trap \"\" HUP; echo pid $$; exec sleep 600'"));
    let mut client = Client::open(&session);
    let (output, _) = client.output("\n");
    let pid = output.trim().strip_prefix("pid ").unwrap().to_owned();
    sandbox.api("AmazonSSM.TerminateSession", json!({"SessionId": session["SessionId"]}));
    assert_eq!(client.output("").1.as_deref(), Some(""));
    sandbox.wait_for("the command to die", |_| !alive(&pid));
}

#[cfg(unix)]
#[test]
fn a_command_dies_with_the_sandbox() {
    let mut sandbox = Sandbox::start();
    let command = json!("sh -c 'trap \"\" HUP; echo pid $$; exec sleep 600'");
    let mut client = Client::open(&start(&sandbox, "demo", "exec", command));
    let (output, _) = client.output("\n");
    let pid = output.trim().strip_prefix("pid ").unwrap();
    sandbox.end();
    let start = std::time::Instant::now();
    while alive(pid) {
        assert!(start.elapsed() < Duration::from_secs(10), "the command is left behind");
        thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
fn alive(pid: &str) -> bool {
    let mut probe = std::process::Command::new("sh");
    probe.args(["-c", "kill -0 \"$0\" 2>/dev/null", pid]).status().unwrap().success()
}

#[cfg(unix)]
#[test]
fn no_shell_reads_a_command_and_one_that_is_not_there_is_said() {
    let sandbox = Sandbox::start();
    let mut client = Client::open(&start(&sandbox, "demo", "exec", json!("echo $HOME && 'a  b' \"c\\d\"")));
    assert_eq!(client.output("").0, "$HOME && a  b cd\r\n");
    let mut client = Client::open(&start(&sandbox, "demo", "exec", json!("/no/such thing")));
    let (output, closed) = client.output("");
    assert_eq!(output, "");
    assert!(closed.unwrap().contains("Unable to start command: Failed to start pty: fork/exec /no/such"));
}

#[cfg(unix)]
#[test]
fn an_encrypted_session_asks_for_a_key_of_its_own_context() {
    let sandbox = Sandbox::start();
    let session = start(&sandbox, "secret", "exec", json!("sh"));
    let mut client = Client::open(&session);
    client.read();
    let request: Value =
        serde_json::from_slice(&client.expect(PayloadType::HandshakeRequest).payload).unwrap();
    let kms = &request["RequestedClientActions"][1];
    assert_eq!(kms["ActionType"], "KMSEncryption");
    let key = &kms["ActionParameters"]["KMSKeyId"];
    // A key made for another session does not serve.
    let context = json!({"aws:ssm:SessionId": "another", "aws:ssm:TargetId": "x"});
    let body = json!({"KeyId": key, "NumberOfBytes": 64, "EncryptionContext": context});
    let (status, made) = sandbox.api("TrentService.GenerateDataKey", body);
    assert_eq!(status, 200, "{made}");
    let result = json!({"KMSCipherTextKey": made["CiphertextBlob"]});
    let action =
        |name: &str, result: Value| json!({"ActionType": name, "ActionStatus": 1, "ActionResult": result});
    let actions = [action("SessionType", Value::Null), action("KMSEncryption", result)];
    let response = json!({"ClientVersion": "1.2.764.0", "ProcessedClientActions": actions});
    client.input(PayloadType::HandshakeResponse, response.to_string().as_bytes());
    let (_, closed) = client.output("");
    assert!(
        closed.unwrap().contains("Encountered error while initiating handshake. Fetching data key failed")
    );
}
