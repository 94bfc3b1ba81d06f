//! The store in an etcd, for any number of processes.
//!
//! Revisions are etcd's, values are stored as they are, keys get a prefix. The client is our own, on tonic: `proto`
//! has the part of etcd's API that it speaks.
//!
//! | file | what |
//! | --- | --- |
//! | `config` | addresses, prefix, user, times |
//! | `connection` | calls to the members: which of them, with which token, for how long |
//! | `failure` | whether a call that failed may have had an effect (rule M2) |
//! | `keyspace` | keys with their prefix, ranges |
//! | `effects` | the writes of a transaction as etcd takes them: no key twice |
//! | `request` | a transaction in etcd's words, and its outcome in ours |
//! | `following` | a watch that survives connections |
//! | `store` | the store |
//! | `tls` | connections over TLS |
//!
//! **A lost answer.** etcd answers a transaction once. What a member refuses by name had no effect, neither had a
//! call whose connection was never made; everything else is `Unknown`. Only calls that may be made twice are sent
//! again.
//!
//! **Large transactions.** etcd takes 128 operations in a transaction (`--max-txn-ops`), and as many in each
//! transaction inside one, less what the outer one has. So the writes of a larger one go into transactions without
//! conditions inside it: one revision, all or nothing, up to 4096 writes.

mod config;
mod connection;
mod effects;
mod failure;
mod following;
mod keyspace;
mod proto;
mod request;
mod store;
mod tls;

pub use config::{EtcdConfig, EtcdTls, EtcdUser, TlsIdentity, TlsVersion};
pub use store::EtcdMetaStore;
