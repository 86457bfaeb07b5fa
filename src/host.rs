//! What a host may be, in a project's file and on the command line alike.

use std::net::Ipv6Addr;

/// A host as one writes it, without the brackets that an IPv6 address may have. `None` if it is
/// no host, as a URL is none.
pub(crate) fn bare(text: &str) -> Option<&str> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let is_v6 = bare.split('%').next().unwrap_or_default().parse::<Ipv6Addr>().is_ok();
    let is_odd = |b: u8| b.is_ascii_whitespace() || b.is_ascii_control() || b"/@[]\"'\\".contains(&b);
    let is_host = !bare.is_empty() && !bare.bytes().any(is_odd);
    // Elsewhere a colon is before a port, and brackets are for IPv6 alone.
    (is_host && (is_v6 || !bare.contains(':') && bare == text)).then_some(bare)
}
