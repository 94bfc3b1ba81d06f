//! Which segments a truncation point lets go.

use cinclus_types::MessageId;

/// Of `segments` (ascending), those whose every record lies below `point`. The last segment always stays:
/// the number of the next one is counted from it.
#[must_use]
pub fn droppable(segments: &[u64], point: MessageId) -> &[u64] {
    let stay = segments.len().saturating_sub(1);
    let below = segments[..stay].partition_point(|segment| *segment < point.segment());
    &segments[..below]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_segments_below_the_point_go_and_the_last_one_stays() {
        let segments = [2, 3, 5, 9];
        let upto = |segment, entry| droppable(&segments, MessageId::from_parts(0, segment, entry)).to_vec();
        assert_eq!(upto(2, 100), Vec::<u64>::new());
        assert_eq!(upto(3, 0), vec![2]);
        assert_eq!(upto(9, 4), vec![2, 3, 5]);
        assert_eq!(upto(11, 0), vec![2, 3, 5]);
        assert!(droppable(&[], MessageId::LATEST).is_empty());
    }
}
