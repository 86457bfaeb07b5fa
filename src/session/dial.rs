//! One WebSocket to the message gateway: TCP, proxy, TLS, upgrade.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::{Request, generate_key};
use tokio_tungstenite::tungstenite::http::header::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};

use super::endpoint::Endpoint;
use super::error::SessionError;
use super::proxy::Proxies;

/// How long TCP (all addresses) may take, and how long what follows it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Head start of an address over the next one (RFC 8305 says 250 ms).
const STAGGER: Duration = Duration::from_millis(250);
/// Largest WebSocket message taken, bytes. Agents build 1 KiB; the service's own limit is not
/// published and far below.
const MESSAGE_LIMIT: usize = 1 << 20;
/// Bytes that may wait for the socket before the session stops reading.
const WRITE_LIMIT: usize = 1 << 20;

/// How this machine reaches the network: what the environment says, read once.
#[derive(Debug, Default)]
pub struct Network {
    proxies: Proxies,
    ca_bundle: Option<PathBuf>,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// A byte stream under a WebSocket.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// An open WebSocket.
pub type Socket = WebSocketStream<Box<dyn Transport>>;

impl Network {
    /// Reads `HTTPS_PROXY` and its like, and `AWS_CA_BUNDLE`, through `var`.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            ca_bundle: var("AWS_CA_BUNDLE").filter(|path| !path.is_empty()).map(PathBuf::from),
            proxies: Proxies::from_env(var),
            tls: OnceLock::new(),
        }
    }

    /// Opens a WebSocket to `endpoint`; `headers` sign the upgrade.
    pub async fn dial(
        &self,
        endpoint: &Endpoint,
        headers: &[(String, String)],
    ) -> Result<Socket, SessionError> {
        let tcp = self.tcp(endpoint).await?;
        let upgrade = async {
            let stream: Box<dyn Transport> =
                if endpoint.tls { self.secure(endpoint, tcp).await? } else { Box::new(tcp) };
            upgrade(endpoint, headers, stream).await
        };
        timeout(PATIENCE, upgrade).await.unwrap_or_else(|_| {
            Err(SessionError::Connect {
                host: endpoint.host.clone(),
                port: endpoint.port,
                reason: format!("no answer within {} s", PATIENCE.as_secs()),
            })
        })
    }

    async fn tcp(&self, endpoint: &Endpoint) -> Result<TcpStream, SessionError> {
        let failed =
            |proxy: String, reason| SessionError::Proxy { proxy, host: endpoint.host.clone(), reason };
        let proxy = self
            .proxies
            .for_endpoint(endpoint)
            .map_err(|reason| failed("in the environment".into(), reason))?;
        let Some(proxy) = proxy else { return connect(&endpoint.host, endpoint.port).await };
        let mut stream = connect(&proxy.host, proxy.port).await?;
        let named = || format!("{}:{}", proxy.host, proxy.port);
        timeout(PATIENCE, proxy.connect(&mut stream, &endpoint.host, endpoint.port))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
            .map_err(|reason| failed(named(), reason))?;
        Ok(stream)
    }

    async fn secure(&self, endpoint: &Endpoint, tcp: TcpStream) -> Result<Box<dyn Transport>, SessionError> {
        let failed = |reason: String| SessionError::Tls { host: endpoint.host.clone(), reason };
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|e| failed(e.to_string()))?;
        let config = match self.tls.get() {
            Some(config) => config.clone(),
            None => {
                let config = self.client_config().map_err(failed)?;
                self.tls.get_or_init(|| config).clone()
            }
        };
        let stream =
            TlsConnector::from(config).connect(name, tcp).await.map_err(|e| failed(e.to_string()))?;
        Ok(Box::new(stream))
    }

    /// Trusts what the operating system trusts, and AWS_CA_BUNDLE if there is one.
    fn client_config(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        // Some stores hold certificates that do not parse: the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.ca_bundle {
            let unreadable = |e: &dyn std::fmt::Display| format!("AWS_CA_BUNDLE {}: {e}", path.display());
            let file = std::fs::File::open(path).map_err(|e| unreadable(&e))?;
            let mut found = 0;
            for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
                roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
                found += 1;
            }
            if found == 0 {
                return Err(unreadable(&"it holds no certificate"));
            }
        }
        if roots.is_empty() {
            return Err(
                "no trusted certificate was found on this machine; name a bundle with AWS_CA_BUNDLE".into()
            );
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// Tries all addresses of `host`, a new one whenever the last failed or took too long.
async fn connect(host: &str, port: u16) -> Result<TcpStream, SessionError> {
    let failed = |reason: String| SessionError::Connect { host: host.to_owned(), port, reason };
    let attempt = async {
        let found = tokio::net::lookup_host((host, port)).await.map_err(|e| failed(e.to_string()))?;
        let mut addresses = interleave(found.collect()).into_iter();
        let mut attempts = JoinSet::new();
        let mut last = failed("the name has no address".into());
        loop {
            let next = addresses.next();
            let more = next.is_some();
            if let Some(address) = next {
                attempts.spawn(TcpStream::connect(address));
            }
            let ended = if more {
                match timeout(STAGGER, attempts.join_next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                }
            } else {
                attempts.join_next().await
            };
            match ended {
                Some(Ok(Ok(stream))) => {
                    // Small messages are the rule here; Nagle would hold them back for 40 ms.
                    stream.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
                    return Ok(stream);
                }
                Some(Ok(Err(e))) => last = failed(e.to_string()),
                Some(Err(e)) => last = failed(e.to_string()),
                None => return Err(last),
            }
        }
    };
    timeout(PATIENCE, attempt)
        .await
        .unwrap_or_else(|_| Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))))
}

/// Families in turn, the resolver's first choice first.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (mut a, mut b): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    a.reverse();
    b.reverse();
    let mut out = Vec::with_capacity(a.len() + b.len());
    while !(a.is_empty() && b.is_empty()) {
        out.extend(a.pop());
        out.extend(b.pop());
    }
    out
}

async fn upgrade(
    endpoint: &Endpoint,
    headers: &[(String, String)],
    stream: Box<dyn Transport>,
) -> Result<Socket, SessionError> {
    let bad = |reason: &dyn std::fmt::Display| {
        SessionError::WebSocket(format!("WebSocket upgrade to {}: {reason}", endpoint.host))
    };
    let authority = endpoint.uri.authority().map(|a| a.as_str()).unwrap_or_default();
    let mut request = Request::builder()
        .uri(endpoint.uri.clone())
        .header("Host", authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("User-Agent", concat!("ecsx/", env!("CARGO_PKG_VERSION")))
        .body(())
        .map_err(|e| bad(&e))?;
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("host") {
            continue;
        }
        let name: HeaderName = name.parse().map_err(|e| bad(&e))?;
        let mut value: HeaderValue = value.parse().map_err(|e| bad(&e))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(8 * 1024)
        .max_write_buffer_size(WRITE_LIMIT)
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(SessionError::Refused {
            host: endpoint.host.clone(),
            status: answer.status().as_u16(),
            body: excerpt(answer.body().as_deref().unwrap_or_default()),
        }),
        Err(e) => Err(bad(&e)),
    }
}

/// The beginning of a body, on one line, without control characters.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let a: Vec<SocketAddr> =
            ["[::1]:1", "[::2]:1", "1.1.1.1:1"].iter().map(|a| a.parse().unwrap()).collect();
        let order: Vec<String> = interleave(a).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1"]);
    }

    #[test]
    fn an_excerpt_cannot_play_with_the_terminal() {
        assert_eq!(excerpt(b"<p>\x1b[31m no\r\n way \xff</p>"), "<p> [31m no way \u{fffd}</p>");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named() {
        let error = connect("no-such-host.invalid", 443).await.unwrap_err().to_string();
        assert!(error.contains("no-such-host.invalid:443"), "{error}");
    }
}
