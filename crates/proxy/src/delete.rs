//! Deleting rows by a filter.

use std::sync::Arc;

use cinclus_catalog::PartitionEntry;
use cinclus_expr::{CompareOp, Expr, FieldPath, Term};
use cinclus_rpc::QueryPlan;
use cinclus_types::{FieldSchema, Key, Keys, Value};

use crate::convert::{keys, templates};
use crate::proto::milvus::{DeleteRequest, MutationResult};
use crate::proxy::{Call, Proxy, Target};
use crate::read::{Reader, parse_filter};
use crate::request_key::RequestKey;
use crate::status::{ProxyError, success};
use crate::write::Batches;

/// Keys that are looked up at once.
const LOOKUP_KEYS: usize = 16384;

/// Deletes the rows that match. A filter that names keys is not looked up; for any other the keys are
/// asked for first, and all those of a shard are deleted at one tick.
///
/// # Errors
/// The filter cannot be read, or a log did not answer.
pub(crate) async fn delete(
    proxy: &Proxy,
    call: &Call,
    request: DeleteRequest,
) -> Result<MutationResult, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let partition = partition_of(&target, &request.partition_name)?;
    if request.expr.trim().is_empty() {
        let text = "delete plan can't be empty or always true: expr cannot be empty";
        return Err(ProxyError::Invalid(text.to_owned()));
    }
    let values = templates::values(&request.expr_template_values);
    let filter = parse_filter("delete", &target, &request.expr, &values)?;
    if filter == Expr::Const(true) {
        return Err(ProxyError::Invalid("delete plan can't be empty or always true".to_owned()));
    }
    let request_key = RequestKey::of(proxy, call, "delete", target.collection.id, &request);
    let keys = match filter.primary_keys(target.primary_key()?.id) {
        Some(keys) => keys,
        None => {
            // For a request that has a key, those that matched when it first came.
            let snapshot = match &request_key {
                Some(key) => Some(proxy.request_ticks(key, 1).await?.first),
                None => None,
            };
            let reader = Reader::of_write(proxy, call, &target, partition.as_ref(), snapshot);
            reader.check_loaded()?;
            lookup(proxy, reader, filter).await?
        }
    };
    let count = keys.len();
    let mut batches = Batches::new();
    proxy.writer(&target).delete(&mut batches, &keys, partition.as_ref());
    let tick = match (count, &request_key) {
        (0, Some(key)) => proxy.request_ticks(key, 1).await?.first,
        (0, None) => proxy.parts().coord.ticks(1).await?.first,
        _ => proxy.append(batches, request_key.as_ref()).await?,
    };
    Ok(MutationResult {
        status: Some(success()),
        // Clients take keys in the answer for the whole of it: the number is what they ask for.
        i_ds: None,
        succ_index: Vec::new(),
        acknowledged: true,
        delete_cnt: count as i64,
        timestamp: tick.0,
        ..MutationResult::default()
    })
}

fn partition_of(target: &Target, name: &str) -> Result<Option<PartitionEntry>, ProxyError> {
    if name.is_empty() {
        return Ok(None);
    }
    if target.collection.schema().fields.iter().any(|field| field.partition_key) {
        return Err(ProxyError::PartitionsPickedByKey);
    }
    let missing = || ProxyError::PartitionNotFound(name.to_owned());
    target.collection.partition(name).cloned().map(Some).ok_or_else(missing)
}

/// The keys of all rows that match, in batches.
async fn lookup(proxy: &Proxy, reader: Reader, filter: Expr) -> Result<Keys, ProxyError> {
    let key = reader.target.primary_key()?;
    let mut found: Vec<Key> = Vec::new();
    let mut next = Some(filter.clone());
    while let Some(now) = next.take() {
        let plan = QueryPlan {
            filter: Some(Arc::new(now)),
            limit: Some(LOOKUP_KEYS),
            count_only: false,
            output: vec![key.id],
        };
        let answer = reader.query(proxy, plan).await?;
        // Each shard answers its least keys, so the least of all of them are complete.
        let batch = answer.least(LOOKUP_KEYS);
        if batch.len() == LOOKUP_KEYS {
            next = batch.last().map(|last| beyond(key, last, filter.clone()));
        }
        found.extend(batch);
    }
    Ok(keys::column_of(found, key.data_type))
}

/// The filter for the keys after `last`.
fn beyond(key: &FieldSchema, last: &Key, filter: Expr) -> Expr {
    let path = FieldPath {
        field: key.id,
        name: key.name.clone(),
        data_type: key.data_type,
        element_type: None,
        steps: Vec::new(),
    };
    let value = match last {
        Key::Int64(key) => Value::Int(*key),
        Key::VarChar(key) => Value::Text(key.to_string()),
    };
    let after = Expr::Compare { left: Term::Path(path), op: CompareOp::Gt, right: Term::Const(value) };
    // An `and` holds no `and`.
    let mut parts = vec![after];
    if let Expr::And(more) = filter {
        parts.extend(more);
    } else {
        parts.push(filter);
    }
    Expr::And(parts)
}
