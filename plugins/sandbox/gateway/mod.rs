//! The message gateway: a client's WebSocket on one side, an agent on the other.
//!
//! Frames pass unchanged. The gateway adds start_publication, pause_publication and
//! channel_closed of its own, and misbehaves as the faults say.

mod lane;
pub(crate) mod messages;
mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::http;
use crate::sandbox::{SECRET_ACCESS_KEY, Sandbox};
use crate::session::{Session, count};
use lane::{Lane, Passed};
use messages::ServiceMessage;
use signature::Verdict;

type Socket = WebSocketStream<TcpStream>;

/// How long a client may take to send its open message.
const OPEN_TIMEOUT: Duration = Duration::from_secs(45);
/// Frames fetched from the agent at a time.
const BATCH: usize = 64;

/// Something for a connection to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Reset the TCP connection.
    Cut,
    /// Close the WebSocket politely.
    Close(u16, String),
    /// Send a message of the service.
    Send(ServiceMessage),
    /// Send these bytes, whatever they are.
    SendRaw(Bytes),
    /// Send this as a text frame.
    SendText(String),
}

/// How a connection ends.
enum End {
    Cut,
    Close(u16, String),
    Gone,
}

/// Answers the upgrade of a data channel; the connection goes on by itself.
pub(crate) fn upgrade(
    sandbox: &Arc<Sandbox>,
    session: &str,
    request: &mut Request<Incoming>,
) -> Response<Full<Bytes>> {
    let faults = sandbox.faults().clone();
    if let Some(refused) = faults.refuse_upgrade {
        return http::status(StatusCode::from_u16(refused).unwrap_or(StatusCode::FORBIDDEN));
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    match signature::check(target, request.headers(), &sandbox.access_key_id(), SECRET_ACCESS_KEY) {
        Verdict::Right => {}
        Verdict::Unsigned if !faults.require_signature => {}
        Verdict::Unsigned | Verdict::Wrong => return http::status(StatusCode::FORBIDDEN),
    }
    let id = session.replace("%40", "@");
    let Some(session) = sandbox.sessions().get(&id).cloned() else {
        return http::status(StatusCode::NOT_FOUND);
    };
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    let mut reply = http::status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    let (upgraded, sandbox) = (hyper::upgrade::on(request), sandbox.clone());
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else { return };
        let (stream, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
        let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, None).await;
        connection(&sandbox, &session, socket).await;
    });
    reply
}

/// One WebSocket from its open message to its end.
async fn connection(sandbox: &Sandbox, session: &Session, mut socket: Socket) {
    let opened = tokio::time::timeout(OPEN_TIMEOUT, open_message(&mut socket)).await;
    let token = opened.ok().flatten();
    if sandbox.faults().refuse_token || !token.is_some_and(|token| session.accepts(&token)) {
        return finish(socket, End::Close(1008, "invalid token".to_owned())).await;
    }
    let mut orders = session.connect();
    let _ = session.order(Order::Send(messages::start_publication()));
    let (mut sink, mut source) = socket.split();
    let (echo, answers) = mpsc::unbounded_channel();
    // One task polls both ways: neither waits for the other, and a cut ends both at once.
    let end = tokio::select! {
        end = from_client(sandbox, session, &mut source, &echo) => end,
        end = to_client(sandbox, session, &mut sink, &mut orders, answers) => end,
    };
    session.disconnect(&orders);
    if let Ok(socket) = sink.reunite(source) {
        finish(socket, end).await;
    }
}

/// The token of the open message, a text frame; pings may come before it.
async fn open_message(socket: &mut Socket) -> Option<String> {
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => {
                let body: serde_json::Value = serde_json::from_str(&text).ok()?;
                return body["TokenValue"].as_str().map(str::to_owned);
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) | Message::Frame(_) => return None,
        }
    }
    None
}

async fn finish(mut socket: Socket, end: End) {
    match end {
        End::Gone => {}
        End::Cut => {
            let _ = socket.get_ref().set_zero_linger();
        }
        End::Close(code, reason) => {
            let close = CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) };
            let goodbye = async {
                let _ = socket.close(Some(close)).await;
                while let Some(Ok(_)) = socket.next().await {}
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
        }
    }
}

/// Frames of the client, to the agent.
async fn from_client(
    sandbox: &Sandbox,
    session: &Session,
    source: &mut SplitStream<Socket>,
    echo: &mpsc::UnboundedSender<ServiceMessage>,
) -> End {
    let mut lane = Lane::new(sandbox.faults().seed);
    let counters = &session.counters;
    loop {
        while let Some(frame) = lane.pop(Instant::now()) {
            note(&frame, &counters.frames_to_agent, &counters.acks_to_agent, &counters.bytes_to_agent);
            if session.to_agent.send(frame).await.is_err() && !session.is_over() {
                // The agent is gone with its task: this is all that the service lets a client know.
                let _ = echo.send(messages::pause_publication());
            }
        }
        let message = tokio::select! {
            message = source.next(), if lane.has_room() => message,
            () = arrival(&lane) => continue,
        };
        match message {
            Some(Ok(Message::Binary(frame))) => {
                let passed = {
                    let rules = &mut sandbox.faults().to_agent;
                    lane.push(Instant::now(), frame, rules, &mut session.since_cut().0)
                };
                if passed == Passed::Cut {
                    return End::Cut;
                }
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
            Some(Ok(_)) => {}
        }
    }
}

/// Frames of the agent and of the gateway itself, to the client.
async fn to_client(
    sandbox: &Sandbox,
    session: &Session,
    sink: &mut SplitSink<Socket, Message>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    mut echo: mpsc::UnboundedReceiver<ServiceMessage>,
) -> End {
    let mut lane = Lane::new(!sandbox.faults().seed);
    let mut batch = Vec::with_capacity(BATCH);
    let mut agent = session.from_agent.lock().await;
    let mut agent_lives = true;
    let counters = &session.counters;
    loop {
        let mut sent = Ok(());
        while let (Ok(()), Some(frame)) = (&sent, lane.pop(Instant::now())) {
            note(&frame, &counters.frames_to_client, &counters.acks_to_client, &counters.bytes_to_client);
            sent = sink.feed(Message::Binary(frame)).await;
        }
        if sent.is_err() || sink.flush().await.is_err() {
            return End::Gone;
        }
        let message = tokio::select! {
            biased;
            order = orders.recv() => match order {
                None | Some(Order::Cut) => return End::Cut,
                Some(Order::Close(code, reason)) => return End::Close(code, reason),
                Some(Order::Send(message)) => Message::Binary(message.encode(sandbox.faults().service_header)),
                Some(Order::SendRaw(bytes)) => Message::Binary(bytes),
                Some(Order::SendText(text)) => Message::text(text),
            },
            Some(message) = echo.recv() => Message::Binary(message.encode(sandbox.faults().service_header)),
            got = agent.recv_many(&mut batch, BATCH), if agent_lives && lane.has_room() => {
                agent_lives = got > 0;
                match relay(sandbox, session, &mut lane, &mut batch) {
                    Passed::On => continue,
                    Passed::Cut => return End::Cut,
                }
            }
            () = arrival(&lane) => continue,
        };
        if sink.send(message).await.is_err() {
            return End::Gone;
        }
    }
}

/// Puts a batch of the agent's on its way.
fn relay(sandbox: &Sandbox, session: &Session, lane: &mut Lane, batch: &mut Vec<Bytes>) -> Passed {
    let (now, rules) = (Instant::now(), &mut sandbox.faults().to_client);
    for frame in batch.drain(..) {
        if lane.push(now, frame, rules, &mut session.since_cut().1) == Passed::Cut {
            return Passed::Cut;
        }
    }
    Passed::On
}

/// Until the next frame of a lane arrives; for ever if there is none.
async fn arrival(lane: &Lane) {
    match lane.next_arrival() {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn note(frame: &[u8], frames: &AtomicU64, acks: &AtomicU64, bytes: &AtomicU64) {
    let counter = if frame.get(4..15) == Some(b"acknowledge") { acks } else { frames };
    count(counter, 1);
    bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
}
