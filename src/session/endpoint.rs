//! Which stream URLs a session may be sent to, and their parts.
//!
//! The URL comes out of an API answer, and the session's token goes to wherever it points: so
//! it must be the message gateway of the session's own partition and region, or this machine
//! when the user pointed ecsx at an endpoint of their own (a sandbox).

use std::net::IpAddr;

use tokio_tungstenite::tungstenite::http::Uri;

use crate::ecs::Partition;

/// Where a stream URL leads, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `wss`, not `ws`.
    pub tls: bool,
    /// Whether the host is this machine.
    pub loopback: bool,
    /// The URL, exactly as received.
    pub uri: Uri,
}

impl std::fmt::Debug for Endpoint {
    /// Leaves the path and the query out: they can hold credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Why a stream URL was refused. Names the host at most: the rest of the URL is a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL that could be dialled at all.
    #[error("the stream URL that AWS answered is malformed: {0}")]
    Malformed(&'static str),
    /// Neither AWS' nor, with an overridden endpoint, on loopback.
    #[error(
        "the stream URL points to {host}, which is not a message gateway of AWS in {region}; nothing was sent there"
    )]
    Foreign {
        /// The host it names.
        host: String,
        /// Region of the session.
        region: String,
    },
    /// Plain `ws://` to somewhere else than loopback.
    #[error("the stream URL points to {0} without TLS; nothing was sent there")]
    Plaintext(String),
}

impl Endpoint {
    /// The `Host` header that belongs to the URL, and to a signature of it: a port that the
    /// scheme implies is left out (RFC 9110 4.2.3).
    pub(super) fn authority(&self) -> String {
        let authority = self.uri.authority().map(|a| a.as_str()).unwrap_or_default();
        let implied = if self.tls { ":443" } else { ":80" };
        authority.strip_suffix(implied).unwrap_or(authority).to_owned()
    }

    /// Checks `url` for a session of `region`. `overridden`: the user set an endpoint of their
    /// own, so loopback is allowed too, `ws://` included.
    pub fn check(url: &str, region: &str, overridden: bool) -> Result<Self, EndpointError> {
        use EndpointError::{Foreign, Malformed, Plaintext};
        if url.bytes().any(|b| b == b'#' || b == b'\\' || b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err(Malformed("it holds a character that no URL may hold"));
        }
        let uri: Uri = url.parse().map_err(|_| Malformed("it does not parse"))?;
        let tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(Malformed("its scheme is neither wss nor ws")),
        };
        let authority = uri.authority().ok_or(Malformed("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(Malformed("it holds a user name"));
        }
        if uri.path_and_query().is_none_or(|path| !path.as_str().starts_with('/')) {
            return Err(Malformed("it has no path"));
        }
        let bracketed = authority.host();
        let host = bracketed.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(bracketed);
        if host.is_empty() {
            return Err(Malformed("it has no host"));
        }
        let host = host.to_ascii_lowercase();
        // `authority.port_u16()` takes "host:" and "host:99999" for no port at all.
        let port = match authority.as_str().strip_prefix(bracketed) {
            Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            _ => authority.port_u16().filter(|&p| p != 0).ok_or(Malformed("its port is no port"))?,
        };
        let loopback = is_loopback(&host);
        if !(loopback && overridden) {
            if !is_gateway(&host, region) {
                return Err(Foreign { host, region: region.to_owned() });
            }
            if !tls {
                return Err(Plaintext(host));
            }
        }
        Ok(Self { host, port, tls, loopback, uri })
    }
}

/// Whether `host` names this machine without asking a resolver.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether `host` is the message gateway of `region`: `ssmmessages`, its FIPS and dual-stack
/// forms, or a VPC endpoint of it.
fn is_gateway(host: &str, region: &str) -> bool {
    let plain =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !plain(region) {
        return false;
    }
    let region = region.to_ascii_lowercase();
    let Partition { dns_suffix: usual, dual_stack_dns_suffix: dual } = Partition::of(&region);
    let service = |label: &str| {
        label
            .strip_prefix("ssmmessages")
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && plain(rest)))
    };
    let rest = |suffix: &str| Some(host.strip_suffix(suffix)?.strip_suffix('.')?.to_owned());
    let regional =
        |rest: String| rest.strip_suffix(&region).and_then(|r| r.strip_suffix('.')).is_some_and(service);
    if rest(usual).is_some_and(regional) || rest(dual).is_some_and(regional) {
        return true;
    }
    // vpce-0123-abcd.ssmmessages.REGION.vpce.SUFFIX, with or without a zone in its first label.
    rest(usual)
        .as_deref()
        .and_then(|r| r.strip_suffix(".vpce")?.strip_suffix(&region)?.strip_suffix('.')?.split_once('.'))
        .is_some_and(|(id, name)| id.starts_with("vpce-") && plain(id) && service(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str =
        "/v1/data-channel/ecs-execute-command-0a1b?role=publish_subscribe&cell-number=AAEL+/==";

    fn host(host: &str, region: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::check(&format!("wss://{host}{PATH}"), region, false)
    }

    #[test]
    fn every_form_of_the_gateway_is_accepted() {
        for (name, region) in [
            ("ssmmessages.ap-northeast-1.amazonaws.com", "ap-northeast-1"),
            ("SSMMessages.us-east-1.amazonaws.com:443", "us-east-1"),
            ("ssmmessages-fips.us-west-2.amazonaws.com", "us-west-2"),
            ("ssmmessages.us-east-1.api.aws", "us-east-1"),
            ("ssmmessages-fips.us-gov-west-1.api.aws", "us-gov-west-1"),
            ("ssmmessages.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("ssmmessages.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("ssmmessages.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
            ("ssmmessages.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
            ("ssmmessages.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
            ("ssmmessages.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
            ("ssmmessages.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
            ("vpce-0123abcd-x1y2.ssmmessages.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
            ("vpce-0123abcd-x1y2-eu-west-1a.ssmmessages.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ] {
            let endpoint = host(name, region).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!((endpoint.port, endpoint.tls), (443, true), "{name}");
            assert_eq!(endpoint.uri.path_and_query().unwrap().as_str(), PATH, "sent exactly as received");
        }
    }

    #[test]
    fn a_host_that_only_looks_like_aws_is_refused() {
        for name in [
            "ssmmessages.us-east-1.amazonaws.com.evil.example",
            "ssmmessages.us-east-1.amazonaws.com.",
            "ssmmessages.us-east-1.evilamazonaws.com",
            "evil.example",
            "ssmmessages.us-east-1.amazonaws.com.cn",
            "ssmmessages.eu-west-1.amazonaws.com",
            "xssmmessages.us-east-1.amazonaws.com",
            "ssmmessagesx.us-east-1.amazonaws.com",
            "evil.ssmmessages.us-east-1.amazonaws.com",
            "ssmmessages-.evil.us-east-1.amazonaws.com",
            "mybucket.s3.us-east-1.amazonaws.com",
            "vpce-1.evil.ssmmessages.us-east-1.vpce.amazonaws.com",
            "x.ssmmessages.us-east-1.vpce.amazonaws.com",
            "127.0.0.1",
            "localhost",
            "[::1]",
            "169.254.169.254",
        ] {
            assert!(matches!(host(name, "us-east-1"), Err(EndpointError::Foreign { .. })), "{name}");
        }
    }

    #[test]
    fn tricks_with_the_url_are_refused() {
        for url in [
            "wss://ssmmessages.us-east-1.amazonaws.com@evil.example/v1",
            "wss://user:pw@ssmmessages.us-east-1.amazonaws.com/v1",
            "https://ssmmessages.us-east-1.amazonaws.com/v1",
            "ssmmessages.us-east-1.amazonaws.com/v1",
            "wss:///v1",
            "wss://evil.example\\.ssmmessages.us-east-1.amazonaws.com/v1",
            "wss://ssmmessages.us-east-1.amazonaws.com/v1#x",
            "wss://ssmmessages.us-east-1.amazonaws.com/v1\r\nX: y",
            "wss://ssmmessages.us-east-1.amazonaws.com:99999/v1",
            "wss://ssmmessages.us-east-1.amazonaws.com:/v1",
            "",
        ] {
            assert!(
                matches!(Endpoint::check(url, "us-east-1", true), Err(EndpointError::Malformed(_))),
                "{url}"
            );
        }
        let plain = Endpoint::check("ws://ssmmessages.us-east-1.amazonaws.com/v1", "us-east-1", true);
        assert!(matches!(plain, Err(EndpointError::Plaintext(_))), "{plain:?}");
        let region =
            Endpoint::check("wss://ssmmessages.evil.example/x.amazonaws.com/", "evil.example/x", false);
        assert!(region.is_err());
    }

    #[test]
    fn loopback_is_for_an_overridden_endpoint_only() {
        for url in
            ["ws://127.0.0.1:8090/v1", "ws://localhost:8090/v1", "ws://[::1]:8090/v1", "wss://127.0.0.2/v1"]
        {
            assert!(Endpoint::check(url, "us-east-1", true).is_ok(), "{url}");
            assert!(Endpoint::check(url, "us-east-1", false).is_err(), "{url}");
        }
        assert!(Endpoint::check("ws://localhost.evil.example/v1", "us-east-1", true).is_err());
        assert!(Endpoint::check("ws://10.0.0.1/v1", "us-east-1", true).is_err());
    }

    #[test]
    fn the_host_header_is_the_one_that_is_signed() {
        let header = |url| Endpoint::check(url, "us-east-1", true).unwrap().authority();
        let host = "ssmmessages.us-east-1.amazonaws.com";
        assert_eq!(header("wss://ssmmessages.us-east-1.amazonaws.com:443/v1"), host);
        assert_eq!(header("wss://ssmmessages.us-east-1.amazonaws.com/v1"), host);
        assert_eq!(header("ws://[::1]:443/v1"), "[::1]:443");
        assert_eq!(header("ws://[::1]:80/v1"), "[::1]");
        assert_eq!(header("wss://127.0.0.1:8443/v1"), "127.0.0.1:8443");
    }

    #[test]
    fn nothing_of_the_url_but_its_host_is_shown() {
        let endpoint = host("ssmmessages.us-east-1.amazonaws.com", "us-east-1").unwrap();
        assert!(!format!("{endpoint:?}").contains("cell-number"));
    }
}
