//! Port sessions: where they lead, and which of the two ways they take.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};

use super::End;
use super::handshake::{self, Request};
use super::link::Link;
use super::version::{self, Version};
use super::{basic, mux};
use crate::sandbox::Sandbox;
use crate::session::count;

/// Addresses that no agent forwards to (protocol.md 7.4).
const DENIED: &[&str] = &[
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.169.250",
    "169.254.169.251",
    "fd00:ec2::254",
    "fd00:ec2::253",
    "fd00:ec2::123",
    "fd00:ec2::240",
    "fd00:ec2::250",
];

/// Where a session's connections go.
pub(super) enum Destination<'a> {
    /// A port of the container itself, looked up for each connection.
    Container(&'a Sandbox, u16),
    /// A remote host's addresses, looked up once.
    Remote(&'a Sandbox, Vec<SocketAddr>),
}

impl Destination<'_> {
    /// Opens a connection; the error is that of the first address.
    pub(super) async fn dial(&self, link: &crate::session::Session) -> io::Result<TcpStream> {
        count(&link.counters.dials, 1);
        let (Self::Container(sandbox, _) | Self::Remote(sandbox, _)) = self;
        while sandbox.faults().hold_dials {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let looked_up;
        let addresses = match self {
            Self::Remote(_, addresses) => addresses,
            Self::Container(sandbox, port) => {
                looked_up = resolve(sandbox, "localhost", *port).await?;
                &looked_up
            }
        };
        let mut first = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| io::Error::other("no address")))
    }
}

/// Serves a port session to its end.
pub(super) async fn serve(
    sandbox: &Sandbox,
    link: &mut Link,
    agent: &str,
    host: Option<&str>,
    port: u16,
    properties: Value,
) -> End {
    let forwarding = properties["type"] == "LocalPortForwarding";
    let request = Request { agent, session_type: "Port", properties, kms_key: None };
    let client = match handshake::shake(link, sandbox, request).await {
        Ok(client) => client,
        Err(end) => return end,
    };
    let agent = version::parse(agent);
    let destination = match host {
        None => Destination::Container(sandbox, port),
        Some(host) => match remote(sandbox, agent, host, port).await {
            Ok(addresses) => Destination::Remote(sandbox, addresses),
            Err(reason) => return End::Failed(format!("----------ERROR-------\n{reason}")),
        },
    };
    if forwarding && agent > version::AGENT_BASIC && client >= version::CLIENT_MUX {
        mux::serve(link, &destination, version::keeps_alive(agent, client)).await
    } else {
        basic::serve(link, &destination, !forwarding).await
    }
}

async fn remote(sandbox: &Sandbox, agent: Version, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let literal = host.parse::<IpAddr>().ok();
    let loopback = host == "localhost" || literal.is_some_and(|address| address.is_loopback());
    if DENIED.contains(&host) || (loopback && agent >= version::NO_LOOPBACK) {
        return Err(format!("Forwarding to IP address {host} is forbidden."));
    }
    let addresses = resolve(sandbox, host, port).await;
    addresses.map_err(|error| format!("Unable to resolve host {host}: {error}"))
}

/// What a host and port mean in the pretend VPC.
async fn resolve(sandbox: &Sandbox, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = sandbox.world().lookup(host, port);
    Ok(lookup_host((host, port)).await?.collect())
}
