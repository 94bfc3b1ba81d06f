//! Clients of a node's logs: subscriptions that go on under the next owner, hundreds of them, behind the
//! truncation, filtered; transactions of several calls.

use std::collections::BTreeMap;
use std::time::Duration;

use cinclus_node::Node;
use cinclus_rpc::{
    AppendError, ConsumeError, Deliveries, Delivery, DeliveryKind, LogApi, NodeApi, ScanFilter, ScanFrom,
    Subscription,
};
use cinclus_types::message::Kind;
use cinclus_types::message::body::InsertBody;
use cinclus_types::{Checkpoint, ColumnData, MessageId, PChannel, Term, Tick};

use crate::shard::{KEY, Shard};
use crate::world::{Life, World};

async fn consume(
    node: &Node,
    channel: &PChannel,
    term: Term,
    from: ScanFrom,
    filter: ScanFilter,
) -> Result<Box<dyn Deliveries>, ConsumeError> {
    node.consume(channel, term, Subscription { from, filter }).await
}

pub(crate) fn inserts(shard: &Shard) -> ScanFilter {
    ScanFilter { vchannel: Some(shard.vchannel.clone()), kinds: Some(vec![Kind::Insert]) }
}

/// The keys of the rows in a delivery.
pub(crate) fn keys(shard: &Shard, delivery: &Delivery) -> Vec<i64> {
    let of = |message: &cinclus_types::message::Message| {
        let rows = InsertBody::decode(message.payload(), &shard.schema(4)).unwrap();
        let ColumnData::Int64(keys) = &rows.column(KEY).unwrap().data else { panic!("no keys") };
        keys.clone()
    };
    delivery.messages.iter().flat_map(of).collect()
}

/// What a reader was given so far, and from where it goes on.
struct Reader {
    shard: Shard,
    from: ScanFrom,
    seen: Vec<i64>,
    ticks: Vec<Tick>,
}

impl Reader {
    fn new(shard: &Shard) -> Reader {
        Reader { shard: shard.clone(), from: ScanFrom::Earliest, seen: Vec::new(), ticks: Vec::new() }
    }

    /// Reads until the log is closed, or everything up to a tick was delivered.
    async fn read(&mut self, life: &Life, upto: Tick) -> Result<(), ConsumeError> {
        let channel = self.shard.vchannel.pchannel();
        let opened = consume(&life.node, &channel, life.term, self.from, inserts(&self.shard)).await;
        let mut deliveries = opened?;
        while self.ticks.last().is_none_or(|tick| *tick < upto) {
            let delivery = deliveries.next().await?;
            self.seen.extend(keys(&self.shard, &delivery));
            self.ticks.push(delivery.tick);
            self.from = ScanFrom::Checkpoint(delivery.checkpoint);
        }
        Ok(())
    }
}

#[test]
fn hundreds_of_readers_see_every_row_once_over_owners_that_come_and_go() {
    let world = World::new(70, 1);
    let shard = Shard::new(&world.channels[0], 1);
    let mut readers: Vec<Reader> = (0..200).map(|_| Reader::new(&shard)).collect();
    let mut next = 0;
    for life in 0..4 {
        world.live(async |life_of: Life| {
            if life == 0 {
                life_of.create(&shard).await;
            }
            let first = next;
            next += 60;
            let load = async {
                for key in first..first + 60 {
                    life_of.insert(&shard, shard.partition(0), &[(key, key)]).await;
                    life_of.pause(Duration::from_millis(1)).await;
                }
                // Closed under them while they read.
                life_of.node.close_channel(&world.channels[0], life_of.term).await.unwrap();
            };
            let reads = async {
                let reads = readers.iter_mut().map(|reader| reader.read(&life_of, Tick::MAX));
                futures::future::join_all(reads).await
            };
            let (ends, ()) = tokio::join!(reads, load);
            assert!(ends.iter().all(|end| matches!(end, Err(ConsumeError::Closed(_)))), "{:?}", ends[0]);
        });
    }
    for reader in &readers {
        assert_eq!(reader.seen, (0..240).collect::<Vec<_>>(), "every row once, in order");
        assert!(reader.ticks.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn only_the_owner_serves_readers_and_a_place_is_given_back() {
    let mut world = World::new(71, 1);
    world.config.subscriptions_max = 2;
    let channel = world.channels[0].clone();
    world.live(async |life: Life| {
        let open = |channel: PChannel, term| {
            let node = life.node.clone();
            async move {
                consume(&node, &channel, term, ScanFrom::Latest, ScanFilter::default()).await.map(Some)
            }
        };
        let refused = open(channel.clone(), Term(life.term.0 + 1)).await.err();
        assert_eq!(refused, Some(ConsumeError::NotOwner));
        assert_eq!(open(PChannel::new("log_9"), life.term).await.err(), Some(ConsumeError::NotOwner));
        let first = open(channel.clone(), life.term).await.unwrap();
        let _second = open(channel.clone(), life.term).await.unwrap();
        assert_eq!(open(channel.clone(), life.term).await.err(), Some(ConsumeError::TooMany { limit: 2 }));
        drop(first);
        assert!(open(channel.clone(), life.term).await.is_ok());
        let elsewhere = ScanFilter::of(PChannel::new("log_9").control());
        let wrong = consume(&life.node, &channel, life.term, ScanFrom::Latest, elsewhere).await.err();
        assert!(matches!(wrong, Some(ConsumeError::Invalid(text)) if text.contains("log_9_vcchan")));
    });
}

#[test]
fn a_reader_that_comes_too_late_is_told_where_the_log_begins() {
    let world = World::new(72, 1);
    let shard = Shard::new(&world.channels[0], 1);
    let channel = world.channels[0].clone();
    world.live(async |life: Life| {
        life.create(&shard).await;
        for key in 0..20 {
            life.insert(&shard, shard.partition(0), &[(key, key)]).await;
        }
        life.persist(&shard).await;
        let earliest = world.earliest(&channel).await;
        assert!(earliest > MessageId::EARLIEST);
        life.node.close_channel(&channel, life.term).await.unwrap();
    });
    world.live(async |life: Life| {
        // What the buffer of this life does not have must come from the storage, and is gone there.
        let earliest = world.earliest(&channel).await;
        let old = ScanFrom::Checkpoint(Checkpoint { resume: MessageId::EARLIEST, tick: Tick::ZERO });
        let mut late = consume(&life.node, &channel, life.term, old, ScanFilter::default()).await.unwrap();
        assert_eq!(late.next().await, Err(ConsumeError::Truncated { earliest }));
        let last = life.insert(&shard, shard.partition(0), &[(20, 20)]).await;
        let mut reader = Reader::new(&shard);
        reader.read(&life, last).await.unwrap();
        assert_eq!(reader.seen.last(), Some(&20), "from the earliest on there is no gap to be told of");
    });
}

#[test]
fn a_filter_by_kind_and_channel_leaves_everything_else_out() {
    let world = World::new(73, 1);
    let (one, two) = (Shard::new(&world.channels[0], 1), Shard::new(&world.channels[0], 2));
    world.live(async |life: Life| {
        life.create(&one).await;
        life.create(&two).await;
        life.insert(&one, one.partition(0), &[(1, 1)]).await;
        life.insert(&two, two.partition(0), &[(2, 2)]).await;
        life.delete(&one, &[1]).await;
        // A transaction without any of the wanted kinds is not there at all, one with some has only those.
        let (key, upsert) = (one.delete(None, &[7]), one.insert(4, one.partition(1), &[(7, 7)]));
        life.appended(vec![one.delete(None, &[5]), one.delete(None, &[6])]).await;
        let last = life.appended(vec![key, upsert]).await;
        let mut deliveries =
            consume(&life.node, &world.channels[0], life.term, ScanFrom::Earliest, inserts(&one))
                .await
                .unwrap();
        let mut got = BTreeMap::new();
        loop {
            let delivery = deliveries.next().await.unwrap();
            let tick = delivery.tick;
            if delivery.kind != DeliveryKind::TimeTick {
                got.insert(tick, (delivery.kind, keys(&one, &delivery)));
            }
            if tick >= last {
                break;
            }
        }
        let got: Vec<_> = got.into_values().collect();
        assert_eq!(got, [(DeliveryKind::Message, vec![1]), (DeliveryKind::Txn, vec![7])]);
    });
}

#[test]
fn a_transaction_of_several_calls_goes_on_under_the_next_owner() {
    let world = World::new(74, 1);
    let shard = Shard::new(&world.channels[0], 1);
    let row = |key| vec![shard.insert(4, shard.partition(0), &[(key, key)])];
    let (txn, lost) = world.live(async |life: Life| {
        life.create(&shard).await;
        let begin = |keepalive| life.node.begin_txn(&shard.vchannel, life.term, keepalive);
        let txn = begin(Some(Duration::from_secs(60))).await.unwrap();
        let lost = begin(None).await.unwrap();
        life.node.append_in_txn(&shard.vchannel, life.term, txn, row(1)).await.unwrap();
        life.node.append_in_txn(&shard.vchannel, life.term, lost, row(9)).await.unwrap();
        life.node.rollback_txn(&shard.vchannel, life.term, lost).await.unwrap();
        let other = Shard::new(&world.channels[0], 2);
        let wrong = life.node.append_in_txn(&other.vchannel, life.term, txn, row(3)).await;
        assert!(matches!(wrong, Err(AppendError::Invalid(_))));
        (txn, lost)
    });
    world.live(async |life: Life| {
        life.node.append_in_txn(&shard.vchannel, life.term, txn, row(2)).await.unwrap();
        let late = life.node.append_in_txn(&shard.vchannel, life.term, lost, row(8)).await;
        assert_eq!(late, Err(AppendError::TxnExpired(lost.txn)));
        let committed = life.node.commit_txn(&shard.vchannel, life.term, txn).await.unwrap();
        let again = life.node.commit_txn(&shard.vchannel, life.term, txn).await.unwrap();
        assert_eq!(committed.tick, again.tick, "a commit that is asked for again says what became of it");
        let mut reader = Reader::new(&shard);
        reader.read(&life, committed.tick).await.unwrap();
        assert_eq!((reader.seen, reader.ticks.last()), (vec![1, 2], Some(&committed.tick)));
        let open = life.node.begin_txn(&shard.vchannel, Term(life.term.0 - 1), None).await;
        assert_eq!(open.err(), Some(AppendError::NotOwner));
    });
}
