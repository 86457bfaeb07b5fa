//! One loopback port for everything: AWS APIs, the message gateway, the admin interface.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, ORIGIN};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::sandbox::Sandbox;
use crate::{admin, api, gateway};

/// Largest request body taken, bytes.
const BODY: usize = 1 << 22;

type Reply = Response<Full<Bytes>>;

/// Serves connections for ever.
pub(crate) async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, sandbox.clone()))),
            // Out of file descriptors, most likely: some will be free again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, sandbox: Arc<Sandbox>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(sandbox.clone(), request));
    // What goes wrong on a connection is its client's to notice.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(sandbox: Arc<Sandbox>, mut request: Request<Incoming>) -> io::Result<Reply> {
    // Only browsers say where they come from: a web page has no business here.
    if request.headers().contains_key(ORIGIN) {
        return Ok(status(StatusCode::FORBIDDEN));
    }
    // Nor under a name of its own that it has bound to this machine (DNS rebinding).
    if !text(request.headers(), HOST.as_str()).is_some_and(is_loopback) {
        let only = "the sandbox is called 127.0.0.1, localhost or [::1]\n".to_owned();
        return Ok(reply(StatusCode::MISDIRECTED_REQUEST.as_u16(), "text/plain", only));
    }
    let path = request.uri().path().to_owned();
    let admin = path.strip_prefix(admin::ROOT);
    let outage = sandbox.outage().is_some_and(|until| Instant::now() < until);
    if outage && admin.is_none() {
        return Err(io::Error::other("the network is down, on request"));
    }
    if let Some(session) = path.strip_prefix("/v1/data-channel/") {
        return Ok(gateway::upgrade(&sandbox, session, &mut request));
    }
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let Ok(body) = Limited::new(request.into_body(), BODY).collect().await else {
        return Ok(status(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let body = body.to_bytes();
    if let Some(path) = admin {
        let (code, answer) = match path.split_once('/') {
            Some((secret, path)) if sandbox.is_admin(secret) => admin::answer(&sandbox, &method, path, &body),
            _ => admin::stranger(),
        };
        return Ok(reply(code, "application/json", answer.to_string()));
    }
    if method != Method::POST {
        return Ok(status(StatusCode::NOT_FOUND));
    }
    let (target, authorization) = (text(&headers, "x-amz-target"), text(&headers, AUTHORIZATION.as_str()));
    let answer = api::call(&sandbox, target, authorization, &body).await;
    Ok(reply(answer.status, answer.content_type, answer.body))
}

/// Whether a Host header names this machine; any port may stand there, as a tunnel's does.
fn is_loopback(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|host| {
        let name = host.host();
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    })
}

/// A header's text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A reply that is all status.
pub(crate) fn status(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = status;
    reply
}

fn reply(code: u16, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::from(body));
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
    reply.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    if let Ok(id) = crate::sandbox::random_hex().parse() {
        reply.headers_mut().insert("x-amzn-requestid", id);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_names() {
        for ours in ["127.0.0.1:4599", "localhost:4599", "LocalHost", "[::1]:4599", "127.0.0.1"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in
            ["evil.example:4599", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1:4599", "[::2]", ""]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
