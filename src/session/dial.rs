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

    /// Trusts AWS_CA_BUNDLE alone if there is one, as every AWS tool does, else what the operating
    /// system trusts.
    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.ca_bundle else {
            // Some stores hold certificates that do not parse: the others count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return match roots.is_empty() {
                true => {
                    let nothing = "no trusted certificate was found on this machine";
                    Err(format!("{nothing}; name a bundle with AWS_CA_BUNDLE"))
                }
                false => Ok(roots),
            };
        };
        let unreadable = |e: &dyn std::fmt::Display| format!("AWS_CA_BUNDLE {}: {e}", path.display());
        let file = std::fs::File::open(path).map_err(|e| unreadable(&e))?;
        for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
            roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"it holds no certificate"));
        }
        Ok(roots)
    }

    fn client_config(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = self.roots()?;
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
    let mut request = Request::builder()
        .uri(endpoint.uri.clone())
        .header("Host", endpoint.authority())
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_tungstenite::tungstenite::handshake::server;

    use super::*;

    /// Of localhost and gateway.test, signed by itself and good for a hundred years.
    const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/certificate.pem");
    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/key.pem");
    const PATH: &str = "/v1/data-channel/dev@example.com-0a1b?role=publish_subscribe&cell-number=AAEL+/==";

    /// A gateway behind TLS that tells what it was asked, and its port.
    async fn gateway() -> (u16, tokio::task::JoinHandle<server::Request>) {
        let certificates = vec![CertificateDer::from_pem_file(CERTIFICATE).unwrap()];
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::from_pem_file(KEY).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let stream = TlsAcceptor::from(Arc::new(config)).accept(listener.accept().await.unwrap().0).await;
            let mut asked = None;
            #[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
            let upgrade = |request: &server::Request, answer| {
                asked = Some(request.clone());
                Ok(answer)
            };
            tokio_tungstenite::accept_hdr_async(stream.unwrap(), upgrade).await.unwrap();
            asked.unwrap()
        });
        (port, asked)
    }

    fn network(vars: &[(&str, &str)]) -> Network {
        Network::from_env(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn localhost(port: u16) -> Endpoint {
        Endpoint::check(&format!("wss://localhost:{port}{PATH}"), "us-east-1", true).unwrap()
    }

    #[tokio::test]
    async fn the_url_goes_out_as_received_with_the_signature_of_this_dial() {
        let (port, asked) = gateway().await;
        let headers = [("Authorization".to_owned(), "AWS4-HMAC-SHA256 …".to_owned())];
        let headers = [&headers[..], &[("host".to_owned(), "signed".to_owned())]].concat();
        network(&[("AWS_CA_BUNDLE", CERTIFICATE)]).dial(&localhost(port), &headers).await.unwrap();
        let asked = asked.await.unwrap();
        assert_eq!(asked.uri().to_string(), PATH);
        let header = |name| String::from_utf8_lossy(asked.headers()[name].as_bytes()).into_owned();
        assert_eq!(header("authorization"), "AWS4-HMAC-SHA256 …");
        assert_eq!(header("host"), format!("localhost:{port}"));
        assert!(
            !asked.headers().contains_key("origin")
                && !asked.headers().contains_key("sec-websocket-extensions")
        );
    }

    #[test]
    fn a_bundle_replaces_what_the_system_trusts_as_it_does_for_api_calls() {
        let alone = network(&[("AWS_CA_BUNDLE", CERTIFICATE)]).roots().unwrap();
        assert_eq!(alone.len(), 1);
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused() {
        let (port, _asked) = gateway().await;
        let error = network(&[]).dial(&localhost(port), &[]).await.err().unwrap();
        assert!(matches!(error, SessionError::Tls { .. }), "{error}");
        assert!(crate::ui::Explain::hints(&error)[0].contains("AWS_CA_BUNDLE"));
        let missing = network(&[("AWS_CA_BUNDLE", "/no/such/file")]);
        let (port, _asked) = gateway().await;
        let error = missing.dial(&localhost(port), &[]).await.err().unwrap().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }

    #[tokio::test]
    async fn a_proxy_tunnels_to_a_name_that_only_it_can_resolve() {
        let (port, asked) = gateway().await;
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://me:secret@{}", proxy.local_addr().unwrap());
        let connect = tokio::spawn(async move {
            let (mut client, _) = proxy.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(client.read_u8().await.unwrap());
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut gateway = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut gateway).await;
            String::from_utf8(request).unwrap()
        });
        let endpoint = Endpoint {
            host: "gateway.test".into(),
            port: 443,
            tls: true,
            loopback: false,
            uri: format!("wss://gateway.test{PATH}").parse().unwrap(),
        };
        let network = network(&[("AWS_CA_BUNDLE", CERTIFICATE), ("HTTPS_PROXY", &address)]);
        drop(network.dial(&endpoint, &[]).await.unwrap());
        assert_eq!(asked.await.unwrap().headers()["host"], "gateway.test");
        let connect = connect.await.unwrap();
        assert!(connect.starts_with("CONNECT gateway.test:443 HTTP/1.1\r\n"), "{connect}");
        assert!(connect.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{connect}");
    }

    #[tokio::test]
    async fn a_refused_upgrade_has_its_status_and_the_beginning_of_its_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\n<h1>Not for\x1b you</h1>";
            stream.write_all(answer).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
        });
        let endpoint = Endpoint::check(&url, "us-east-1", true).unwrap();
        let error = network(&[]).dial(&endpoint, &[]).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "127.0.0.1 refused the WebSocket upgrade: HTTP 403: <h1>Not for you</h1>"
        );
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // `localhost` is ::1 as well in most places, and nobody listens there.
        connect("localhost", port).await.unwrap();
    }

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
