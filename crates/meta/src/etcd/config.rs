//! The settings of a store in etcd.

use std::fmt;
use std::time::Duration;

/// Settings of a store in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// The members, as `host:port`, or with `http://` or, with TLS, `https://` before it; at least one.
    pub endpoints: Vec<String>,
    /// What every key begins with, as it is: a path ends with `/`. May be empty.
    pub key_prefix: String,
    /// Who logs in, if etcd asks for that.
    pub user: Option<EtcdUser>,
    /// How it is reached over TLS; `None` is without.
    pub tls: Option<EtcdTls>,
    /// How long one call may take, with all that is tried again within it. Default 10 s.
    pub request_timeout: Duration,
    /// How long it may take to connect to a member. Default 2 s.
    pub connect_timeout: Duration,
    /// How many operations etcd takes in one transaction: its `--max-txn-ops`. Default 128, as there.
    pub txn_operations_max: usize,
}

impl Default for EtcdConfig {
    fn default() -> EtcdConfig {
        EtcdConfig {
            endpoints: vec!["127.0.0.1:2379".to_owned()],
            key_prefix: String::new(),
            user: None,
            tls: None,
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            txn_operations_max: 128,
        }
    }
}

/// TLS to etcd: whom we trust, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// Certificates of the authorities that may have signed etcd's, as PEM.
    pub ca_pem: String,
    /// What we show, if etcd asks who we are.
    pub identity: Option<TlsIdentity>,
    /// The oldest version that is spoken.
    pub version_min: TlsVersion,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    V1_2,
    /// 1.3.
    V1_3,
}

/// A certificate and its key. The key is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate and those that signed it, as PEM.
    pub certificate_pem: String,
    /// The key, as PEM.
    pub key_pem: String,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// A user of etcd. Its password is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct EtcdUser {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for EtcdUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdUser").field("name", &self.name).finish_non_exhaustive()
    }
}
