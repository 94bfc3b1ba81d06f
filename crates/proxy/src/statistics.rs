//! How many rows there are.

use cinclus_rpc::{ReadError, ShardStatistics};
use cinclus_types::proto::common::KeyValuePair;
use futures::future::join_all;

use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};

impl Proxy {
    /// Counts the rows of all shards of a collection, in shard order.
    ///
    /// # Errors
    /// That of a shard.
    pub async fn statistics(&self, target: &Target) -> Result<Vec<ShardStatistics>, ProxyError> {
        let client = &self.parts().client;
        let asked = target.collection.vchannels.iter().map(|vchannel| client.statistics(vchannel));
        let answers: Result<_, ReadError> = join_all(asked).await.into_iter().collect();
        answers.map_err(|error| ProxyError::Read { verb: "count rows", error })
    }

    /// Counts the rows of a collection.
    ///
    /// # Errors
    /// That of a shard.
    pub async fn row_count(&self, target: &Target) -> Result<u64, ProxyError> {
        Ok(self.statistics(target).await?.iter().flat_map(|shard| shard.rows.values()).sum())
    }
}

fn row_count(rows: u64) -> Vec<KeyValuePair> {
    vec![KeyValuePair { key: "row_count".to_owned(), value: rows.to_string() }]
}

/// Counts the rows of a collection.
///
/// # Errors
/// It is missing, or a shard did not answer.
pub(crate) async fn collection(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetCollectionStatisticsRequest,
) -> Result<wire::GetCollectionStatisticsResponse, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    let stats = row_count(proxy.row_count(&target).await?);
    Ok(wire::GetCollectionStatisticsResponse { status: Some(success()), stats })
}

/// Counts the rows of a partition.
///
/// # Errors
/// It is missing, or a shard did not answer.
pub(crate) async fn partition(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetPartitionStatisticsRequest,
) -> Result<wire::GetPartitionStatisticsResponse, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    let missing = || ProxyError::PartitionNotFound(request.partition_name.clone());
    let partition = target.collection.partition(&request.partition_name).ok_or_else(missing)?;
    let shards = proxy.statistics(&target).await?;
    let rows = shards.iter().filter_map(|shard| shard.rows.get(&partition.id)).sum();
    Ok(wire::GetPartitionStatisticsResponse { status: Some(success()), stats: row_count(rows) })
}
