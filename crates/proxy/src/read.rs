//! What searches and queries share: which rows, how fresh, from which shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::PartitionEntry;
use cinclus_expr::{Expr, ExprError, Problem};
use cinclus_rpc::{
    Freshness, QueryAnswer, QueryPlan, ReadError, SearchAnswer, SearchPlan, ShardQuery, ShardRead,
    ShardSearch,
};
use cinclus_types::{Key, PartitionId, Tick, VChannel, Value};
use futures::future::join_all;

use crate::consistency::Asked;
use crate::names::partition as check_name;
use crate::proxy::{Call, Proxy, Target};
use crate::status::ProxyError;

/// Which rows to read, and how fresh.
#[derive(Clone)]
pub struct Reader {
    /// What the client does, for its errors.
    pub verb: &'static str,
    /// Whose rows.
    pub target: Target,
    /// In which partitions; empty: all loaded ones.
    pub partitions: Vec<PartitionId>,
    /// How fresh.
    pub freshness: Freshness,
    /// Leave growing segments out.
    pub ignore_growing: bool,
    /// The longest wait.
    pub patience: Duration,
}

impl Reader {
    /// Reads what a write needs to know: as of now, or as of a tick; in one partition, or in all.
    #[must_use]
    pub fn of_write(
        proxy: &Proxy,
        call: &Call,
        target: &Target,
        within: Option<&PartitionEntry>,
        snapshot: Option<Tick>,
    ) -> Reader {
        Reader {
            verb: "query",
            target: target.clone(),
            partitions: within.iter().map(|partition| partition.id).collect(),
            freshness: snapshot.map_or(Freshness::Strong, Freshness::Snapshot),
            ignore_growing: false,
            patience: proxy.patience(call),
        }
    }

    /// Refuses to read what is not loaded.
    ///
    /// # Errors
    /// The collection or a named partition is not loaded.
    pub fn check_loaded(&self) -> Result<(), ProxyError> {
        let collection = &self.target.collection;
        if !collection.is_loaded() {
            return Err(self.error(ReadError::NotLoaded(collection.id)));
        }
        match self.partitions.iter().find(|id| !collection.is_partition_loaded(**id)) {
            Some(id) => Err(self.error(ReadError::PartitionNotLoaded(*id))),
            None => Ok(()),
        }
    }

    /// Queries all shards at once.
    ///
    /// # Errors
    /// That of a shard.
    pub async fn query(&self, proxy: &Proxy, plan: QueryPlan) -> Result<Gathered, ProxyError> {
        let plan = Arc::new(plan);
        let client = &proxy.parts().client;
        let queries =
            self.target.collection.vchannels.iter().map(|vchannel| {
                client.query(ShardQuery { read: self.shard(vchannel), plan: Arc::clone(&plan) })
            });
        let answers: Result<Vec<QueryAnswer>, ReadError> = join_all(queries).await.into_iter().collect();
        Ok(Gathered(answers.map_err(|error| self.error(error))?))
    }

    /// Searches all shards at once.
    ///
    /// # Errors
    /// That of a shard.
    pub async fn search(
        &self,
        proxy: &Proxy,
        plan: Arc<SearchPlan>,
    ) -> Result<Vec<SearchAnswer>, ProxyError> {
        let client = &proxy.parts().client;
        let searches = self.target.collection.vchannels.iter().map(|vchannel| {
            client.search(ShardSearch { read: self.shard(vchannel), plan: Arc::clone(&plan) })
        });
        let answers: Result<Vec<SearchAnswer>, ReadError> = join_all(searches).await.into_iter().collect();
        answers.map_err(|error| self.error(error))
    }

    fn shard(&self, vchannel: &VChannel) -> ShardRead {
        ShardRead {
            vchannel: vchannel.clone(),
            collection: self.target.collection.id,
            partitions: self.partitions.clone(),
            freshness: self.freshness,
            ignore_growing: self.ignore_growing,
            patience: self.patience,
        }
    }

    fn error(&self, error: ReadError) -> ProxyError {
        ProxyError::Read { verb: self.verb, error }
    }
}

/// The answers of all shards to a query.
pub struct Gathered(pub Vec<QueryAnswer>);

impl Gathered {
    /// The tick that every shard had reached.
    #[must_use]
    pub fn at(&self) -> Tick {
        self.0.iter().map(|answer| answer.at).min().unwrap_or_default()
    }

    /// The least keys, ascending. A key is in one shard only.
    #[must_use]
    pub fn least(&self, count: usize) -> Vec<Key> {
        let mut keys: Vec<Key> = self.0.iter().flat_map(|answer| answer.keys.iter().cloned()).collect();
        keys.sort_unstable();
        keys.truncate(count);
        keys
    }
}

impl Proxy {
    /// How fresh a read of a collection must be. The first read of an iterator fixes a snapshot for all
    /// shards and all its later reads.
    ///
    /// # Errors
    /// An unknown level, or the coordinator did not answer.
    pub async fn freshness(&self, target: &Target, asked: Asked) -> Result<Freshness, ProxyError> {
        if asked.iterator && asked.snapshot().is_none() {
            return Ok(Freshness::Snapshot(self.parts().coord.ticks(1).await?.first));
        }
        asked.freshness(target.collection.consistency, self.now(), self.config().graceful_time)
    }
}

/// The partitions of these names.
///
/// # Errors
/// One is missing, or partitions are picked by key.
pub fn partitions(target: &Target, names: &[String]) -> Result<Vec<PartitionId>, ProxyError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if target.collection.schema().fields.iter().any(|field| field.partition_key) {
        return Err(ProxyError::PartitionsPickedByKey);
    }
    if names.iter().any(|name| name.trim().is_empty()) {
        check_name("")?;
    }
    let id = |name: &String| match target.collection.partition(name) {
        Some(partition) => Ok(partition.id),
        None => Err(ProxyError::PartitionNameNotFound(name.clone())),
    };
    names.iter().map(id).collect()
}

/// The partitions that a search names. Milvus has another code for its errors than for those of queries.
///
/// # Errors
/// As [`partitions`].
pub fn searched_partitions(target: &Target, names: &[String]) -> Result<Vec<PartitionId>, ProxyError> {
    partitions(target, names).map_err(|error| {
        if matches!(error, ProxyError::PartitionsPickedByKey) {
            ProxyError::SearchPartitionsPickedByKey
        } else {
            error
        }
    })
}

/// Reads a filter of a plan, which errors name: `query` or `delete`.
///
/// # Errors
/// The text is not a filter of this collection.
pub fn parse_filter(
    plan: &'static str,
    target: &Target,
    text: &str,
    values: &BTreeMap<String, Value>,
) -> Result<Expr, ProxyError> {
    cinclus_expr::parse(text, target.collection.schema(), values).map_err(|error| refusal(plan, text, &error))
}

/// The error for a filter. Clients look for some of Milvus' texts as a whole, so what is more stands behind.
fn refusal(plan: &'static str, text: &str, error: &ExprError) -> ProxyError {
    let at = format!("at line {}, column {}", error.line, error.column);
    let text = text.to_owned();
    if let Problem::NotBoolean { data_type, detail } = &error.problem {
        return ProxyError::Invalid(format!(
            "failed to create {plan} plan: predicate is not a boolean expression: {text}, data type: {data_type}: invalid parameter: {detail} {at}"
        ));
    }
    let reason = if let Problem::Mismatch { left, right, detail } = &error.problem {
        format!("comparisons between {left} and {right} are not supported: invalid parameter: {detail} {at}")
    } else if let Problem::Unexpected { .. } = &error.problem {
        format!("invalid expression: {text}: {error}")
    } else if let Problem::UnknownField(_) = &error.problem {
        format!("{}: invalid parameter: {at}", error.problem)
    } else {
        error.to_string()
    };
    ProxyError::Expression { plan, text, reason }
}

/// Reads a filter that may be left out.
///
/// # Errors
/// The text is not a filter of this collection.
pub fn parse_optional(
    target: &Target,
    text: &str,
    values: &BTreeMap<String, Value>,
) -> Result<Option<Arc<Expr>>, ProxyError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    parse_filter("query", target, text, values).map(|expr| Some(Arc::new(expr)))
}
