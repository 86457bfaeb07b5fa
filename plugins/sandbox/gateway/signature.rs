//! Checks the SigV4 signature of a WebSocket upgrade (protocol.md 1.5).

use std::fmt::Write as _;

use hyper::HeaderMap;
use ring::hmac::{HMAC_SHA256, Key, sign};
use sha2::{Digest, Sha256};

use crate::http::text;

/// What an upgrade's signature is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unsigned,
    Right,
    Wrong,
}

/// Looks at the signature of `GET target`, made with this key id and secret.
pub(super) fn check(target: &str, headers: &HeaderMap, key_id: &str, secret: &str) -> Verdict {
    let Some(authorization) = text(headers, "authorization") else { return Verdict::Unsigned };
    let expected = expect(target, headers, authorization, key_id, secret);
    if expected.is_some_and(|expected| field(authorization, "Signature=") == Some(&expected)) {
        Verdict::Right
    } else {
        Verdict::Wrong
    }
}

fn expect(
    target: &str,
    headers: &HeaderMap,
    authorization: &str,
    key_id: &str,
    secret: &str,
) -> Option<String> {
    let (given_id, scope) = field(authorization, "Credential=")?.split_once('/')?;
    let signed = field(authorization, "SignedHeaders=")?;
    let date = text(headers, "x-amz-date")?;
    if given_id != key_id || !scope.ends_with("/ssmmessages/aws4_request") {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = format!("GET\n{}\n{}\n", encode(path.as_bytes(), b"/"), canonical_query(query));
    for name in signed.split(';') {
        let _ = writeln!(request, "{name}:{}", text(headers, name)?.trim());
    }
    let _ = write!(request, "\n{signed}\n{}", hex(&Sha256::digest(b"")));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([to_sign.as_str()]) {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    Some(hex(&key))
}

/// A part of the Authorization header.
fn field<'a>(authorization: &'a str, name: &str) -> Option<&'a str> {
    authorization.split([' ', ',']).find_map(|part| part.strip_prefix(name))
}

/// Pairs decoded (a raw `+` is a space), encoded anew and sorted.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        format!("{}={}", encode(&decode(name), b""), encode(&decode(value), b""))
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs.join("&")
}

fn encode(bytes: &[u8], also: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || also.contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn decode(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
    }
    decoded
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amazon's own client signed these (signing.json).
    #[test]
    fn amazons_signatures_are_right_and_others_are_wrong() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/signing.json")).unwrap();
        let vectors = vectors["sigv4_websocket_upgrade"].as_array().unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let mut headers = HeaderMap::new();
            let url = vector["url"].as_str().unwrap().strip_prefix("wss://").unwrap();
            let (host, target) = url.split_at(url.find('/').unwrap());
            headers.insert("host", host.parse().unwrap());
            for (name, value) in vector["request_headers_added"].as_object().unwrap() {
                let name: hyper::header::HeaderName = name.parse().unwrap();
                headers.insert(name, value.as_str().unwrap().parse().unwrap());
            }
            let (id, secret) =
                (vector["access_key"].as_str().unwrap(), vector["secret_key"].as_str().unwrap());
            assert_eq!(check(target, &headers, id, secret), Verdict::Right, "{}", vector["name"]);
            assert_eq!(check(target, &headers, id, "another"), Verdict::Wrong);
            assert_eq!(check(&format!("{target}x"), &headers, id, secret), Verdict::Wrong);
        }
        assert_eq!(check("/", &HeaderMap::new(), "", ""), Verdict::Unsigned);
    }
}
