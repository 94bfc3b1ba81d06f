//! The proxy: Milvus' public protocol in, our words out.
//!
//! [`Proxy`] holds the parts, [`server`] hands each call to its handler, and there is one file a resource.
//! Errors go into the `status` of an answer ([`status`]); what is not served at all is in one list
//! (`unsupported`).
//!
//! A write is checked on its wire columns ([`validate`]), completed, split by shard ([`shards`]) and made
//! into messages ([`mod@write`]). A read gets its freshness ([`consistency`]) and its fields ([`fields`]), goes
//! to all shards at once ([`read`]), and comes back as one answer ([`merge`], [`rank`]).

pub mod config;
pub mod consistency;
pub mod convert;
pub mod decay;
pub mod fields;
pub mod guard;
pub mod ids;
pub mod index_params;
pub mod merge;
pub mod names;
pub mod params;
pub mod placeholder;
pub mod proto;
pub mod proxy;
pub mod rank;
pub mod read;
pub mod request_key;
pub mod server;
pub mod shards;
pub mod status;
pub mod validate;
pub mod write;

mod alias;
mod alter;
mod collection;
mod connect;
mod database;
mod delete;
mod flush;
mod hybrid;
mod index;
mod insert;
mod load;
mod partial;
mod partition;
mod query;
mod search;
mod statistics;
mod unsupported;
mod upsert;

pub use config::ProxyConfig;
pub use guard::Guarded;
pub use proxy::{Proxy, ProxyParts};
pub use server::Service;
pub use status::ProxyError;
