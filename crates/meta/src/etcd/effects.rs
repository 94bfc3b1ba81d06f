//! The writes of a transaction as etcd takes them. There each key may be written once in a transaction, and not
//! lie in a range that is deleted in it; with us writes take effect in order and a later one replaces an earlier.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::keyspace::{KeyRange, Keyspace, after};
use super::proto::request_op::Request;
use super::proto::{DeleteRangeRequest, PutRequest, RequestOp};
use crate::txn::Write;

/// What remains of the writes of a transaction: each key once, in no order.
#[derive(Default)]
struct Effects {
    puts: BTreeMap<Bytes, (Bytes, i64)>,
    deletes: BTreeSet<Bytes>,
    ranges: Vec<KeyRange>,
}

/// The operations that do what `writes` do.
pub(super) fn operations(writes: Vec<Write>, keys: &Keyspace) -> Vec<RequestOp> {
    let mut effects = Effects::default();
    for write in writes {
        match write {
            Write::Put { key, value, lease } => {
                let key = keys.key(&key);
                effects.deletes.remove(&key);
                effects.puts.insert(key, (value, lease.map_or(0, |lease| lease.0 as i64)));
            }
            Write::Delete(key) => {
                let key = keys.key(&key);
                effects.puts.remove(&key);
                effects.deletes.insert(key);
            }
            Write::DeletePrefix(prefix) => effects.delete_range(keys.under(&prefix)),
        }
    }
    effects.into_operations()
}

impl Effects {
    fn delete_range(&mut self, range: KeyRange) {
        self.puts.retain(|key, _| !range.contains(key));
        self.deletes.retain(|key| !range.contains(key));
        self.ranges.retain(|other| !range.contains(&other.from));
        if !self.ranges.iter().any(|other| other.contains(&range.from)) {
            self.ranges.push(range);
        }
    }

    fn into_operations(self) -> Vec<RequestOp> {
        let mut operations = Vec::with_capacity(self.puts.len() + self.deletes.len() + self.ranges.len());
        for range in &self.ranges {
            // Around the keys that were put after it.
            let mut from = range.from.clone();
            for key in self.puts.keys().filter(|key| range.contains(key)) {
                if from != *key {
                    operations.push(delete(from, key.clone()));
                }
                from = after(key);
            }
            operations.push(delete(from, range.end.clone()));
        }
        let in_range = |key: &Bytes| self.ranges.iter().any(|range| range.contains(key));
        operations.extend(
            self.deletes.iter().filter(|key| !in_range(key)).map(|key| delete(key.clone(), Bytes::new())),
        );
        operations.extend(self.puts.into_iter().map(|(key, (value, lease))| RequestOp {
            request: Some(Request::Put(PutRequest { key, value, lease })),
        }));
        operations
    }
}

impl KeyRange {
    fn contains(&self, key: &Bytes) -> bool {
        // An end of one zero byte is the end of all keys.
        *key >= self.from && (self.end[..] == [0] || *key < self.end)
    }
}

fn delete(key: Bytes, range_end: Bytes) -> RequestOp {
    RequestOp { request: Some(Request::DeleteRange(DeleteRangeRequest { key, range_end })) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Txn;
    use crate::lease::LeaseId;

    fn told(txn: Txn) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).replace('\0', "0");
        let one = |operation: RequestOp| match operation.request.unwrap() {
            Request::Put(put) => format!("{}={}@{}", text(&put.key), text(&put.value), put.lease),
            Request::DeleteRange(range) if range.range_end.is_empty() => format!("-{}", text(&range.key)),
            Request::DeleteRange(range) => format!("-{}..{}", text(&range.key), text(&range.range_end)),
            Request::Range(_) | Request::Txn(_) => unreachable!("nothing is read"),
        };
        operations(txn.writes, &Keyspace::new("r/".into())).into_iter().map(one).collect()
    }

    #[test]
    fn the_last_write_of_a_key_stays() {
        let txn = Txn::new().put("a", "1").put_leased("a", "2", LeaseId(7)).delete("b").put("b", "3");
        assert_eq!(told(txn.put("c", "4").delete("c")), ["-r/c", "r/a=2@7", "r/b=3@0"]);
    }

    #[test]
    fn a_prefix_takes_what_was_written_before_and_goes_around_what_comes_after() {
        let txn = Txn::new().put("p/1", "1").delete("p/9").delete_prefix("p/").put("p/5", "5").put("p/", "6");
        assert_eq!(told(txn.delete("p/7")), ["-r/p/0..r/p/5", "-r/p/50..r/p0", "r/p/=6@0", "r/p/5=5@0"]);
    }

    #[test]
    fn a_prefix_within_another_is_deleted_with_it() {
        assert_eq!(told(Txn::new().delete_prefix("p/a").delete_prefix("p/")), ["-r/p/..r/p0"]);
        assert_eq!(told(Txn::new().delete_prefix("p/").delete_prefix("p/a")), ["-r/p/..r/p0"]);
        assert_eq!(
            told(Txn::new().delete_prefix("p/").put("p/a", "1").delete_prefix("p/a")),
            ["-r/p/..r/p0"]
        );
    }
}
