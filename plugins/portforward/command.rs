//! The command that a forward is for: run once the ports are ready.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ecsx::plugin::exit;
use ecsx::session::forward::with_the_usual_descriptors;
use ecsx::ui::Failure;
use tokio::process::{Child, Command};

/// Starts `words` with the local ports in its environment and in its arguments.
pub(crate) fn start(words: &[OsString], locals: &[SocketAddr]) -> Result<Child, Failure> {
    let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("no command"))?;
    let program = fill(program, locals);
    let mut command = Command::new(&program);
    command.args(arguments.iter().map(|argument| fill(argument, locals))).envs(environment(locals));
    with_the_usual_descriptors(command.as_std_mut());
    command.spawn().map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { exit::NOT_FOUND } else { exit::CANNOT_RUN };
        Failure::because(format!("cannot run {}", program.to_string_lossy()), error).code(code)
    })
}

/// The address to connect to for a port that listens on `address`.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn environment(locals: &[SocketAddr]) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (at, local) in locals.iter().enumerate() {
        let suffix = if at == 0 { String::new() } else { format!("_{}", at + 1) };
        let (host, port) = (local.ip().to_string(), local.port().to_string());
        if at == 0 {
            for (name, value) in
                [("PGHOST", &host), ("PGPORT", &port), ("MYSQL_HOST", &host), ("MYSQL_TCP_PORT", &port)]
            {
                variables.push((name.to_owned(), value.clone()));
            }
        }
        variables.push((format!("ECSX_LOCAL_HOST{suffix}"), host));
        variables.push((format!("ECSX_LOCAL_PORT{suffix}"), port));
        variables.push((format!("ECSX_LOCAL_ADDR{suffix}"), local.to_string()));
    }
    variables
}

/// Puts the ports where `word` has `{host}`, `{port}`, `{addr}` (`{port2}` for the second).
fn fill(word: &OsStr, locals: &[SocketAddr]) -> OsString {
    let Some(text) = word.to_str() else { return word.to_owned() };
    let mut text = text.to_owned();
    for (at, local) in locals.iter().enumerate() {
        let suffix = if at == 0 { String::new() } else { (at + 1).to_string() };
        text = text
            .replace(&format!("{{host{suffix}}}"), &local.ip().to_string())
            .replace(&format!("{{port{suffix}}}"), &local.port().to_string())
            .replace(&format!("{{addr{suffix}}}"), &local.to_string());
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_finds_the_ports_in_its_arguments_and_its_environment() {
        let locals = ["127.0.0.1:15432".parse().unwrap(), "[::1]:6379".parse().unwrap()];
        for (word, expected) in [
            ("postgres://{addr}/x", "postgres://127.0.0.1:15432/x"),
            ("-p{port}", "-p15432"),
            ("{host2} {port2} {addr2}", "::1 6379 [::1]:6379"),
            ("{other} {} {port3}", "{other} {} {port3}"),
        ] {
            assert_eq!(fill(OsStr::new(word), &locals), expected);
        }
        let variables = environment(&locals);
        for expected in
            [("PGPORT", "15432"), ("ECSX_LOCAL_ADDR", "127.0.0.1:15432"), ("ECSX_LOCAL_PORT_2", "6379")]
        {
            assert!(variables.iter().any(|(n, v)| (n.as_str(), v.as_str()) == expected), "{expected:?}");
        }
    }

    #[test]
    fn a_port_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
    }
}
