//! Connections to an etcd that is reached over TLS.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;

use super::config::{EtcdTls, TlsVersion};

/// The port of an address that names none.
const HTTPS: u16 = 443;

/// What makes connections.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Reads certificates and key.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub(super) fn new(config: &EtcdTls) -> Result<Tls, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("the certificate of the authority", &config.ca_pem)? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("the certificate of the authority: {error}"))?;
        }
        let versions = match config.version_min {
            TlsVersion::V1_2 => vec![&TLS13, &TLS12],
            TlsVersion::V1_3 => vec![&TLS13],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.map_err(|error| error.to_string())?.with_root_certificates(roots);
        let mut tls = match &config.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("our own certificate", &identity.certificate_pem)?;
                let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
                let key = key.map_err(|error| format!("the key of our own certificate: {error}"))?;
                let authenticated = builder.with_client_auth_cert(chain, key);
                authenticated.map_err(|error| format!("our own certificate and its key: {error}"))?
            }
        };
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Tls(TlsConnector::from(Arc::new(tls))))
    }

    /// A connection to the host of an address.
    ///
    /// # Errors
    /// It cannot be reached, or is not whom we trust.
    pub(super) async fn connect(self, address: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let host = address.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, address.port_u16().unwrap_or(HTTPS))).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let secured = self.0.connect(name, stream).await;
        secured.map(TokioIo::new).map_err(|error| io::Error::new(error.kind(), format!("TLS: {error}")))
    }
}

/// All certificates of a text; at least one.
fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{what}: there is none in the file")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}
