//! The store in etcd.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_env::DynClock;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};

use super::config::EtcdConfig;
use super::connection::{Connection, Repeat};
use super::failure::Failure;
use super::following::Following;
use super::keyspace::{Keyspace, after};
use super::proto::kv_client::KvClient;
use super::proto::lease_client::LeaseClient;
use super::proto::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, RangeRequest,
    RangeResponse,
};
use super::request;
use crate::entry::{Entry, Revision};
use crate::error::{MetaError, OpenError};
use crate::lease::LeaseId;
use crate::plan;
use crate::store::MetaStore;
use crate::txn::{CommitOutcome, Txn};
use crate::watch::Watch;

/// Keys that are read at once.
const PAGE: i64 = 512;
/// How often a scan begins anew because its revision was compacted before it ended.
const SCANS_MAX: u32 = 5;

/// A [`MetaStore`] in an etcd of version 3.4 or later, for any number of processes.
///
/// Revisions are those of etcd, which counts the changes of everybody: they grow by more than one where others
/// write too. A lease lasts whole seconds, rounded up. Transactions are bounded by etcd: conditions by
/// [`EtcdConfig::txn_operations_max`], all bytes by its `--max-request-bytes` (1.5 MiB unless set).
pub struct EtcdMetaStore {
    connection: Arc<Connection>,
    keys: Keyspace,
    operations_max: usize,
}

impl EtcdMetaStore {
    /// Connects, and looks whether etcd answers.
    ///
    /// # Errors
    /// [`OpenError::Unreachable`] if no member does, [`OpenError::Refused`] if they do not want us.
    pub async fn open(config: &EtcdConfig, clock: DynClock) -> Result<EtcdMetaStore, OpenError> {
        let connection = Arc::new(Connection::new(config, clock)?);
        let keys = Keyspace::new(config.key_prefix.clone());
        let store = EtcdMetaStore { connection, keys, operations_max: config.txn_operations_max };
        let range = store.keys.under("");
        let probe =
            RangeRequest { key: range.from, range_end: range.end, limit: 1, keys_only: true, revision: 0 };
        match store.range(probe).await {
            Ok(_) => Ok(store),
            Err(failure) => {
                let (address, mut reason) = (store.connection.addresses(), failure.reason().to_owned());
                // With TLS 1.3 a client takes itself for accepted before the server has looked at its certificate, and
                // whether the server's alert is read before the connection breaks is a race.
                if config.tls.is_some() && matches!(failure, Failure::Lost(_)) {
                    reason.push_str("; so ends a connection whose client's certificate etcd does not take");
                }
                Err(match failure {
                    Failure::Away(_) | Failure::Busy(_) | Failure::Lost(_) => {
                        OpenError::Unreachable { address, reason }
                    }
                    Failure::Login(_)
                    | Failure::Refused(_)
                    | Failure::Compacted(_)
                    | Failure::LeaseGone(_) => OpenError::Refused { address, reason },
                })
            }
        }
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Failure> {
        let send = |channel, request| async move {
            KvClient::new(channel).max_decoding_message_size(usize::MAX).range(request).await
        };
        self.connection.call(request, Repeat::Always, send).await
    }

    /// All pages at the revision of the first.
    async fn try_scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), Failure> {
        let range = self.keys.under(prefix);
        let mut page = RangeRequest {
            key: range.from,
            range_end: range.end,
            limit: PAGE,
            revision: 0,
            keys_only: false,
        };
        let mut entries = Vec::new();
        loop {
            let answer = self.range(page.clone()).await?;
            if page.revision == 0 {
                let revision = request::revision(answer.header.as_ref());
                // Invariant M4.
                page.revision = revision.map_err(|error| Failure::Refused(error.to_string()))?.0 as i64;
            }
            let last = answer.kvs.last().map(|found| after(&found.key));
            entries.extend(answer.kvs.into_iter().filter_map(|found| self.keys.entry(found)));
            match last {
                Some(next) if answer.more => page.key = next,
                Some(_) | None => return Ok((Revision(page.revision as u64), entries)),
            }
        }
    }

    /// Which of the leases of a transaction is gone, after etcd said that one is.
    async fn gone_of(&self, leases: &[LeaseId]) -> Option<LeaseId> {
        let send =
            |channel, request| async move { LeaseClient::new(channel).lease_time_to_live(request).await };
        for lease in leases.iter().skip(1) {
            let question = LeaseTimeToLiveRequest { id: lease.0 as i64 };
            let answer = self.connection.call(question, Repeat::Always, send).await;
            if answer.is_ok_and(|answer| answer.ttl < 0) {
                return Some(*lease);
            }
        }
        leases.first().copied()
    }
}

#[async_trait]
impl MetaStore for EtcdMetaStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        if key.is_empty() {
            return Ok(None);
        }
        let request = RangeRequest { key: self.keys.key(key), ..RangeRequest::default() };
        let answer = self.range(request).await.map_err(Failure::of_read)?;
        Ok(answer.kvs.into_iter().next().and_then(|found| self.keys.entry(found)))
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        let mut scans = 1;
        loop {
            match self.try_scan(prefix).await {
                Err(Failure::Compacted(_)) if scans < SCANS_MAX => scans += 1,
                outcome => return outcome.map_err(Failure::of_read),
            }
        }
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        plan::check(&txn)?;
        let leases: Vec<LeaseId> = plan::leases(&txn).collect();
        let request = request::request(&txn.conditions, txn.writes, &self.keys, self.operations_max)?;
        let send = |channel, request| async move {
            KvClient::new(channel).max_decoding_message_size(usize::MAX).txn(request).await
        };
        match self.connection.call(request, Repeat::IfNothingHappened, send).await {
            Ok(answer) => request::outcome(&txn.conditions, answer, &self.keys),
            Err(Failure::LeaseGone(reason)) => match self.gone_of(&leases).await {
                Some(lease) => Err(MetaError::LeaseGone(lease)),
                None => Err(MetaError::Corrupt(reason)),
            },
            Err(failure) => Err(failure.of_write()),
        }
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        Ok(Watch::new(Following::new(self.connection.clone(), self.keys.clone(), prefix, after)))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        if ttl.is_zero() {
            return Err(MetaError::Invalid("a lease needs a time to live above zero".into()));
        }
        // Invariant M5: never shorter than its holder believes.
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let request = LeaseGrantRequest { ttl: i64::try_from(seconds).unwrap_or(i64::MAX) };
        let send = |channel, request| async move { LeaseClient::new(channel).lease_grant(request).await };
        let answer = self.connection.call(request, Repeat::IfNothingHappened, send).await;
        let answer = answer.map_err(Failure::of_write)?;
        let lease = LeaseId(answer.id as u64);
        if !answer.error.is_empty() {
            return Err(MetaError::Unavailable(answer.error));
        }
        if answer.ttl < request.ttl {
            self.revoke(lease).await?;
            return Err(MetaError::Unavailable(format!("etcd gave a lease of {} s only", answer.ttl)));
        }
        Ok(lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        let send = |channel, request: Request<LeaseKeepAliveRequest>| async move {
            let requests = request.map(|request| stream::iter([request]).chain(stream::pending()));
            let mut answers = LeaseClient::new(channel).lease_keep_alive(requests).await?.into_inner();
            match answers.message().await? {
                Some(answer) => Ok(Response::new(answer)),
                None => Err(Status::unavailable("the keep-alive was not answered")),
            }
        };
        let request = LeaseKeepAliveRequest { id: lease.0 as i64 };
        let answer = self.connection.call(request, Repeat::Always, send).await;
        match answer.map_err(Failure::of_write)? {
            answer if answer.ttl > 0 => Ok(()),
            _ => Err(MetaError::LeaseGone(lease)),
        }
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        let request = LeaseRevokeRequest { id: lease.0 as i64 };
        let send = |channel, request| async move { LeaseClient::new(channel).lease_revoke(request).await };
        match self.connection.call(request, Repeat::Always, send).await {
            Ok(_) | Err(Failure::LeaseGone(_)) => Ok(()),
            Err(failure) => Err(failure.of_write()),
        }
    }
}
