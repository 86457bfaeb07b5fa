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
    /// The host as written, where that is the container itself: `[::1]`, say.
    loopback: Option<String>,
}

/// A forward, or the name of one: what a command line may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Spelled out.
    Spec(Spec),
    /// By its name.
    Preset {
        /// The name.
        name: String,
        /// Port to listen on, over the preset's own; 0 for a free one.
        local_port: Option<u16>,
    },
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
    /// All of these.
    Several(Vec<Self>),
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
        let host = host.filter(|host| !host.is_empty() && !super::super::endpoint::is_loopback(host));
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

    /// Whether one port cannot be had on both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same = |a: &IpAddr, b: &IpAddr| {
            a == b || a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified())
        };
        let others = other.addresses();
        self.addresses().iter().any(|(a, _)| others.iter().any(|(b, _)| same(a, b)))
    }

    /// The addresses, each once, and whether it may be left out where this machine lacks it.
    pub(super) fn addresses(&self) -> Vec<(IpAddr, bool)> {
        let both = |v4: Ipv4Addr, v6: Ipv6Addr| vec![(v4.into(), true), (v6.into(), true)];
        match self {
            Self::Loopback => both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            Self::Public => both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Self::Addresses(addresses) => addresses.iter().map(|address| (*address, false)).collect(),
            Self::Several(binds) => {
                let mut all: Vec<(IpAddr, bool)> = Vec::new();
                for (address, optional) in binds.iter().flat_map(Self::addresses) {
                    match all.iter_mut().find(|(known, _)| *known == address) {
                        Some((_, either)) => *either &= optional,
                        None => all.push((address, optional)),
                    }
                }
                all
            }
        }
    }
}

impl Spec {
    /// From `local_port`, 0 for a free one, to `port` of `host`, an IPv6 address in brackets or not;
    /// without one, of the container itself.
    pub fn new(
        bind: Option<Bind>,
        local_port: u16,
        host: Option<&str>,
        port: u16,
    ) -> Result<Self, SpecError> {
        let host = host.map(str::trim);
        let fail =
            |what| SpecError { text: format!("{local_port}:{}:{port}", host.unwrap_or_default()), what };
        Ok(Self::to(bind, local_port, host.map(self::host).transpose().map_err(fail)?, port))
    }

    fn to(bind: Option<Bind>, local_port: u16, host: Option<&str>, port: u16) -> Self {
        let remote = Destination::new(host, port);
        let loopback = host.filter(|_| remote.host.is_none()).map(str::to_owned);
        Self { bind, local_port, remote, loopback }
    }

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
        let to = |bind: Option<Bind>, l: &str, h: Option<&str>, r: &str| {
            let host = h.map(host).transpose().map_err(fail)?;
            Ok(Self::to(bind, local(l)?, host, port("remote", r)?))
        };
        let is_port = |text: &str| text.is_empty() || text.bytes().all(|b| b.is_ascii_digit());
        match parts.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [remote] if !remote.is_empty() && is_port(remote) => Err(fail(format!(
                "only one port (write {remote}:{remote} for the container's own, or :HOST:{remote})"
            ))),
            [l, r] if is_port(l) => to(None, l, None, r),
            [h, p] => Err(fail(format!("no local port (write :{h}:{p} for a free one)"))),
            [l, h, r] if is_port(l) => to(None, l, Some(h), r),
            [b, l, r] if is_port(l) => to(Some(bind(b)?), l, None, r),
            [b, l, h, r] => to(Some(bind(b)?), l, Some(h), r),
            _ => Err(fail("not the right number of parts".into())),
        }
    }

    /// Where connections go, in the words it was asked for with.
    pub fn written(&self) -> Destination {
        let host = self.remote.host.as_ref().or(self.loopback.as_ref()).cloned();
        Destination { host, port: self.remote.port }
    }
}

impl Wish {
    /// kubectl's `LOCAL:REMOTE`, `:REMOTE`, `PORT` (the same on both sides), all of
    /// [`Spec::parse`], and `NAME`, `LOCAL:NAME`, `:NAME` of a preset.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let is_port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        match text.split_once(':') {
            None if !text.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Self::Preset { name: text.to_owned(), local_port: None })
            }
            None if is_port(text) => Spec::parse(&format!("{text}:{text}")).map(Self::Spec),
            Some((local, name)) if is_port(local) && is_name(name) => {
                let local_port = if local.is_empty() { Ok(0) } else { local.parse() };
                let fail =
                    |_| SpecError { text: text.to_owned(), what: format!("\"{local}\" is no local port") };
                Ok(Self::Preset { name: name.to_owned(), local_port: Some(local_port.map_err(fail)?) })
            }
            _ => Spec::parse(text).map(Self::Spec),
        }
    }
}

/// Whether this may name a preset, and nothing else behind a local port.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(':')
}

/// A host as one writes it, without brackets. Or what is wrong.
fn host(text: &str) -> Result<&str, String> {
    match text {
        "" => Err("an empty host".into()),
        _ => crate::host::bare(text).ok_or_else(|| format!("\"{text}\" is no host")),
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
        Spec::new(bind, local_port, host, port).unwrap()
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
            ("8080:localhost:80", spec(None, 8080, Some("localhost"), 80)),
            ("8080:127.0.0.1:80", spec(None, 8080, Some("127.0.0.1"), 80)),
        ] {
            assert_eq!(Spec::parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(Wish::parse(text), Ok(Wish::Spec(expected)), "{text}");
        }
        assert_eq!(Wish::parse("5432"), Ok(Wish::Spec(spec(None, 5432, None, 5432))));
    }

    #[test]
    fn a_word_that_is_no_port_is_a_name() {
        for (text, name, local_port) in [
            ("db", "db", None),
            ("redis-main", "redis-main", None),
            ("_x", "_x", None),
            ("", "", None),
            ("25432:db", "db", Some(25432)),
            (":db", "db", Some(0)),
        ] {
            let name = name.to_owned();
            assert_eq!(Wish::parse(text), Ok(Wish::Preset { name, local_port }), "{text}");
        }
        let error = Wish::parse("70000:db").unwrap_err().to_string();
        assert_eq!(error, "\"70000\" is no local port in the forward \"70000:db\"");
    }

    #[test]
    fn the_container_itself_is_called_what_it_was_called() {
        for (text, expected) in [
            ("15432:[::1]:5432", "[::1]:5432"),
            ("15432:127.0.0.1:5432", "127.0.0.1:5432"),
            ("15432:5432", "localhost:5432"),
            ("15432:db:5432", "db:5432"),
        ] {
            let spec = Spec::parse(text).unwrap();
            assert_eq!(spec.written().to_string(), expected);
            assert_eq!(spec.remote.host.is_some(), text.contains("db"));
        }
    }

    #[test]
    fn addresses_overlap_where_one_port_cannot_be_had_twice() {
        let bind = |text| Bind::parse(text).unwrap();
        for (one, other, expected) in [
            ("localhost", "127.0.0.1", true),
            ("localhost", "*", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "::1", false),
            ("::", "127.0.0.1", false),
        ] {
            assert_eq!(bind(one).overlaps(&bind(other)), expected, "{one} {other}");
            assert_eq!(bind(other).overlaps(&bind(one)), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_host_by_itself_is_read_as_one_in_a_forward() {
        for (host, expected) in [
            ("db", ":db:5432"),
            (" db ", ":db:5432"),
            ("fd00::1", ":[fd00::1]:5432"),
            ("[fd00::1]", ":[fd00::1]:5432"),
            ("LocalHost", ":5432"),
        ] {
            let remote = |spec: Spec| spec.remote;
            let alone = Spec::new(None, 0, Some(host), 5432).map(remote);
            assert_eq!(alone, Spec::parse(expected).map(remote), "{host}");
        }
        // A variable that is not set must not lead elsewhere.
        for host in ["", " "] {
            let error = Spec::new(None, 0, Some(host), 5432).unwrap_err().to_string();
            assert!(error.contains("an empty host"), "{error}");
        }
        for host in ["db:1", "[db]", "a b", "http://db", "me@db", "fd00::1]"] {
            let error = Spec::new(None, 0, Some(host), 5432).unwrap_err().to_string();
            assert!(error.contains(&format!("\"{host}\" is no host")), "{error}");
        }
    }

    #[test]
    fn several_addresses_are_each_taken_once() {
        let several = ["localhost", "127.0.0.2", "127.0.0.1"].map(|text| Bind::parse(text).unwrap());
        let expected = [("127.0.0.1", false), ("::1", true), ("127.0.0.2", false)];
        let expected = expected.map(|(address, optional)| (address.parse().unwrap(), optional));
        assert_eq!(Bind::Several(several.into()).addresses(), expected);
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
            let _ = Wish::parse(&text);
        }

        #[test]
        fn what_is_written_is_what_is_meant(local in 1u16.., host in "[a-z][a-z0-9.-]{0,20}[a-z]", port in 1u16..) {
            prop_assume!(host != "localhost");
            prop_assert_eq!(Spec::parse(&format!("{local}:{host}:{port}")), Ok(spec(None, local, Some(&host), port)));
        }
    }
}
