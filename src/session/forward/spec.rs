//! What a forward is asked for: `-L` as ssh has it, `LOCAL:REMOTE` as kubectl has it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One forward: from where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Addresses to listen on, if the text names them.
    pub bind: Option<Bind>,
    /// Port to listen on; 0 for a free one.
    pub local_port: u16,
    /// Where connections go.
    pub remote: Destination,
}

/// Addresses to listen on, all with the same port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// 127.0.0.1 and ::1, as far as this machine has them.
    Loopback,
    /// 0.0.0.0 and ::, as far as this machine has them.
    Public,
    /// These, each of which must work.
    Addresses(Vec<IpAddr>),
}

/// Where connections go, seen from the container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// Host name or address; `None` for the container itself.
    pub host: Option<String>,
    /// TCP port.
    pub port: u16,
}

/// Text that is no forward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} in the forward \"{text}\"")]
pub struct SpecError {
    text: String,
    what: String,
}

/// The forms, for messages.
pub const FORMS: &str = "forms: LOCAL:HOST:PORT, :HOST:PORT (free local port), LOCAL:PORT (of the container itself), BIND:LOCAL:HOST:PORT; IPv6 addresses in brackets";

impl crate::ui::Explain for SpecError {
    fn hints(&self) -> Vec<String> {
        vec![FORMS.to_owned()]
    }

    fn exit_code(&self) -> u8 {
        2
    }
}

impl Destination {
    /// `host` as the user wrote it. The container itself has no host: agents from 3.3.4851.0 on
    /// refuse loopback as a remote host.
    pub fn new(host: Option<&str>, port: u16) -> Self {
        let host =
            host.map(str::trim).filter(|host| !host.is_empty() && !super::super::endpoint::is_loopback(host));
        Self { host: host.map(str::to_owned), port }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, "localhost:{}", self.port),
        }
    }
}

impl Bind {
    /// An address, `localhost`, or `*` for all.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Public),
            "localhost" => Some(Self::Loopback),
            _ => Some(Self::Addresses(vec![text.parse().ok()?])),
        }
    }

    /// The addresses, and whether one that this machine lacks may be left out.
    pub(super) fn addresses(&self) -> (Vec<IpAddr>, bool) {
        match self {
            Self::Loopback => (vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], true),
            Self::Public => (vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()], true),
            Self::Addresses(addresses) => (addresses.clone(), false),
        }
    }
}

impl Spec {
    /// `[BIND:]LOCAL:HOST:PORT`, `LOCAL:PORT`, `BIND:LOCAL:PORT`, `:HOST:PORT`, `:PORT`.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let fail = |what: String| SpecError { text: text.to_owned(), what };
        let parts = split(text).map_err(|what| fail(what.to_owned()))?;
        let port = |what: &str, text: &str| match text.parse::<u16>() {
            Ok(0) | Err(_) if what == "remote" => Err(fail(format!("\"{text}\" is no {what} port"))),
            Ok(port) => Ok(port),
            Err(_) => Err(fail(format!("\"{text}\" is no {what} port"))),
        };
        // An empty local port is a free one.
        let local = |text: &str| if text.is_empty() { Ok(0) } else { port("local", text) };
        let bind = |text: &str| match text {
            "" => Err(fail("an empty bind address (write * for all addresses)".into())),
            _ => Bind::parse(text).ok_or_else(|| fail(format!("\"{text}\" is no address to listen on"))),
        };
        let host = |text: &str| match text {
            "" => Err(fail("an empty host".into())),
            _ if text.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control() || b == b'/') => {
                Err(fail(format!("\"{text}\" is no host")))
            }
            _ => Ok(text.to_owned()),
        };
        let is_port = |text: &str| text.is_empty() || text.bytes().all(|b| b.is_ascii_digit());
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [remote] if !remote.is_empty() && is_port(remote) => Err(fail(format!(
                "only one port (write {remote}:{remote} for the container's own, or :HOST:{remote})"
            ))),
            [l, r] if is_port(l) => Ok(Self {
                bind: None,
                local_port: local(l)?,
                remote: Destination::new(None, port("remote", r)?),
            }),
            [h, p] => Err(fail(format!("no local port (write :{h}:{p} for a free one)"))),
            [l, h, r] if is_port(l) => Ok(Self {
                bind: None,
                local_port: local(l)?,
                remote: Destination::new(Some(&host(h)?), port("remote", r)?),
            }),
            [b, l, r] if is_port(l) => Ok(Self {
                bind: Some(bind(b)?),
                local_port: local(l)?,
                remote: Destination::new(None, port("remote", r)?),
            }),
            [b, l, h, r] => Ok(Self {
                bind: Some(bind(b)?),
                local_port: local(l)?,
                remote: Destination::new(Some(&host(h)?), port("remote", r)?),
            }),
            _ => Err(fail("not the right number of parts".into())),
        }
    }

    /// kubectl's `LOCAL:REMOTE`, `:REMOTE`, `PORT` (the same on both sides), and all of
    /// [`Self::parse`]. `None` for a word that begins like a name.
    pub fn parse_word(text: &str) -> Option<Result<Self, SpecError>> {
        if !text.contains(':') && !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(Self::parse(&format!("{text}:{text}")));
        }
        Some(Self::parse(text))
    }
}

/// Splits at colons outside of brackets, and takes the brackets off.
fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut parts = vec![String::new()];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let part = parts.last_mut().ok_or("nothing")?;
        if c == '[' {
            let (inside, after) = rest[1..].split_once(']').ok_or("a bracket that does not close")?;
            let address = inside.split('%').next().unwrap_or_default();
            if !part.is_empty()
                || address.parse::<Ipv6Addr>().is_err()
                || !(after.is_empty() || after.starts_with(':'))
            {
                return Err("brackets that hold no IPv6 address");
            }
            part.push_str(inside);
            rest = after;
        } else {
            if c == ':' {
                parts.push(String::new());
            } else {
                part.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(bind: Option<Bind>, local_port: u16, host: Option<&str>, port: u16) -> Spec {
        Spec { bind, local_port, remote: Destination { host: host.map(str::to_owned), port } }
    }

    fn at(address: &str) -> Option<Bind> {
        Some(Bind::Addresses(vec![address.parse().unwrap()]))
    }

    #[test]
    fn every_form_of_a_forward() {
        for (text, expected) in [
            ("15432:db.internal:5432", spec(None, 15432, Some("db.internal"), 5432)),
            (":db.internal:5432", spec(None, 0, Some("db.internal"), 5432)),
            ("0:db.internal:5432", spec(None, 0, Some("db.internal"), 5432)),
            ("8080:80", spec(None, 8080, None, 80)),
            (":80", spec(None, 0, None, 80)),
            ("127.0.0.1:8080:80", spec(at("127.0.0.1"), 8080, None, 80)),
            ("0.0.0.0:15432:db:5432", spec(at("0.0.0.0"), 15432, Some("db"), 5432)),
            ("*:15432:db:5432", spec(Some(Bind::Public), 15432, Some("db"), 5432)),
            ("localhost:15432:db:5432", spec(Some(Bind::Loopback), 15432, Some("db"), 5432)),
            ("[::1]:15432:[fd00::1]:5432", spec(at("::1"), 15432, Some("fd00::1"), 5432)),
            ("15432:[fd00::1]:5432", spec(None, 15432, Some("fd00::1"), 5432)),
            ("8080:localhost:80", spec(None, 8080, None, 80)),
            ("8080:127.0.0.1:80", spec(None, 8080, None, 80)),
        ] {
            assert_eq!(Spec::parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(Spec::parse_word(text), Some(Ok(expected)), "{text}");
        }
        assert_eq!(Spec::parse_word("5432"), Some(Ok(spec(None, 5432, None, 5432))));
    }

    #[test]
    fn a_word_that_is_no_port_is_a_name() {
        for name in ["db", "redis-main", "_x", ""] {
            assert_eq!(Spec::parse_word(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_forward_is_said() {
        for (text, expected) in [
            ("", "number of parts"),
            ("5432", "only one port"),
            ("db:5432", ":db:5432"),
            ("15432:db:x", "\"x\" is no remote port"),
            ("15432:db:0", "\"0\" is no remote port"),
            ("15432:db:65536", "\"65536\" is no remote port"),
            ("70000:db:5432", "\"70000\" is no local port"),
            ("15432::5432", "empty host"),
            (":15432:db:5432", "empty bind"),
            ("db:15432:db:5432", "\"db\" is no address"),
            ("1:2:3:4:5", "number of parts"),
            ("15432:[fd00::1:5432", "does not close"),
            ("15432:[db]:5432", "brackets"),
            ("15432:x[::1]:5432", "brackets"),
            ("15432:[::1]x:5432", "brackets"),
            ("15432:a b:5432", "no host"),
            ("1:2:db:-1", "no address"),
            ("15432:db:", "no remote port"),
        ] {
            let error = Spec::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected) && error.contains(&format!("\"{text}\"")), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in ".{0,40}") {
            let _ = Spec::parse_word(&text);
        }

        #[test]
        fn what_is_written_is_what_is_meant(local in 1u16.., host in "[a-z][a-z0-9.-]{0,20}[a-z]", port in 1u16..) {
            prop_assume!(host != "localhost");
            prop_assert_eq!(Spec::parse(&format!("{local}:{host}:{port}")), Ok(spec(None, local, Some(&host), port)));
        }
    }
}
