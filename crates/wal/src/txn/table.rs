//! The open transactions of the writer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cinclus_types::{MessageId, SegmentId, Tick, TxnId, VChannel};
use rustc_hash::FxHashMap;

use super::expiry;

/// An open transaction as the writer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTxn {
    /// Its VChannel.
    pub vchannel: VChannel,
    /// The id of its begin, once that is acknowledged.
    pub begin: Option<MessageId>,
    /// The tick of its last message.
    pub last: Tick,
    /// How long it lives without a message.
    pub keepalive: Duration,
    /// Rows and bytes that it placed, by segment.
    pub placed: BTreeMap<SegmentId, (u64, u64)>,
}

/// All open transactions of one PChannel. Pure.
#[derive(Clone, Debug, Default)]
pub struct TxnTable {
    open: FxHashMap<TxnId, OpenTxn>,
    expiries: BTreeSet<(Tick, TxnId)>,
    begins: BTreeSet<(MessageId, TxnId)>,
    segments: FxHashMap<SegmentId, u32>,
}

impl TxnTable {
    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a transaction. `begin` is known when it comes from the log.
    pub fn begin(&mut self, id: TxnId, txn: OpenTxn) {
        if let Some(begin) = txn.begin {
            self.begins.insert((begin, id));
        }
        for segment in txn.placed.keys() {
            *self.segments.entry(*segment).or_default() += 1;
        }
        self.expiries.insert((expiry(txn.last, txn.keepalive), id));
        self.open.insert(id, txn);
    }

    /// The open transaction of that id in that VChannel, unless it expires at or before `tick`.
    #[must_use]
    pub fn open_at(&self, id: TxnId, vchannel: &VChannel, tick: Tick) -> Option<&OpenTxn> {
        let txn = self.open.get(&id)?;
        (txn.vchannel == *vchannel && expiry(txn.last, txn.keepalive) > tick).then_some(txn)
    }

    /// A body of the transaction was placed; renews its life.
    pub fn body(&mut self, id: TxnId, tick: Tick, placed: Option<(SegmentId, u64, u64)>) {
        let Some(txn) = self.open.get_mut(&id) else { return };
        self.expiries.remove(&(expiry(txn.last, txn.keepalive), id));
        txn.last = tick;
        self.expiries.insert((expiry(txn.last, txn.keepalive), id));
        let Some((segment, rows, bytes)) = placed else { return };
        let entry = txn.placed.entry(segment).or_insert_with(|| {
            *self.segments.entry(segment).or_default() += 1;
            (0, 0)
        });
        entry.0 += rows;
        entry.1 += bytes;
    }

    /// The begin of a transaction was acknowledged.
    pub fn begin_stored(&mut self, id: TxnId, begin: MessageId) {
        if let Some(txn) = self.open.get_mut(&id) {
            txn.begin = Some(begin);
            self.begins.insert((begin, id));
        }
    }

    /// Takes a transaction out: it was committed or rolled back.
    pub fn end(&mut self, id: TxnId) -> Option<OpenTxn> {
        let txn = self.open.remove(&id)?;
        self.expiries.remove(&(expiry(txn.last, txn.keepalive), id));
        if let Some(begin) = txn.begin {
            self.begins.remove(&(begin, id));
        }
        for segment in txn.placed.keys() {
            if let Some(holders) = self.segments.get_mut(segment) {
                *holders -= 1;
                if *holders == 0 {
                    self.segments.remove(segment);
                }
            }
        }
        Some(txn)
    }

    /// Takes out one transaction that expires at or before `tick`.
    pub fn pop_expired(&mut self, tick: Tick) -> Option<(TxnId, OpenTxn)> {
        let &(due, id) = self.expiries.first()?;
        if due > tick {
            return None;
        }
        self.end(id).map(|txn| (id, txn))
    }

    /// The open transactions of a VChannel, oldest first.
    #[must_use]
    pub fn of_vchannel(&self, vchannel: &VChannel) -> Vec<TxnId> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let mut ids: Vec<TxnId> =
            self.open.iter().filter(|(_, txn)| txn.vchannel == *vchannel).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The open transactions whose acknowledged begins stand below an id, oldest first.
    #[must_use]
    pub fn begun_below(&self, below: MessageId) -> Vec<(TxnId, VChannel, Duration)> {
        let begun = self.begun().take_while(|(begin, _)| *begin < below);
        let open = begun.filter_map(|(_, id)| Some((id, self.open.get(&id)?)));
        open.map(|(id, txn)| (id, txn.vchannel.clone(), txn.keepalive)).collect()
    }

    /// The acknowledged begins, oldest first.
    pub fn begun(&self) -> impl Iterator<Item = (MessageId, TxnId)> {
        self.begins.iter().copied()
    }

    /// Rows and bytes that open transactions placed, by segment; a segment may come more than once.
    pub fn placed(&self) -> impl Iterator<Item = (SegmentId, u64, u64)> {
        let placed = self.open.values().flat_map(|txn| &txn.placed);
        placed.map(|(segment, (rows, bytes))| (*segment, *rows, *bytes))
    }

    /// How long a transaction lives without a message.
    #[must_use]
    pub fn keepalive(&self, id: TxnId) -> Option<Duration> {
        self.open.get(&id).map(|txn| txn.keepalive)
    }

    /// Whether an open transaction has rows in the segment.
    #[must_use]
    pub fn holds(&self, segment: SegmentId) -> bool {
        self.segments.contains_key(&segment)
    }

    /// The least id of an acknowledged begin. A begin that is not yet acknowledged lies above every
    /// acknowledged id.
    #[must_use]
    pub fn first_begin(&self) -> Option<MessageId> {
        self.begins.first().map(|(begin, _)| *begin)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn txn(last: u64, keepalive_ms: u64) -> OpenTxn {
        OpenTxn {
            vchannel: VChannel::new("log_0_7v0"),
            begin: None,
            last: Tick::from_unix_ms(last),
            keepalive: Duration::from_millis(keepalive_ms),
            placed: BTreeMap::new(),
        }
    }

    #[test]
    fn a_body_renews_the_life_of_its_transaction() {
        let (mut table, vchannel) = (TxnTable::default(), VChannel::new("log_0_7v0"));
        table.begin(TxnId(1), txn(100, 10));
        assert!(table.open_at(TxnId(1), &vchannel, Tick::from_unix_ms(109)).is_some());
        assert!(table.open_at(TxnId(1), &vchannel, Tick::from_unix_ms(110)).is_none());
        assert!(table.open_at(TxnId(1), &VChannel::new("log_0_8v0"), Tick::ZERO).is_none());
        table.body(TxnId(1), Tick::from_unix_ms(105), Some((SegmentId(3), 5, 50)));
        assert!(table.holds(SegmentId(3)));
        assert!(table.pop_expired(Tick::from_unix_ms(114)).is_none());
        let (id, gone) = table.pop_expired(Tick::from_unix_ms(115)).unwrap();
        assert_eq!((id, gone.placed[&SegmentId(3)]), (TxnId(1), (5, 50)));
        assert!(!table.holds(SegmentId(3)) && table.is_empty());
    }

    #[test]
    fn the_first_begin_is_that_of_the_oldest_open_transaction() {
        let mut table = TxnTable::default();
        table.begin(TxnId(1), txn(100, 10));
        table.begin(TxnId(2), txn(100, 10));
        assert_eq!(table.first_begin(), None);
        table.begin_stored(TxnId(2), MessageId(20));
        table.begin_stored(TxnId(1), MessageId(10));
        assert_eq!(table.first_begin(), Some(MessageId(10)));
        table.end(TxnId(1));
        assert_eq!(table.first_begin(), Some(MessageId(20)));
        table.end(TxnId(2));
        assert_eq!(table.first_begin(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Begin(i64, u64),
        Body(i64, i64),
        Acked(i64),
        End(i64),
        Expire,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..6_i64, 1..40_u64).prop_map(|(id, keepalive)| Step::Begin(id, keepalive)),
            (0..6_i64, 0..4_i64).prop_map(|(id, segment)| Step::Body(id, segment)),
            (0..6_i64).prop_map(Step::Acked),
            (0..6_i64).prop_map(Step::End),
            Just(Step::Expire),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// The model: a list of transactions and what each holds.
        #[test]
        fn the_table_agrees_with_a_list(steps in steps()) {
            let mut table = TxnTable::default();
            let mut model: BTreeMap<i64, OpenTxn> = BTreeMap::new();
            for (at, step) in steps.into_iter().enumerate() {
                let now = Tick::from_unix_ms(at as u64 * 3);
                match step {
                    Step::Begin(id, keepalive) => {
                        model.entry(id).or_insert_with(|| {
                            let opened = OpenTxn { last: now, ..txn(0, keepalive) };
                            table.begin(TxnId(id), opened.clone());
                            opened
                        });
                    }
                    Step::Body(id, segment) => {
                        table.body(TxnId(id), now, Some((SegmentId(segment), 1, 2)));
                        if let Some(txn) = model.get_mut(&id) {
                            txn.last = now;
                            let placed = txn.placed.entry(SegmentId(segment)).or_default();
                            *placed = (placed.0 + 1, placed.1 + 2);
                        }
                    }
                    Step::Acked(id) => {
                        if let Some(txn) = model.get_mut(&id).filter(|txn| txn.begin.is_none()) {
                            txn.begin = Some(MessageId(at as u128));
                            table.begin_stored(TxnId(id), MessageId(at as u128));
                        }
                    }
                    Step::End(id) => prop_assert_eq!(table.end(TxnId(id)), model.remove(&id)),
                    Step::Expire => {
                        while let Some((id, gone)) = table.pop_expired(now) {
                            prop_assert!(expiry(gone.last, gone.keepalive) <= now);
                            prop_assert_eq!(Some(gone), model.remove(&id.0));
                        }
                        prop_assert!(model.values().all(|txn| expiry(txn.last, txn.keepalive) > now));
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.first_begin(), model.values().filter_map(|txn| txn.begin).min());
                for segment in 0..4 {
                    let held = model.values().any(|txn| txn.placed.contains_key(&SegmentId(segment)));
                    prop_assert_eq!(table.holds(SegmentId(segment)), held);
                }
            }
        }
    }
}
