//! Who has a port, and whether the other end of a local connection still has a program behind
//! it. Linux tells in /proc; elsewhere nobody is named.

use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::sync::Mutex;
#[cfg(target_os = "linux")]
use std::time::Duration;
use std::time::Instant;

/// What /proc/net/tcp tells of a socket.
#[cfg(any(target_os = "linux", test))]
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    remote: SocketAddr,
    listening: bool,
    /// 0: no program has it any more.
    inode: u64,
}

/// `psql (process 4711)`, if the system tells who listens on `address`.
#[cfg(target_os = "linux")]
pub(super) fn of_listener(address: SocketAddr) -> Option<String> {
    let covers = |entry: &Entry| {
        let ip = entry.local.ip();
        entry.listening
            && entry.local.port() == address.port()
            && (ip == address.ip() || ip.is_unspecified() || address.ip().is_unspecified())
    };
    let inode = entries().find(covers)?.inode;
    let link = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        if files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
        {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            // Cut at 15 bytes; the file's name is whole, but an interpreter's where a script runs.
            let file = std::fs::read_link(process.path().join("exe")).unwrap_or_default();
            let whole =
                file.file_name().and_then(|file| file.to_str()).filter(|file| file.starts_with(name.trim()));
            return Some(format!("{} (process {pid})", whole.unwrap_or(name.trim())));
        }
    }
    None
}

/// Whether the program at the other end of a connection from this machine closed it for good.
/// `since`: a moment at which the connection was there. `None` where that cannot be known.
#[cfg(target_os = "linux")]
pub(super) fn is_abandoned(ours: SocketAddr, theirs: SocketAddr, since: Instant) -> Option<bool> {
    // One reading of a table that can be long serves all connections that wait for one.
    static TABLE: Mutex<Option<(Instant, Vec<Entry>)>> = Mutex::new(None);
    let (ours, theirs) = (plain(ours), plain(theirs));
    if ours.ip() != theirs.ip() && !theirs.ip().is_loopback() {
        return None;
    }
    let mut table = TABLE.lock().ok()?;
    let fresh = table.take().filter(|(read, _)| *read > since && read.elapsed() < Duration::from_secs(1));
    let (_, entries) = table.insert(fresh.unwrap_or_else(|| (Instant::now(), entries().collect())));
    let find = |local, remote| entries.iter().find(|entry| entry.local == local && entry.remote == remote);
    // A table that lacks our own end is not the one the client is in.
    find(ours, theirs)?;
    Some(find(theirs, ours).is_none_or(|entry| entry.inode == 0))
}

/// Nobody is named here.
#[cfg(not(target_os = "linux"))]
pub(super) fn of_listener(_: SocketAddr) -> Option<String> {
    None
}

/// Nobody can tell here.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_abandoned(_: SocketAddr, _: SocketAddr, _: Instant) -> Option<bool> {
    None
}

#[cfg(target_os = "linux")]
fn entries() -> impl Iterator<Item = Entry> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(entry).collect::<Vec<_>>())
}

/// A line of /proc/net/tcp (proc(5)): number, local, remote, state, …, inode as tenth.
#[cfg(any(target_os = "linux", test))]
fn entry(line: &str) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (address(words.next()?)?, address(words.next()?)?, words.next()?);
    Some(Entry { local, remote, listening: state == "0A", inode: words.nth(5)?.parse().ok()? })
}

/// `0100007F:1538`: the address as 32-bit words in the machine's byte order.
#[cfg(any(target_os = "linux", test))]
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..ip.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip: std::net::IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    Some(plain(SocketAddr::new(ip, port)))
}

/// IPv4 inside IPv6 is IPv4, and scopes do not count.
#[cfg(any(target_os = "linux", test))]
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_read() {
        let line = "   3: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0        0 31337 1 0 100 0 0 10 0";
        let expected = Entry {
            local: "127.0.0.1:5432".parse().unwrap(),
            remote: "0.0.0.0:0".parse().unwrap(),
            listening: true,
            inode: 31337,
        };
        assert_eq!(entry(line), Some(expected));
        let v6 = address("00000000000000000000000001000000:0016");
        assert_eq!(v6, Some("[::1]:22".parse().unwrap()));
        for broken in
            ["", "x", "1: 2 3", "   3: 0100007F:1538 00000000:0000 0A", "3: 01:1 01:1 0A 0 0 0 0 0 1"]
        {
            assert_eq!(entry(broken), None, "{broken}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_half_closed_connection_is_not_an_abandoned_one() {
        use std::net::{Shutdown, TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let ours = server.local_addr().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(is_abandoned(ours, peer, Instant::now()), Some(false));
        drop(client);
        assert_eq!(is_abandoned(ours, peer, Instant::now()), Some(true));
    }
}
