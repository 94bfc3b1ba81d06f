//! A transaction in etcd's words, and its outcome in ours.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::effects;
use super::keyspace::Keyspace;
use super::proto::compare::{Operand, Result as Is, Target};
use super::proto::request_op::Request;
use super::proto::response_op::Response;
use super::proto::{Compare, KeyValue, RangeRequest, RequestOp, TxnRequest, TxnResponse};
use crate::entry::Revision;
use crate::error::MetaError;
use crate::txn::{CommitOutcome, Condition, Write};

/// What etcd is asked for, if it takes that many operations.
///
/// # Errors
/// [`MetaError::Invalid`] names the bound.
pub(super) fn request(
    conditions: &[Condition],
    writes: Vec<Write>,
    keys: &Keyspace,
    operations_max: usize,
) -> Result<TxnRequest, MetaError> {
    let compare: Vec<Compare> = conditions.iter().map(|condition| compare(condition, keys)).collect();
    let operations = effects::operations(writes, keys);
    let (conditions_count, count) = (compare.len(), operations.len());
    let Some(success) = fit(operations, conditions_count, operations_max) else {
        return Err(MetaError::Invalid(format!(
            "a transaction of {conditions_count} conditions and {count} writes is more than etcd takes with \
             --max-txn-ops={operations_max}: start etcd with a larger one, and tell Cinclus"
        )));
    };
    Ok(TxnRequest { compare, success, failure: reads(conditions, keys) })
}

/// The operations, as many as are taken at once or in transactions inside. `None` if they are too many.
fn fit(operations: Vec<RequestOp>, conditions: usize, max: usize) -> Option<Vec<RequestOp>> {
    if conditions > max {
        return None;
    }
    if operations.len() <= max {
        return Some(operations);
    }
    // A transaction inside has what the one around it leaves, and that counts the larger of its lists.
    let room = |groups: usize| max.saturating_sub(groups.max(conditions));
    let groups = (1..max).find(|groups| groups * room(*groups) >= operations.len())?;
    let mut nested = Vec::with_capacity(groups);
    let mut rest = operations.into_iter().peekable();
    while rest.peek().is_some() {
        let success = rest.by_ref().take(room(groups)).collect();
        let inner = TxnRequest { success, ..TxnRequest::default() };
        nested.push(RequestOp { request: Some(Request::Txn(inner)) });
    }
    Some(nested)
}

fn compare(condition: &Condition, keys: &Keyspace) -> Compare {
    let (result, target, operand) = match condition {
        Condition::Absent(_) => (Is::Equal, Target::Create, Operand::CreateRevision(0)),
        Condition::Exists(_) => (Is::Greater, Target::Create, Operand::CreateRevision(0)),
        // For etcd a key that is not there was modified at 0; with us nothing was.
        Condition::ModifiedAt(_, Revision(0)) => (Is::Less, Target::Version, Operand::Version(0)),
        Condition::ModifiedAt(_, revision) => {
            (Is::Equal, Target::Mod, Operand::ModRevision(revision.0 as i64))
        }
        Condition::ValueIs(_, value) => (Is::Equal, Target::Value, Operand::Value(value.clone())),
    };
    let (result, target) = (result as i32, target as i32);
    Compare { result, target, key: keys.key(condition.key()), operand: Some(operand) }
}

/// If a condition fails etcd only says that one did: these reads, at the same revision, tell which.
fn reads(conditions: &[Condition], keys: &Keyspace) -> Vec<RequestOp> {
    let mut with_value: BTreeMap<&str, bool> = BTreeMap::new();
    for condition in conditions {
        *with_value.entry(condition.key()).or_default() |= matches!(condition, Condition::ValueIs(..));
    }
    let read = |(key, with_value): (&str, bool)| {
        let range = RangeRequest { key: keys.key(key), keys_only: !with_value, ..RangeRequest::default() };
        RequestOp { request: Some(Request::Range(range)) }
    };
    with_value.into_iter().map(read).collect()
}

/// What became of the transaction.
///
/// # Errors
/// If the answer is none that etcd gives.
pub(super) fn outcome(
    conditions: &[Condition],
    response: TxnResponse,
    keys: &Keyspace,
) -> Result<CommitOutcome, MetaError> {
    if response.succeeded {
        return Ok(CommitOutcome::Committed(revision(response.header.as_ref())?));
    }
    let mut found: BTreeMap<Bytes, KeyValue> = BTreeMap::new();
    for operation in response.responses {
        if let Some(Response::Range(range)) = operation.response {
            found.extend(range.kvs.into_iter().map(|entry| (entry.key.clone(), entry)));
        }
    }
    let holds = |condition: &Condition| {
        let entry = found.get(&keys.key(condition.key()));
        match condition {
            Condition::Absent(_) => entry.is_none(),
            Condition::Exists(_) => entry.is_some(),
            Condition::ModifiedAt(_, revision) => {
                entry.is_some_and(|entry| entry.mod_revision as u64 == revision.0)
            }
            Condition::ValueIs(_, value) => entry.is_some_and(|entry| entry.value == *value),
        }
    };
    let failed: Vec<usize> = (0..conditions.len()).filter(|index| !holds(&conditions[*index])).collect();
    if failed.is_empty() {
        return Err(MetaError::Corrupt("etcd refused a transaction whose conditions all hold".into()));
    }
    Ok(CommitOutcome::Conflict(failed))
}

/// The revision that an answer names.
///
/// # Errors
/// If it names none.
pub(super) fn revision(header: Option<&super::proto::ResponseHeader>) -> Result<Revision, MetaError> {
    match header {
        Some(header) if header.revision > 0 => Ok(Revision(header.revision as u64)),
        Some(_) | None => Err(MetaError::Corrupt("etcd gave an answer without a revision".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Txn;

    fn shape(conditions: usize, writes: usize) -> Option<Vec<usize>> {
        let mut txn = (0..conditions).fold(Txn::new(), |txn, n| txn.require_absent(format!("c{n}")));
        txn = (0..writes).fold(txn, |txn, n| txn.put(format!("w{n}"), ""));
        let request = request(&txn.conditions, txn.writes, &Keyspace::new(String::new()), 128).ok()?;
        let size = |operation: &RequestOp| match &operation.request {
            Some(Request::Txn(inner)) => inner.success.len(),
            _ => 1,
        };
        Some(request.success.iter().map(size).collect())
    }

    #[test]
    fn a_transaction_is_split_only_if_it_must_be() {
        assert_eq!(shape(128, 128).unwrap(), [1; 128]);
        assert_eq!(shape(2, 129).unwrap(), [126, 3]);
        assert_eq!(shape(2, 4096).unwrap(), [64; 64]);
        assert_eq!(shape(64, 4096).unwrap(), [64; 64]);
        assert_eq!(shape(100, 28 * 100).unwrap(), [28; 100]);
        for (conditions, writes) in [(0, 4097), (129, 1), (100, 28 * 100 + 1), (128, 129)] {
            assert_eq!(shape(conditions, writes), None, "{conditions} {writes}");
        }
    }

    #[test]
    fn a_transaction_that_is_too_large_is_refused_with_the_bound() {
        let txn = (0..5000).fold(Txn::new(), |txn, n| txn.put(format!("w{n}"), ""));
        let refused = request(&[], txn.writes, &Keyspace::new(String::new()), 128).unwrap_err();
        assert!(refused.to_string().contains("--max-txn-ops=128"), "{refused}");
    }

    #[test]
    fn a_condition_is_read_once_for_each_key() {
        let conditions = [
            Condition::Absent("a".into()),
            Condition::ValueIs("a".into(), "1".into()),
            Condition::Exists("b".into()),
        ];
        let keys_only: Vec<bool> = reads(&conditions, &Keyspace::new(String::new()))
            .into_iter()
            .map(|read| matches!(read.request, Some(Request::Range(range)) if range.keys_only))
            .collect();
        assert_eq!(keys_only, [false, true]);
    }
}
