//! The local end of a forward: ports bound before anything is asked of AWS.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::holder;
use super::spec::Bind;

/// Free ports tried before giving up on one that all families have free.
const TRIES: usize = 20;

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
            Self::InUse { .. } => "take another local port, or a free one with -L :HOST:PORT".to_owned(),
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
        let (addresses, optional) = bind.addresses();
        let mut tries = 0;
        loop {
            tries += 1;
            match bind_all(&addresses, optional, port) {
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

fn bind_all(addresses: &[IpAddr], optional: bool, mut port: u16) -> Result<Listener, ListenError> {
    let mut listener = Listener { addresses: Vec::new(), sockets: Vec::new() };
    let mut missing = None;
    for &ip in addresses {
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
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Or :: would take 0.0.0.0 along, and the second bind fail.
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two programs share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
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
    fn an_address_of_somebody_else_is_refused() {
        let bind = Bind::Addresses(vec!["192.0.2.1".parse().unwrap()]);
        assert!(matches!(Listener::bind(&bind, 0), Err(ListenError::Other { .. })));
    }
}
