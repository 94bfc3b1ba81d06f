//! The settings of a store in etcd.

use std::fmt;
use std::time::Duration;

/// Settings of a store in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// The members, as `host:port` or `http://host:port`; at least one.
    pub endpoints: Vec<String>,
    /// What every key begins with, as it is: a path ends with `/`. May be empty.
    pub key_prefix: String,
    /// Who logs in, if etcd asks for that.
    pub user: Option<EtcdUser>,
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
            request_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(2),
            txn_operations_max: 128,
        }
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
