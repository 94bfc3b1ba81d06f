//! An etcd over TLS, with certificates of our own making.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::OsClock;
use cinclus_meta::{EtcdConfig, EtcdMetaStore, EtcdTls, MetaStore, TlsIdentity, TlsVersion, Txn};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::server::{Server, free_port};

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn identity(&self, name: &str) -> TlsIdentity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        TlsIdentity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// An etcd whose second port speaks TLS and wants to see a certificate of `clients`.
#[allow(clippy::disallowed_methods, reason = "etcd reads its certificates from files")]
async fn secured(directory: &Path, servers: &Authority, clients: &Authority, name: &str) -> (Server, u16) {
    let identity = servers.identity(name);
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let (cert, key) = (file("server.pem", &identity.certificate_pem), file("server.key", &identity.key_pem));
    let trusted = file("clients.pem", &clients.pem());
    let port = free_port();
    let more =
        ["--cert-file", &cert, "--key-file", &key, "--trusted-ca-file", &trusted, "--client-cert-auth"];
    (Server::start_with_port(&format!("https://127.0.0.1:{port}"), &more).await, port)
}

fn config(port: u16, tls: EtcdTls) -> EtcdConfig {
    EtcdConfig {
        endpoints: vec![format!("127.0.0.1:{port}")],
        key_prefix: "tls/".to_owned(),
        tls: Some(tls),
        request_timeout: Duration::from_secs(5),
        ..EtcdConfig::default()
    }
}

async fn refusal(port: u16, tls: EtcdTls) -> String {
    let opened = EtcdMetaStore::open(&config(port, tls), Arc::new(OsClock)).await;
    opened.map(drop).unwrap_err().to_string()
}

#[tokio::test]
async fn an_etcd_over_tls_is_used_as_any_other() {
    let (servers, clients, directory) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (_server, port) = secured(directory.path(), &servers, &clients, "127.0.0.1").await;
    for version_min in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let identity = Some(clients.identity("cinclus"));
        let tls = EtcdTls { ca_pem: servers.pem(), identity, version_min };
        let store = EtcdMetaStore::open(&config(port, tls), Arc::new(OsClock)).await.unwrap();
        let key = format!("{version_min:?}");
        store.commit(Txn::new().put(key.as_str(), "value")).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().unwrap().value, "value");
    }
}

#[tokio::test]
async fn whom_we_do_not_trust_or_who_does_not_trust_us_is_told_at_once() {
    let (servers, clients, directory) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (_server, port) = secured(directory.path(), &servers, &clients, "127.0.0.1").await;
    let version_min = TlsVersion::V1_3;
    let good = EtcdTls { ca_pem: servers.pem(), identity: Some(clients.identity("cinclus")), version_min };

    let other = refusal(port, EtcdTls { ca_pem: Authority::new().pem(), ..good.clone() }).await;
    assert!(other.contains("invalid peer certificate"), "{other}");
    assert!(other.contains(&port.to_string()), "{other}");
    let nobody = refusal(port, EtcdTls { identity: None, ..good.clone() }).await;
    assert!(nobody.to_lowercase().contains("certificate"), "{nobody}");
    let stranger = Some(Authority::new().identity("cinclus"));
    let stranger = refusal(port, EtcdTls { identity: stranger, ..good.clone() }).await;
    assert!(stranger.to_lowercase().contains("certificate"), "{stranger}");

    let empty = refusal(port, EtcdTls { ca_pem: "nothing".to_owned(), ..good.clone() }).await;
    assert!(empty.contains("the certificate of the authority: there is none in the file"), "{empty}");
    let identity = Some(TlsIdentity { key_pem: String::new(), ..clients.identity("cinclus") });
    let keyless = refusal(port, EtcdTls { identity, ..good.clone() }).await;
    assert!(keyless.contains("the key of our own certificate"), "{keyless}");
    let plain = EtcdConfig { tls: None, ..config(port, good) };
    let plain = EtcdMetaStore::open(&plain, Arc::new(OsClock)).await.map(drop).unwrap_err().to_string();
    assert!(plain.contains(&port.to_string()), "{plain}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_enough() {
    let (servers, clients, directory) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (_server, port) = secured(directory.path(), &servers, &clients, "elsewhere.example").await;
    let identity = Some(clients.identity("cinclus"));
    let tls = EtcdTls { ca_pem: servers.pem(), identity, version_min: TlsVersion::V1_2 };
    let refused = refusal(port, tls).await;
    assert!(refused.contains("not valid for name"), "{refused}");
}
