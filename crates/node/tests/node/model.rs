//! What a shard holds, in a few lines.

use std::collections::BTreeMap;

use cinclus_types::{PartitionId, Tick};

#[derive(Clone, Debug)]
struct Row {
    partition: PartitionId,
    key: i64,
    value: i64,
    inserted: Tick,
    deleted: Option<Tick>,
}

/// Every row that was ever inserted, and when it was hidden.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    rows: Vec<Row>,
}

impl Model {
    pub(crate) fn insert(&mut self, partition: PartitionId, rows: &[(i64, i64)], tick: Tick) {
        let row = |(key, value): &(i64, i64)| Row {
            partition,
            key: *key,
            value: *value,
            inserted: tick,
            deleted: None,
        };
        self.rows.extend(rows.iter().map(row));
    }

    pub(crate) fn delete(&mut self, partition: Option<PartitionId>, keys: &[i64], tick: Tick) {
        for row in &mut self.rows {
            let concerned = partition.is_none_or(|only| only == row.partition) && keys.contains(&row.key);
            // Invariant Q2.
            if concerned && row.inserted < tick && row.deleted.is_none() {
                row.deleted = Some(tick);
            }
        }
    }

    pub(crate) fn drop_rows(&mut self, partition: Option<PartitionId>) {
        self.rows.retain(|row| partition.is_some_and(|only| only != row.partition));
    }

    fn visible(&self, at: Tick) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.inserted <= at && row.deleted.is_none_or(|tick| tick > at))
    }

    /// Each key with the value of its newest visible row.
    pub(crate) fn rows(&self, at: Tick) -> BTreeMap<i64, i64> {
        let mut newest: BTreeMap<i64, (Tick, i64)> = BTreeMap::new();
        for row in self.visible(at) {
            let entry = newest.entry(row.key).or_insert((row.inserted, row.value));
            if row.inserted >= entry.0 {
                *entry = (row.inserted, row.value);
            }
        }
        newest.into_iter().map(|(key, (_, value))| (key, value)).collect()
    }

    pub(crate) fn count(&self, at: Tick) -> u64 {
        self.visible(at).count() as u64
    }
}
