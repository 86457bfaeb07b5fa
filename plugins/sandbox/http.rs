//! One loopback port for everything: AWS APIs, the message gateway, the admin interface.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, ORIGIN};
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
    let path = request.uri().path().to_owned();
    let admin = path.strip_prefix("/_sandbox/");
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
        let (code, answer) = admin::answer(&sandbox, &method, path, &body);
        return Ok(reply(code, "application/json", answer.to_string()));
    }
    if method != Method::POST {
        return Ok(status(StatusCode::NOT_FOUND));
    }
    let (target, authorization) = (text(&headers, "x-amz-target"), text(&headers, AUTHORIZATION.as_str()));
    let answer = api::call(&sandbox, target, authorization, &body).await;
    Ok(reply(answer.status, answer.content_type, answer.body))
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
