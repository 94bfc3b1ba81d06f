//! Upserting rows: the old row of a key goes and the new one comes at one tick.

use cinclus_types::convert::keys_to_wire;
use cinclus_types::{CollectionSchema, Keys};
use prost::Message as _;
use rustc_hash::FxHashMap;

use crate::convert::columns;
use crate::insert::{INLINE_BYTES, check_schema};
use crate::proto::milvus::{MutationResult, UpsertRequest};
use crate::proxy::{Call, Proxy};
use crate::status::{ProxyError, success};
use crate::validate::{Checked, Completed, RowError};
use crate::write::{Batches, Route, Writer};

/// Upserts rows. In each shard the delete and the insert are one transaction. Of rows with the same key the
/// last one counts. Keys that the server makes are made anew.
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
    let count = request.num_rows as usize;
    let large = request.encoded_len() > INLINE_BYTES;
    let checking = target.clone();
    let check = move || check_rows(checking.collection.schema(), request, count);
    let (old, checked) = if large { proxy.parts().env.compute.run(check).await? } else { check()? };
    let ids = proxy.ids().take(checked.count()).await?;
    let encoder = proxy.clone();
    let encode = move || messages(&encoder.writer(&target), checked, old, &ids, &route);
    let (keys, batches) = if large { proxy.parts().env.compute.run(encode).await } else { encode() };
    let tick = proxy.append(batches).await?;
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
/// given keys if the server makes new ones.
pub(crate) fn messages(
    writer: &Writer<'_>,
    checked: Checked,
    old: Option<Keys>,
    ids: &[i64],
    route: &Route,
) -> (Keys, Batches) {
    let made = old.is_some();
    let rows = checked.complete(writer.schema, ids);
    let answer = rows.keys.clone();
    let gone = old.unwrap_or_else(|| answer.clone());
    let rows = if made { rows } else { newest_of_each(rows) };
    let mut batches = Batches::new();
    writer.delete(&mut batches, &distinct(&gone), None);
    let row_ids = &ids[..rows.count];
    writer.insert(&mut batches, rows, row_ids, route);
    (answer, batches)
}

/// The checked rows, and the given keys if the server makes new ones.
fn check_rows(
    schema: &CollectionSchema,
    request: UpsertRequest,
    count: usize,
) -> Result<(Option<Keys>, Checked), RowError> {
    let mut checked = Checked::upsert(schema, request.fields_data, count)?;
    let Some(key) = schema.primary_key().filter(|key| key.auto_id) else { return Ok((None, checked)) };
    match checked.take_keys(schema) {
        Some(old) => Ok((Some(old), checked)),
        None => Err(RowError::Missing(key.name.clone())),
    }
}

/// Leaves out rows that a later row of the same request replaces.
fn newest_of_each(rows: Completed) -> Completed {
    let mut last: FxHashMap<_, usize> = FxHashMap::default();
    for (row, key) in rows.keys.iter().enumerate() {
        last.insert(key, row);
    }
    if last.len() == rows.count {
        return rows;
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    Completed {
        count: kept.len(),
        columns: rows.columns.iter().map(|column| columns::take(column, &kept)).collect(),
        keys: rows.keys.take(&kept),
    }
}

fn distinct(given: &Keys) -> Keys {
    let mut seen = rustc_hash::FxHashSet::default();
    let first: Vec<usize> =
        given.iter().enumerate().filter(|(_, key)| seen.insert(key.clone())).map(|(row, _)| row).collect();
    if first.len() == given.len() { given.clone() } else { given.take(&first) }
}
