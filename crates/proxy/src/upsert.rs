//! Upserting rows: the old row of a key goes and the new one comes at one tick.

use cinclus_catalog::PartitionEntry;
use cinclus_types::convert::keys_to_wire;
use cinclus_types::{CollectionSchema, Keys};
use prost::Message as _;

use crate::insert::{INLINE_BYTES, check_schema};
use crate::proto::milvus::{MutationResult, UpsertRequest};
use crate::proxy::{Call, Proxy};
use crate::request_key::RequestKey;
use crate::status::{ProxyError, success};
use crate::validate::{Checked, RowError};
use crate::write::{Batches, Route, Writer};

/// Upserts rows. In each shard the delete and the insert are one transaction. Keys that the server makes are
/// made anew. Of a named partition only the rows in it are replaced.
///
/// # Errors
/// The rows do not fit the schema (nothing was stored), or a log did not take them.
pub(crate) async fn upsert(
    proxy: &Proxy,
    call: &Call,
    request: UpsertRequest,
) -> Result<MutationResult, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    if request.partial_update || !request.field_ops.is_empty() {
        return Err(ProxyError::Unsupported("a partial upsert".to_owned()));
    }
    check_schema(&target, request.schema_timestamp)?;
    let route = Route::of(&target, &request.partition_name)?;
    let named = !request.partition_name.is_empty();
    let count = request.num_rows as usize;
    let large = request.encoded_len() > INLINE_BYTES;
    let key = RequestKey::of(proxy, call, "upsert", target.collection.id, &request);
    let checking = target.clone();
    let check = move || check_rows(checking.collection.schema(), request, count);
    let (old, checked) = if large { proxy.parts().env.compute.run(check).await? } else { check()? };
    let ids = proxy.row_ids(&target, key.as_ref(), checked.count()).await?;
    let encoder = proxy.clone();
    let encode = move || {
        let within = if let (true, Route::One(partition)) = (named, &route) { Some(partition) } else { None };
        messages(&encoder.writer(&target), checked, old, &ids, (&route, within))
    };
    let (keys, batches) = if large { proxy.parts().env.compute.run(encode).await } else { encode() };
    let tick = proxy.append(batches, key.as_ref()).await?;
    Ok(MutationResult {
        status: Some(success()),
        i_ds: Some(keys_to_wire(keys)),
        succ_index: (0..count as u32).collect(),
        acknowledged: true,
        upsert_cnt: count as i64,
        timestamp: tick.0,
        ..MutationResult::default()
    })
}

/// The keys of the answer, and the messages: in each VChannel the deletes, then the inserts. `old` are the
/// given keys if the server makes new ones; `within` is the partition whose rows are replaced, if not all.
pub(crate) fn messages(
    writer: &Writer<'_>,
    checked: Checked,
    old: Option<Keys>,
    ids: &[i64],
    (route, within): (&Route, Option<&PartitionEntry>),
) -> (Keys, Batches) {
    let rows = checked.complete(writer.schema, ids);
    let answer = rows.keys.clone();
    let gone = old.unwrap_or_else(|| answer.clone());
    let mut batches = Batches::new();
    writer.delete(&mut batches, &gone, within);
    writer.insert(&mut batches, rows, ids, route);
    (answer, batches)
}

/// The checked rows, and the given keys if the server makes new ones.
fn check_rows(
    schema: &CollectionSchema,
    request: UpsertRequest,
    count: usize,
) -> Result<(Option<Keys>, Checked), RowError> {
    let mut checked = Checked::upsert(schema, request.fields_data, count)?;
    let given = checked.keys(schema);
    let Some(key) = schema.primary_key() else { return Ok((None, checked)) };
    let given = given.ok_or_else(|| RowError::Missing(key.name.clone()))?;
    check_distinct(&given)?;
    if !key.auto_id {
        return Ok((None, checked));
    }
    checked.drop_keys(schema);
    Ok((Some(given), checked))
}

/// Refuses rows that would replace each other.
fn check_distinct(keys: &Keys) -> Result<(), RowError> {
    let mut seen = rustc_hash::FxHashSet::default();
    if keys.iter().all(|key| seen.insert(key)) { Ok(()) } else { Err(RowError::DuplicateKeys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_once_in_an_upsert() {
        assert_eq!(check_distinct(&Keys::Int64(vec![1, 2, 3])), Ok(()));
        let error = check_distinct(&Keys::Int64(vec![1, 2, 1])).unwrap_err();
        assert!(error.to_string().starts_with("duplicate primary keys are not allowed in the same batch"));
    }
}
