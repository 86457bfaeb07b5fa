//! Versions of agents and clients, and what they switch (protocol.md 4.4, 7.5).

/// A version's parts; missing or non-numeric ones are 0.
pub(crate) type Version = [u32; 4];

/// The first agent that forwards to remote hosts.
pub(crate) const REMOTE_HOST: Version = [3, 1, 1188, 0];
/// The last agent without multiplexed port sessions.
pub(crate) const AGENT_BASIC: Version = [3, 0, 196, 0];
/// The first client with multiplexed port sessions.
pub(crate) const CLIENT_MUX: Version = [1, 1, 70, 0];
/// The first agent that adds a random challenge to a data key's context.
pub(crate) const RANDOM_CHALLENGE: Version = [3, 3, 808, 0];
/// The first agent that refuses loopback as a remote host.
pub(crate) const NO_LOOPBACK: Version = [3, 3, 4851, 0];

pub(crate) fn parse(text: &str) -> Version {
    let mut version = [0; 4];
    for (part, text) in version.iter_mut().zip(text.split('.')) {
        *part = text.parse().unwrap_or(0);
    }
    version
}

/// Whether an agent keeps smux sessions alive with NOPs and closes those that fall silent.
///
/// Agents of the 3.1.1446 line never did, before and after them all did, and from 3.1.1575 on
/// they do only with clients up to 1.2.331.
pub(crate) fn keeps_alive(agent: Version, client: Version) -> bool {
    match agent {
        [3, 1, 1446..1476, _] => false,
        agent if agent < [3, 1, 1575, 0] => true,
        _ => client <= [1, 2, 331, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_follows_both_versions() {
        let client = parse("1.2.764.0");
        assert!(keeps_alive(parse("3.1.1374.0"), client));
        assert!(!keeps_alive(parse("3.1.1446.0"), client));
        assert!(keeps_alive(parse("3.1.1511.0"), client));
        assert!(!keeps_alive(parse("3.3.3572.0"), client));
        assert!(keeps_alive(parse("3.3.3572.0"), parse("1.2.331.0")));
    }
}
