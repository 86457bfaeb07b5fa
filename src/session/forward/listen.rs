//! The local end of a forward: ports bound before anything is asked of AWS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
#[cfg(unix)]
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::holder;
use super::spec::Bind;

/// Free ports tried before giving up on one that all families have free.
const TRIES: usize = 20;
/// How long a program on this machine may take to answer.
#[cfg(unix)]
const ANSWER: Duration = Duration::from_millis(250);

/// A local port, bound on one address or more.
#[derive(Debug)]
pub struct Listener {
    /// The same port on all of them.
    pub addresses: Vec<SocketAddr>,
    pub(super) sockets: Vec<TcpListener>,
}

/// A local port that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("port {} on {} is in use{}", .address.port(), .address.ip(), by(.holder))]
    InUse {
        /// Address and port.
        address: SocketAddr,
        /// Program and process id that has it, where the system tells.
        holder: Option<String>,
    },
    /// Another reason.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// Address and port.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl crate::ui::Explain for ListenError {
    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::InUse { .. } => "take another local port, or a free one: nothing before the first colon (:8080, -L :HOST:PORT)".to_owned(),
            Self::Other { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 may need privileges; take a higher local port".to_owned()
            }
            Self::Other { .. } => return Vec::new(),
        }]
    }
}

fn by(holder: &Option<String>) -> String {
    holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default()
}

impl Listener {
    /// Binds `port` on all addresses of `bind`; 0 for a port that is free on all of them.
    pub fn bind(bind: &Bind, port: u16) -> Result<Self, ListenError> {
        let addresses = bind.addresses();
        let mut tries = 0;
        loop {
            tries += 1;
            match bind_all(&addresses, port) {
                Err(ListenError::InUse { .. }) if port == 0 && tries < TRIES => {}
                done => return done,
            }
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }
}

/// Of the addresses, those that are optional may be missing, though not all.
fn bind_all(addresses: &[(IpAddr, bool)], mut port: u16) -> Result<Listener, ListenError> {
    let mut listener = Listener { addresses: Vec::new(), sockets: Vec::new() };
    let mut missing = None;
    for &(ip, optional) in addresses {
        let wanted = SocketAddr::new(ip, port);
        match bind_one(wanted).and_then(|socket| Ok((socket.local_addr()?, socket))) {
            Ok((address, socket)) => {
                port = address.port();
                listener.addresses.push(address);
                listener.sockets.push(socket);
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                return Err(ListenError::InUse { address: wanted, holder: holder::of_listener(wanted) });
            }
            // Many containers have no IPv6, some hosts no IPv4.
            Err(source) if optional && is_absent(&source) => {
                missing = Some(ListenError::Other { address: wanted, source })
            }
            Err(source) => return Err(ListenError::Other { address: wanted, source }),
        }
    }
    match missing {
        Some(error) if listener.sockets.is_empty() => Err(error),
        _ => Ok(listener),
    }
}

/// Whether an address family is not there at all.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error()
            == Some(if cfg!(windows) {
                10047
            } else if cfg!(target_os = "macos") {
                47
            } else {
                97
            })
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = exclusive(address)?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A socket that has `address` for itself, but for what is left of old connections: that is what
/// SO_REUSEADDR is for on Linux. BSD and macOS take it for leave to listen beside somebody who
/// listens on all addresses, and localhost would lead to another place without a word.
#[cfg(unix)]
fn exclusive(address: SocketAddr) -> io::Result<Socket> {
    if let Err(e) = bound(address, false)
        && e.kind() == io::ErrorKind::AddrInUse
        && is_served(address)
    {
        return Err(e);
    }
    bound(address, true)
}

/// A socket that has `address` for itself. Windows lets one of all addresses and one of this
/// address have the same port.
#[cfg(windows)]
fn exclusive(address: SocketAddr) -> io::Result<Socket> {
    let other = match (address.ip().is_unspecified(), address.is_ipv4()) {
        (true, _) => on_loopback(address).ip(),
        (false, true) => Ipv4Addr::UNSPECIFIED.into(),
        (false, false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    if address.port() != 0 {
        bound(SocketAddr::new(other, address.port()), false)?;
    }
    bound(address, false)
}

fn bound(address: SocketAddr, reuse: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Or :: would take 0.0.0.0 along, and the second bind fail.
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two programs share a port.
    if reuse {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether somebody answers there.
#[cfg(unix)]
fn is_served(address: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&on_loopback(address), ANSWER).is_ok()
}

/// Where this machine reaches a port on all addresses.
fn on_loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_the_same_on_all_families() {
        let listener = Listener::bind(&Bind::Loopback, 0).unwrap();
        assert_ne!(listener.port(), 0);
        assert!(
            listener
                .addresses
                .iter()
                .all(|address| address.port() == listener.port() && address.ip().is_loopback())
        );
        let public = Listener::bind(&Bind::Public, 0).unwrap();
        assert!(public.addresses.iter().all(|address| address.ip().is_unspecified()));
    }

    #[test]
    fn a_port_in_use_on_either_family_names_its_holder() {
        for ip in ["127.0.0.1", "::1"] {
            let Ok(taken) = TcpListener::bind((ip, 0)) else { continue };
            let port = taken.local_addr().unwrap().port();
            let error = Listener::bind(&Bind::Loopback, port).unwrap_err().to_string();
            assert!(error.contains(&format!("port {port} on {ip} is in use")), "{error}");
            if cfg!(target_os = "linux") {
                assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
            }
        }
    }

    #[test]
    fn a_port_that_somebody_has_on_all_addresses_is_in_use_and_the_other_way_round() {
        for (holder, bind) in [("0.0.0.0", Bind::Loopback), ("127.0.0.1", Bind::Public)] {
            let taken = TcpListener::bind((holder, 0)).unwrap();
            let port = taken.local_addr().unwrap().port();
            let error = Listener::bind(&bind, port).unwrap_err();
            assert!(matches!(error, ListenError::InUse { .. }), "{holder}: {error}");
        }
    }

    #[test]
    fn what_is_left_of_old_connections_does_not_keep_the_port() {
        let first = Listener::bind(&Bind::Addresses(vec![Ipv4Addr::LOCALHOST.into()]), 0).unwrap();
        let client = std::net::TcpStream::connect(first.addresses[0]).unwrap();
        first.sockets[0].set_nonblocking(false).unwrap();
        // Who closes first has the remains.
        drop(first.sockets[0].accept().unwrap());
        drop(client);
        let port = first.port();
        drop(first);
        Listener::bind(&Bind::Addresses(vec![Ipv4Addr::LOCALHOST.into()]), port).unwrap();
    }

    #[test]
    fn an_address_of_somebody_else_is_refused() {
        let bind = Bind::Addresses(vec!["192.0.2.1".parse().unwrap()]);
        assert!(matches!(Listener::bind(&bind, 0), Err(ListenError::Other { .. })));
    }
}
