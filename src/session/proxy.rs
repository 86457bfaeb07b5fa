//! HTTP proxies from the environment: which one to take, and CONNECT through it.

use std::net::IpAddr;

use base64::Engine as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::http::Uri;

use super::endpoint::Endpoint;

/// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as curl reads them.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For TLS.
    https: Option<String>,
    exceptions: Vec<String>,
}

impl std::fmt::Debug for Proxies {
    /// Without the proxy's URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let https = self.https.as_ref().map(|_| "…");
        f.debug_struct("Proxies").field("https", &https).field("exceptions", &self.exceptions).finish()
    }
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Value of Proxy-Authorization.
    authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxies {
    /// Reads the variables through `var`; lower case goes first, an empty value counts as none.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let any =
            |names: &[&str]| names.iter().filter_map(|name| var(name)).find(|value| !value.trim().is_empty());
        Self {
            https: any(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            exceptions: any(&["no_proxy", "NO_PROXY"])
                .map(|list| {
                    list.split([',', ' ']).filter(|s| !s.is_empty()).map(str::to_ascii_lowercase).collect()
                })
                .unwrap_or_default(),
        }
    }

    /// The proxy to reach `endpoint` through; `None` to go straight there. An error says what
    /// is wrong with the variable, without its value: it may hold a password.
    pub fn for_endpoint(&self, endpoint: &Endpoint) -> Result<Option<Proxy>, String> {
        let Some(proxy) = &self.https else { return Ok(None) };
        if endpoint.loopback
            || self.exceptions.iter().any(|rule| excepts(rule, &endpoint.host, endpoint.port))
        {
            return Ok(None);
        }
        parse(proxy.trim()).map(Some)
    }
}

/// Whether a rule of NO_PROXY covers a host: `*`, a domain and all below it, an address, a
/// network in CIDR notation; each but the network with an optional port.
fn excepts(rule: &str, host: &str, port: u16) -> bool {
    if rule == "*" {
        return true;
    }
    if let Some((network, bits)) = rule.split_once('/') {
        return match (network.parse::<IpAddr>(), bits.parse::<u32>(), host.parse::<IpAddr>()) {
            (Ok(IpAddr::V4(net)), Ok(bits @ 0..=32), Ok(IpAddr::V4(ip))) => {
                u64::from(u32::from(net) ^ u32::from(ip)) >> (32 - bits) == 0
            }
            (Ok(IpAddr::V6(net)), Ok(bits @ 0..=128), Ok(IpAddr::V6(ip))) => {
                (u128::from(net) ^ u128::from(ip)).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        };
    }
    let bare = rule.trim_start_matches('[');
    let (name, wanted) = match bare.rsplit_once(':') {
        Some((name, p)) if !name.contains(':') || name.ends_with(']') => (name, Some(p)),
        _ => (bare, None),
    };
    if wanted.is_some_and(|p| p.parse() != Ok(port)) {
        return false;
    }
    let name = name.trim_end_matches(']').trim_start_matches("*.").trim_start_matches('.');
    if let (Ok(a), Ok(b)) = (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return a == b;
    }
    !name.is_empty() && (host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
}

fn parse(value: &str) -> Result<Proxy, String> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(format!("a proxy of kind {scheme}:// is not supported, only http://"));
    }
    // The last @ ends the user name: passwords hold raw ones often enough.
    let (user, address) = match rest.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, rest),
    };
    let address = address.split(['/', '?']).next().unwrap_or_default();
    let uri: Uri = format!("http://{address}/").parse().map_err(|_| "its host does not parse".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    if host.is_empty() {
        return Err("it names no host".into());
    }
    let authorization = user.map(|user| {
        let plain = percent_decode(user);
        let plain = if plain.contains(&b':') { plain } else { [plain.as_slice(), b":"].concat() };
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
    });
    Ok(Proxy { host, port: uri.port_u16().unwrap_or(80), authorization })
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Longest answer to CONNECT that is read.
const ANSWER_LIMIT: usize = 8 * 1024;

impl Proxy {
    /// Asks the proxy on `stream` for a tunnel to `host:port`.
    pub(super) async fn connect<S>(&self, stream: &mut S, host: &str, port: u16) -> Result<(), String>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
        let mut answer = Vec::new();
        // Byte by byte: what follows the blank line is already the tunnel's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_LIMIT {
                return Err("its answer to CONNECT does not end".into());
            }
            match stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => return Err("it closed the connection instead of answering CONNECT".into()),
            }
        }
        let line =
            String::from_utf8_lossy(answer.split(|&b| b == b'\r').next().unwrap_or_default()).into_owned();
        let mut words = line.split_ascii_whitespace();
        let version = words.next().is_some_and(|v| v.starts_with("HTTP/1."));
        match words.next() {
            Some(status) if version && status.len() == 3 && status.starts_with('2') => Ok(()),
            Some("407") => Err("it wants a user name and password (HTTP 407)".into()),
            _ => Err(format!("it answered CONNECT with: {}", line.chars().take(100).collect::<String>())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(vars: &[(&str, &str)]) -> Proxies {
        Proxies::from_env(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn gateway() -> Endpoint {
        Endpoint::check("wss://ssmmessages.us-east-1.amazonaws.com/v1", "us-east-1", false).unwrap()
    }

    #[test]
    fn the_proxy_of_the_environment_is_taken() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, &str, u16); 5] = [
            (&[("HTTPS_PROXY", "http://proxy.corp:3128")], "proxy.corp", 3128),
            (&[("https_proxy", "proxy.corp:3128/")], "proxy.corp", 3128),
            (&[("ALL_PROXY", "http://[fd00::1]:8080")], "fd00::1", 8080),
            (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://other")], "other", 80),
            (&[("HTTPS_PROXY", "http://second"), ("https_proxy", "http://first:1")], "first", 1),
        ];
        for (vars, host, port) in cases {
            let proxy = proxies(vars).for_endpoint(&gateway()).unwrap().expect("a proxy");
            assert_eq!((proxy.host.as_str(), proxy.port), (host, port), "{vars:?}");
        }
        assert_eq!(proxies(&[("HTTP_PROXY", "http://x")]).for_endpoint(&gateway()), Ok(None));
    }

    #[test]
    fn user_and_password_are_sent_and_never_shown() {
        let proxy = proxies(&[("HTTPS_PROXY", "http://me:p%40ss@w@proxy:1")])
            .for_endpoint(&gateway())
            .unwrap()
            .unwrap();
        assert_eq!(proxy.host, "proxy");
        let encoded = proxy.authorization.as_deref().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(), b"me:p@ss@w");
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy:1)");
        let environment = |name: &str| (name == "HTTPS_PROXY").then(|| "http://me:secret@proxy:1".to_owned());
        let network = crate::session::Network::from_env(environment);
        assert!(!format!("{network:?}").contains("secret"), "{network:?}");
    }

    #[test]
    fn a_kind_of_proxy_that_is_not_supported_is_said() {
        let error = proxies(&[("ALL_PROXY", "socks5://u:secret@x:1")]).for_endpoint(&gateway()).unwrap_err();
        assert!(error.contains("socks5") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn no_proxy_covers_domains_addresses_networks_and_ports() {
        for (rule, host, covered) in [
            ("*", "a.example", true),
            ("amazonaws.com", "ssmmessages.us-east-1.amazonaws.com", true),
            (".amazonaws.com", "ssmmessages.us-east-1.amazonaws.com", true),
            ("*.amazonaws.com", "ssmmessages.us-east-1.amazonaws.com", true),
            ("zonaws.com", "ssmmessages.us-east-1.amazonaws.com", false),
            ("example.com:443", "example.com", true),
            ("example.com:80", "example.com", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("10.0.0.0/99", "10.1.2.3", false),
            ("fd00::1", "fd00::1", true),
            ("[fd00::1]:443", "fd00::1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("", "a", false),
            (":", "a", false),
        ] {
            assert_eq!(excepts(rule, host, 443), covered, "{rule} on {host}");
        }
        let with = proxies(&[("HTTPS_PROXY", "http://p"), ("NO_PROXY", "x.example, .AMAZONAWS.com")]);
        assert_eq!(with.for_endpoint(&gateway()), Ok(None));
    }

    #[test]
    fn loopback_is_reached_straight() {
        let endpoint = Endpoint::check("ws://127.0.0.1:1/v1", "us-east-1", true).unwrap();
        assert_eq!(proxies(&[("HTTPS_PROXY", "http://p")]).for_endpoint(&endpoint), Ok(None));
    }

    #[tokio::test]
    async fn a_tunnel_starts_right_after_the_blank_line() {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\ntunnel").await.unwrap();
        let proxy = parse("http://u:p@proxy:1").unwrap();
        proxy.connect(&mut ours, "fd00::1", 443).await.unwrap();
        let mut rest = [0; 6];
        ours.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"tunnel");
        drop(ours);
        let mut asked = String::new();
        theirs.read_to_string(&mut asked).await.unwrap();
        assert!(asked.starts_with("CONNECT [fd00::1]:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic dTpw\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_refusal_says_what_the_proxy_said() {
        for (answer, expected) in [
            (&b"HTTP/1.1 403 Forbidden by policy\r\n\r\n"[..], "403 Forbidden by policy"),
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "password"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "SSH-2.0"),
            (b"HTTP/1.1 2", "closed"),
        ] {
            let (mut ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            let error = parse("proxy").unwrap().connect(&mut ours, "h", 1).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
