//! Inserting rows.

use cinclus_types::convert::keys_to_wire;
use prost::Message as _;

use crate::alter;
use crate::proto::milvus::{InsertRequest, MutationResult};
use crate::proxy::{Call, Proxy, Target};
use crate::request_key::RequestKey;
use crate::status::{ProxyError, success};
use crate::validate::{Checked, RowError};
use crate::write::{Batches, Route};

/// Requests up to this size are worked on where they arrive: handing them over would take longer.
pub(crate) const INLINE_BYTES: usize = 32 << 10;

/// Inserts rows: checked as a whole, then appended to all shards at once.
///
/// # Errors
/// The rows do not fit the schema (nothing was stored), or a log did not take them.
pub(crate) async fn insert(
    proxy: &Proxy,
    call: &Call,
    request: InsertRequest,
) -> Result<MutationResult, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    check_schema(&target, request.schema_timestamp)?;
    check_count(request.num_rows)?;
    let route = Route::of(&target, &request.partition_name)?;
    let count = request.num_rows as usize;
    let large = request.encoded_len() > INLINE_BYTES;
    let key = RequestKey::of(proxy, call, "insert", target.collection.id, &request);
    let checking = target.clone();
    let check = move || {
        let schema = checking.collection.schema();
        // Keys that are given stand as they are, also where the server would make them.
        let keys_allowed = alter::is_true(checking.collection.properties.get(alter::KEYS_ALLOWED));
        let check = if keys_allowed { Checked::upsert } else { Checked::insert };
        check(schema, request.fields_data, count)
    };
    let checked: Result<Checked, RowError> =
        if large { proxy.parts().env.compute.run(check).await } else { check() };
    let checked = checked?;
    let ids = proxy.row_ids(&target, key.as_ref(), checked.count()).await?;
    let encoder = proxy.clone();
    let encode = move || {
        let rows = checked.complete(target.collection.schema(), &ids);
        let keys = rows.keys.clone();
        let mut batches = Batches::new();
        encoder.writer(&target).insert(&mut batches, rows, &ids, &route);
        (keys, batches)
    };
    let (keys, batches) = if large { proxy.parts().env.compute.run(encode).await } else { encode() };
    let tick = proxy.append(batches, key.as_ref()).await?;
    Ok(MutationResult {
        status: Some(success()),
        i_ds: Some(keys_to_wire(keys)),
        succ_index: (0..count as u32).collect(),
        acknowledged: true,
        insert_cnt: count as i64,
        timestamp: tick.0,
        ..MutationResult::default()
    })
}

/// Refuses writes without rows, whatever else may be wrong with them.
pub(crate) fn check_count(rows: u32) -> Result<(), RowError> {
    if rows == 0 { Err(RowError::NoRows) } else { Ok(()) }
}

/// Refuses rows that were made for another version of the schema; the client then asks for the newest.
pub(crate) fn check_schema(target: &Target, schema_timestamp: u64) -> Result<(), ProxyError> {
    let current = target.collection.schemas.last().map_or(0, |version| version.from.0);
    if schema_timestamp != 0 && schema_timestamp < current {
        return Err(ProxyError::SchemaMismatch(target.collection.name.clone()));
    }
    Ok(())
}
