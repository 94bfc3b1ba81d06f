//! Which rows go to which shard and partition.

use std::collections::BTreeMap;

use cinclus_types::Keys;

/// The rows of each shard and partition (by their positions), ascending.
#[must_use]
pub fn split(
    keys: &Keys,
    shards: usize,
    partition_of: impl Fn(usize) -> usize,
) -> BTreeMap<(usize, usize), Vec<usize>> {
    let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    let shards = u32::try_from(shards).unwrap_or(1);
    for row in 0..keys.len() {
        let shard = if shards > 1 { keys.shard_of(row, shards) as usize } else { 0 };
        groups.entry((shard, partition_of(row))).or_default().push(row);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_goes_to_the_shard_of_its_key() {
        let keys = Keys::Int64((0..100).collect());
        let groups = split(&keys, 4, |row| row % 2);
        let mut seen: Vec<usize> = groups.values().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        for ((shard, partition), rows) in groups {
            assert!(rows.iter().all(|row| keys.shard_of(*row, 4) as usize == shard && row % 2 == partition));
        }
    }
}
