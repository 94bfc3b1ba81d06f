//! Whether there is a VChannel that somebody wants to follow.

use anyhow::bail;
use cinclus_client::LogClient;
use cinclus_proxy::proto::milvus::{DescribeCollectionRequest, ListDatabasesRequest, ShowCollectionsRequest};
use cinclus_rpc::{ScanFilter, ScanFrom};
use cinclus_types::VChannel;

use crate::config::nearest::by_distance;
use crate::outside::client::Client;

/// So many names are told of those that are near.
const NEAR: usize = 3;

/// Fails if no collection has the VChannel, and nothing in the log is of a collection that had it.
///
/// # Errors
/// There is none; the nearest names. Or the server does not answer.
pub(super) async fn check(address: &str, logs: &LogClient, wanted: &VChannel) -> anyhow::Result<()> {
    let known = vchannels(address).await?;
    let is_known = known.iter().any(|name| name == wanted.name()) || wanted.is_control();
    if is_known || is_in_log(logs, wanted).await? {
        return Ok(());
    }
    let near = by_distance(wanted.name(), &known);
    match near.get(..NEAR.min(near.len())) {
        Some(near) if !near.is_empty() => {
            bail!("there is no VChannel {wanted}; the nearest of {}: {}", known.len(), near.join(", "))
        }
        _ => bail!("there is no VChannel {wanted}; there are none, because there is no collection"),
    }
}

/// The VChannels of all collections.
async fn vchannels(address: &str) -> anyhow::Result<Vec<String>> {
    let mut calls = Client::connect(address).await?.calls();
    let mut known = Vec::new();
    for db_name in calls.list_databases(ListDatabasesRequest::default()).await?.into_inner().db_names {
        let request =
            ShowCollectionsRequest { db_name: db_name.clone(), ..ShowCollectionsRequest::default() };
        for collection_name in calls.show_collections(request).await?.into_inner().collection_names {
            let request = DescribeCollectionRequest {
                db_name: db_name.clone(),
                collection_name,
                ..DescribeCollectionRequest::default()
            };
            known.extend(calls.describe_collection(request).await?.into_inner().virtual_channel_names);
        }
    }
    Ok(known)
}

/// Whether the log has a message of it: that of a collection that was dropped.
async fn is_in_log(logs: &LogClient, wanted: &VChannel) -> anyhow::Result<bool> {
    let channel = wanted.pchannel();
    let end = logs.consume(&channel, ScanFrom::Latest, ScanFilter::default())?.next().await?.tick;
    let mut messages = logs.consume(&channel, ScanFrom::Earliest, ScanFilter::of(wanted.clone()))?;
    loop {
        let delivery = messages.next().await?;
        let commit = delivery.txn.as_ref().map(|txn| &txn.commit);
        if delivery.messages.iter().chain(commit).any(|message| message.vchannel() == Some(wanted)) {
            return Ok(true);
        }
        if delivery.tick >= end {
            return Ok(false);
        }
    }
}
