//! The one HTTP client under every AWS call: rustls with ring, proxies from the environment,
//! certificates read only when the first TLS connection is made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio_rustls::rustls::RootCertStore;

/// The client. Cloning shares its connections.
#[derive(Debug, Clone)]
pub(super) struct Http(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: TlsContext,
    connectors: Mutex<HashMap<Key, SharedHttpConnector>>,
}

/// What connectors differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    connect_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    /// Plain HTTP to this machine or link: no certificates, no proxy.
    local: bool,
}

/// `AWS_CA_BUNDLE` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificates of {} (AWS_CA_BUNDLE): {why}", path.display())]
pub struct BadCaBundle {
    path: PathBuf,
    why: String,
}

impl Http {
    /// `ca_bundle` (PEM) replaces the system's certificates, as with every AWS tool.
    pub(super) fn new(ca_bundle: Option<&Path>) -> Result<Self, BadCaBundle> {
        let mut context = TlsContext::builder();
        if let Some(path) = ca_bundle {
            let pem = read_bundle(path).map_err(|why| BadCaBundle { path: path.into(), why })?;
            context = context.with_trust_store(TrustStore::empty().with_pem_certificate(pem));
        }
        // Nothing can fail in it: rustls reads the certificates when it connects.
        let tls = context.build().unwrap_or_default();
        Ok(Self(Arc::new(Shared { tls, connectors: Mutex::default() })))
    }

    /// Sends one request, for what the SDK does not send itself.
    pub(super) fn send(&self, request: HttpRequest) -> HttpConnectorFuture {
        let timeouts = (Some(Duration::from_secs(5)), Some(Duration::from_secs(20)));
        self.connector(timeouts, is_local(request.uri())).call(request)
    }

    fn connector(
        &self,
        (connect_timeout, read_timeout): (Option<Duration>, Option<Duration>),
        local: bool,
    ) -> SharedHttpConnector {
        let key = Key { connect_timeout, read_timeout, local };
        let mut connectors = self.0.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.entry(key).or_insert_with(|| SharedHttpConnector::new(self.connect(key))).clone()
    }

    fn connect(&self, key: Key) -> Connector {
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(key.connect_timeout).set_read_timeout(key.read_timeout);
        let builder: ConnectorBuilder = Connector::builder().connector_settings(settings.build());
        if key.local {
            return builder.build_http();
        }
        builder
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(self.0.tls.clone())
            .build()
    }
}

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        SharedHttpConnector::new(ByAddress { http: self.clone(), timeouts })
    }
}

/// Picks the connector when the address is known.
#[derive(Debug)]
struct ByAddress {
    http: Http,
    timeouts: (Option<Duration>, Option<Duration>),
}

impl HttpConnector for ByAddress {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.http.connector(self.timeouts, is_local(request.uri())).call(request)
    }
}

/// `http://` to loopback (the sandbox) or link-local (instance and task metadata).
fn is_local(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// The bundle's bytes, once every certificate in it has been understood: the HTTP client would
/// panic over one that is not.
fn read_bundle(path: &Path) -> Result<Vec<u8>, String> {
    let found = rustls_native_certs::load_certs_from_paths(Some(path), None);
    if let Some(error) = found.errors.first() {
        return Err(error.to_string());
    }
    if found.certs.is_empty() {
        return Err("no certificate in it".into());
    }
    let mut roots = RootCertStore::empty();
    for certificate in found.certs {
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    std::fs::read(path).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_this_machine_or_link_goes_without_proxy_and_certificates() {
        for uri in [
            "http://127.0.0.1:4566/",
            "http://[::1]:80/x",
            "http://localhost",
            "http://169.254.169.254/latest",
        ] {
            assert!(is_local(uri), "{uri}");
        }
        for uri in [
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://localhost.evil.example/",
            "https://ecs.us-east-1.amazonaws.com",
        ] {
            assert!(!is_local(uri), "{uri}");
        }
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        for path in [file.path(), Path::new("/no/such/bundle.pem")] {
            let error = Http::new(Some(path)).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
