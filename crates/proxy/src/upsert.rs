//! Upserting rows: the old row of a key goes and the new one comes at one tick.

use cinclus_catalog::PartitionEntry;
use cinclus_types::convert::keys_to_wire;
use cinclus_types::proto::schema::field_partial_update_op::OpType;
use cinclus_types::{CollectionSchema, Keys};
use prost::Message as _;

use crate::insert::{INLINE_BYTES, check_count, check_schema};
use crate::partial::Known;
use crate::proto::milvus::{MutationResult, UpsertRequest};
use crate::proxy::{Call, Proxy, Target};
use crate::request_key::RequestKey;
use crate::status::{ProxyError, success};
use crate::validate::{Checked, RowError};
use crate::write::{Batches, Route, Writer};

/// Upserts rows. In each shard the delete and the insert are one transaction. Keys that the server makes are
/// made anew. Of a named partition only the rows in it are replaced. A partial upsert reads what it is not given.
///
/// # Errors
/// The rows do not fit the schema (nothing was stored), or a log did not take them.
pub(crate) async fn upsert(
    proxy: &Proxy,
    call: &Call,
    request: UpsertRequest,
) -> Result<MutationResult, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    if request.field_ops.iter().any(|op| op.op != OpType::Replace as i32) {
        return Err(ProxyError::Unsupported("an upsert that changes values in place".to_owned()));
    }
    check_schema(&target, request.schema_timestamp)?;
    check_count(request.num_rows)?;
    let route = Route::of(&target, &request.partition_name)?;
    let within = if request.partition_name.is_empty() { None } else { route.partition().cloned() };
    let (partial, count) = (request.partial_update, request.num_rows as usize);
    let large = request.encoded_len() > INLINE_BYTES;
    let key = RequestKey::of(proxy, call, "upsert", target.collection.id, &request);
    let checking = target.clone();
    let check = move || check_rows(checking.collection.schema(), request, count);
    let (given, mut checked) = if large { proxy.parts().env.compute.run(check).await? } else { check()? };
    if partial {
        checked = complete(proxy, call, &target, (checked, &given), (within.as_ref(), key.as_ref())).await?;
    }
    let schema = target.collection.schema();
    let remade = schema.primary_key().is_some_and(|key| key.auto_id);
    let old = remade.then(|| {
        checked.drop_keys(schema);
        given
    });
    let ids = proxy.row_ids(&target, key.as_ref(), checked.count()).await?;
    let encoder = proxy.clone();
    let encode = move || messages(&encoder.writer(&target), checked, old, &ids, (&route, within.as_ref()));
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

/// The keys, and the checked rows.
fn check_rows(
    schema: &CollectionSchema,
    request: UpsertRequest,
    count: usize,
) -> Result<(Keys, Checked), RowError> {
    let check = if request.partial_update { Checked::partial } else { Checked::upsert };
    let checked = check(schema, request.fields_data, count)?;
    let missing = || RowError::NoKeys(schema.primary_key().map_or_else(String::new, |key| key.name.clone()));
    let given = checked.keys(schema).ok_or_else(missing)?;
    check_distinct(&given)?;
    Ok((given, checked))
}

/// Gives the rows the values that the request leaves out: those that they have now; those that they had when the
/// request first came, if it has a key.
async fn complete(
    proxy: &Proxy,
    call: &Call,
    target: &Target,
    (mut checked, keys): (Checked, &Keys),
    (within, key): (Option<&PartitionEntry>, Option<&RequestKey>),
) -> Result<Checked, ProxyError> {
    let schema = target.collection.schema();
    let fields = checked.not_given(schema);
    if fields.is_empty() {
        return Ok(checked);
    }
    let snapshot = match key {
        // As many as its rows get ids: a request that comes again is given the same ones.
        Some(key) => {
            let count = u32::try_from(checked.count()).unwrap_or(u32::MAX);
            Some(proxy.request_ticks(key, count).await?.first)
        }
        None => None,
    };
    let known = Known::read(proxy, call, target, (keys, &fields), (within, snapshot)).await?;
    let target = target.clone();
    let complete = move || {
        known.complete(target.collection.schema(), &mut checked)?;
        Ok::<_, RowError>(checked)
    };
    Ok(proxy.parts().env.compute.run(complete).await?)
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
