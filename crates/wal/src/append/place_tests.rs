//! A model test: the live state, which decides, and the recovered one, which is told, agree.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cinclus_env::{Clock, LocalTicks, ManualClock};
use cinclus_types::message::{Draft, Header, Kind};
use cinclus_types::{CollectionId, DatabaseId, MessageId, PartitionId, Term, Tick, VChannel};
use futures::FutureExt;
use proptest::prelude::*;

use super::batch::Batch;
use super::place::{Live, Placer, txn_draft};
use super::stamp::Stamper;
use crate::config::WalConfig;
use crate::shard::{Effect, SealPolicy, ShardState};
use crate::tick::Ticks;
use crate::txn::{Assembled, Assembler, OpenTxn, TxnTable, assembler};

#[derive(Clone, Debug)]
enum Step {
    Create(i64),
    DropCollection(i64),
    CreatePartition(i64, i64),
    DropPartition(i64, i64),
    Insert(i64, i64, u64),
    Flush(i64),
    Begin(i64, u64),
    /// A body of one of the open transactions.
    Body(usize, i64, u64),
    End(usize, bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let shard = 1..3_i64;
    let step = prop_oneof![
        3 => shard.clone().prop_map(Step::Create),
        1 => shard.clone().prop_map(Step::DropCollection),
        1 => (shard.clone(), 0..3_i64).prop_map(|(at, partition)| Step::CreatePartition(at, partition)),
        1 => (shard.clone(), 0..3_i64).prop_map(|(at, partition)| Step::DropPartition(at, partition)),
        8 => (shard.clone(), 0..3_i64, 1..7_u64).prop_map(|(at, to, rows)| Step::Insert(at, to, rows)),
        1 => shard.clone().prop_map(Step::Flush),
        3 => (shard, 1..150_u64).prop_map(|(at, keepalive)| Step::Begin(at, keepalive)),
        6 => (0..4_usize, 0..3_i64, 1..7_u64).prop_map(|(txn, to, rows)| Step::Body(txn, to, rows)),
        3 => (0..4_usize, any::<bool>()).prop_map(|(txn, commit)| Step::End(txn, commit)),
        4 => (0..120_u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 20..120)
}

struct Model {
    clock: ManualClock,
    live: Live,
    stamper: Stamper,
    log: Batch,
    open: Vec<(VChannel, cinclus_types::message::TxnContext)>,
}

fn shard(collection: i64) -> VChannel {
    VChannel::new(format!("log_0_{collection}v0"))
}

fn insert(collection: i64, partition: i64, rows: u64) -> Draft {
    let header = Header::Insert {
        collection: CollectionId(collection),
        partition: PartitionId(partition),
        rows,
        binary_size: rows * 10,
        segment: None,
        schema_version: 0,
    };
    Draft::new(shard(collection), header, Bytes::new())
}

impl Model {
    fn new() -> Model {
        let clock = ManualClock::starting_at(1_000_000);
        let config = WalConfig { segment_rows_max: 10, growing_bytes_max: 250, ..WalConfig::default() };
        let source = Arc::new(LocalTicks::new(Arc::new(clock.clone())));
        Model {
            live: Live::new(ShardState::default(), TxnTable::default(), SealPolicy::new(&config)),
            stamper: Stamper { ticks: Ticks::new(source, Tick::ZERO), term: Term(1), last_acked: None },
            log: Batch::default(),
            open: Vec::new(),
            clock,
        }
    }

    fn placer(&mut self) -> Placer<'_> {
        let now = self.clock.monotonic();
        // As a writer does between two batches: what was fetched meanwhile is there.
        self.stamper.ticks.prepare(200, now);
        let _ = self.stamper.ticks.fetched(now).now_or_never();
        assert!(self.stamper.ticks.prepare(200, now), "ticks are granted at once");
        let frontier = self.stamper.ticks.last();
        Placer { live: &mut self.live, stamper: &mut self.stamper, batch: &mut self.log, now, frontier }
    }

    fn put(&mut self, draft: Draft) {
        let Some(vchannel) = draft.vchannel.clone() else { return };
        if self.live.check(&vchannel, std::slice::from_ref(&draft)).is_err() {
            return;
        }
        let alone = draft.kind().is_exclusive();
        let mut placer = self.placer();
        if alone {
            placer.fail_txns(&vchannel);
        }
        placer.put(draft);
        placer.flush_due();
    }

    fn body(&mut self, at: usize, partition: i64, rows: u64) {
        let Some((vchannel, context)) = self.open.get(at).cloned() else { return };
        let collection = if vchannel == shard(1) { 1 } else { 2 };
        let draft = insert(collection, partition, rows);
        let refused = self.live.check(&vchannel, std::slice::from_ref(&draft)).is_err();
        let mut placer = self.placer();
        let latest = Tick(placer.peek().0 + 2);
        if refused || placer.live.txns.open_at(context.txn, &vchannel, latest).is_none() {
            return;
        }
        let (tick, at) = placer.put(Draft { txn: Some(context), ..draft });
        let placed = assembler::placed(&placer.batch.placed[at].0.draft().header);
        placer.live.txns.body(context.txn, tick, placed);
        placer.flush_due();
    }

    fn end(&mut self, at: usize, commit: bool) {
        if at >= self.open.len() {
            return;
        }
        let (vchannel, context) = self.open.remove(at);
        let mut placer = self.placer();
        let next = placer.peek();
        if placer.live.txns.open_at(context.txn, &vchannel, next).is_none() {
            return;
        }
        if commit {
            let (tick, _) = placer.put(txn_draft(&vchannel, Header::CommitTxn, context));
            let ended = placer.live.txns.end(context.txn);
            placer.live.committed(ended.into_iter().flat_map(|txn| txn.placed.into_keys()), tick);
        } else {
            placer.roll_back(&vchannel, context, None);
        }
        placer.flush_due();
    }

    fn step(&mut self, step: &Step) {
        let header = |collection: i64, header: Header| Draft::new(shard(collection), header, Bytes::new());
        let (database, segments) = (DatabaseId(1), Vec::new());
        match *step {
            Step::Create(at) => {
                let (collection, partitions) = (CollectionId(at), vec![PartitionId(0)]);
                self.put(header(at, Header::CreateCollection { collection, partitions, database }));
            }
            Step::DropCollection(at) => {
                self.put(header(at, Header::DropCollection { collection: CollectionId(at), database }));
            }
            Step::CreatePartition(at, partition) => {
                let (collection, partition) = (CollectionId(at), PartitionId(partition));
                self.put(header(at, Header::CreatePartition { collection, partition }));
            }
            Step::DropPartition(at, partition) => {
                let (collection, partition) = (CollectionId(at), PartitionId(partition));
                self.put(header(at, Header::DropPartition { collection, partition }));
            }
            Step::Insert(at, partition, rows) => self.put(insert(at, partition, rows)),
            Step::Flush(at) => {
                let (collection, flush_tick) = (CollectionId(at), Tick::ZERO);
                self.put(header(at, Header::ManualFlush { collection, flush_tick, segments }));
            }
            Step::Begin(at, keepalive) => {
                let keepalive = Duration::from_millis(keepalive);
                let (vchannel, mut placer) = (shard(at), self.placer());
                let (context, last, _) = placer.begin(&vchannel, keepalive);
                let (begin, placed) = (None, std::collections::BTreeMap::new());
                let opened = OpenTxn { vchannel: vchannel.clone(), begin, last, keepalive, placed };
                placer.live.txns.begin(context.txn, opened);
                self.open.push((vchannel, context));
            }
            Step::Body(at, partition, rows) => self.body(at, partition, rows),
            Step::End(at, commit) => self.end(at, commit),
            Step::Wait(ms) => self.clock.advance(Duration::from_millis(ms)),
        }
    }

    /// What a reader of the log makes of it, with the rows that open transactions placed.
    fn recovered(&self) -> ShardState {
        let (mut assembler, mut state) = (Assembler::default(), ShardState::default());
        for (at, (placed, _)) in self.log.placed.iter().enumerate() {
            let message = placed.clone().stored(MessageId(at as u128));
            let (bodies, tick) = match assembler.push(message) {
                Assembled::Nothing => continue,
                Assembled::One(message) => (vec![message.clone()], message.tick()),
                Assembled::Txn { bodies, commit, .. } => (bodies, commit.tick()),
            };
            for body in &bodies {
                if body.kind() == Kind::Flush {
                    let Header::Flush { segment, .. } = body.header() else { continue };
                    assert!(!assembler.open().holds(*segment), "W11");
                }
                if let Some(effect) = Effect::of(body, tick) {
                    state.apply(effect);
                }
            }
        }
        for (segment, rows, bytes) in assembler.open().placed() {
            state.place(segment, rows, bytes);
        }
        state
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_live_state_is_what_a_reader_makes_of_the_log(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
        }
        // Both sides let go of transactions at the tick of a message.
        model.put(Draft::new(shard(9), Header::DropCollection {
            collection: CollectionId(9),
            database: DatabaseId(1),
        }, Bytes::new()));
        let ticks: Vec<Tick> = model.log.placed.iter().map(|(placed, _)| placed.tick()).collect();
        prop_assert!(ticks.is_sorted_by(|one, other| one < other), "W1");
        prop_assert_eq!(&model.live.state, &model.recovered());
        prop_assert_eq!(model.live.txns.len(), model.live.txns.of_vchannel(&shard(1)).len()
            + model.live.txns.of_vchannel(&shard(2)).len());
    }
}
