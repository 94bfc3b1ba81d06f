//! Flushing: sealing what grows, and telling when it is persisted.

use cinclus_rpc::{Ddl, DdlDone};
use cinclus_types::SegmentState;
use cinclus_types::proto::schema::LongArray;
use futures::future::try_join_all;

use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};

/// Seals the growing segments of collections.
///
/// # Errors
/// A collection is missing, or a log did not take it.
pub(crate) async fn flush(
    proxy: &Proxy,
    call: &Call,
    request: wire::FlushRequest,
) -> Result<wire::FlushResponse, ProxyError> {
    if request.collection_names.is_empty() {
        return Err(ProxyError::Invalid("no collection to flush".to_owned()));
    }
    let targets: Result<Vec<Target>, ProxyError> =
        request.collection_names.iter().map(|name| proxy.target(call, &request.db_name, name)).collect();
    let targets = targets?;
    let flushes: Vec<DdlDone> = try_join_all(targets.iter().map(|target| {
        proxy.ddl(Ddl::Flush {
            database: target.database.name.clone(),
            collection: target.collection.name.clone(),
        })
    }))
    .await?;
    // A segment that the catalog does not know is taken as persisted by `flush_state`: so those that were
    // sealed have to be known before their ids are given away.
    let persists = targets.iter().zip(&flushes).flat_map(|(target, done)| {
        target.collection.vchannels.iter().map(|vchannel| proxy.parts().client.persist(vchannel, done.tick))
    });
    try_join_all(persists).await.map_err(|error| ProxyError::Read { verb: "flush", error })?;
    let mut response =
        wire::FlushResponse { status: Some(success()), db_name: request.db_name, ..Default::default() };
    for (name, done) in request.collection_names.into_iter().zip(flushes) {
        let segments = LongArray { data: done.sealed.iter().map(|segment| segment.0).collect() };
        let entry = wire::SegmentIdsEntry { key: name.clone(), value: Some(segments) };
        response.coll_seg_i_ds.push(entry.clone());
        response.flush_coll_seg_i_ds.push(entry);
        response.coll_seal_times.insert(name.clone(), (done.tick.unix_ms() / 1000) as i64);
        response.coll_flush_ts.insert(name, done.tick.0);
    }
    Ok(response)
}

/// Tells whether segments are persisted. A segment that is not known (any more) is.
///
/// # Errors
/// None.
pub(crate) async fn flush_state(
    proxy: &Proxy,
    _call: &Call,
    request: wire::GetFlushStateRequest,
) -> Result<wire::GetFlushStateResponse, ProxyError> {
    let asked: rustc_hash::FxHashSet<i64> = request.segment_i_ds.into_iter().collect();
    let pending = |state: SegmentState| state == SegmentState::Growing;
    let flushed = asked.is_empty()
        || !proxy
            .parts()
            .segments
            .all()
            .iter()
            .any(|entry| asked.contains(&entry.id.0) && pending(entry.state));
    Ok(wire::GetFlushStateResponse { status: Some(success()), flushed })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn an_empty_list_of_segments_is_written_as_such() {
        let entry = wire::SegmentIdsEntry { key: "c".to_owned(), value: Some(LongArray::default()) };
        let response = wire::FlushResponse { coll_seg_i_ds: vec![entry], ..Default::default() };
        // A map's entry: the key, and a value of no bytes.
        assert_eq!(response.encode_to_vec(), [0x1a, 5, 0x0a, 1, b'c', 0x12, 0]);
    }
}
