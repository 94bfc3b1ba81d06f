//! The recovery bound (DESIGN §1.12): bytes to replay are bounded over all logs, without sealing.

use std::time::Duration;

use cinclus_node::NodeConfig;
use cinclus_rpc::{AppendError, Freshness, LogApi, RollbackCause};
use cinclus_types::{MessageId, PChannel, SegmentState};

use crate::shard::Shard;
use crate::world::{Life, World};

const BOUND: u64 = 8 << 20;
const DATA: u64 = 200 << 20;
const COLLECTIONS: i64 = 500;
const CHANNELS: u32 = 16;
const LIVES: i64 = 2;
/// Floats of a row, 32 KiB. What a row costs beside its bytes is most of the time in a build without
/// optimization: with few and large rows this takes seconds there, and the bytes are what it is about.
const DIM: usize = 8 << 10;
const ROWS: i64 = (DATA / (DIM as u64 * 4)) as i64;

#[test]
fn evenly_spread_rows_are_persisted_within_the_bound_without_being_sealed() {
    let mut world = World::new(3, CHANNELS);
    world.dim = DIM;
    world.config = NodeConfig { recovery_log_bytes_max: BOUND, ..NodeConfig::default() };
    let shard = |id: i64| Shard::new(&PChannel::numbered("log", (id % i64::from(CHANNELS)) as u32), id);
    world.live(async |life: Life| {
        for id in 1..=COLLECTIONS {
            life.create(&shard(id)).await;
        }
    });
    let (mut next, mut persisted) = (0, 0);
    for number in 0..LIVES {
        world.live(async |life: Life| {
            // The crash comes wherever the last row happens to be.
            while next < ROWS * (number + 1) / LIVES {
                let to = shard(next % COLLECTIONS + 1);
                life.insert(&to, to.partition(0), &[(next, 1)]).await;
                next += 1;
                assert!(life.node.backlog_bytes() <= BOUND);
            }
            persisted += life.persisted_bytes();
        });
        let replay = world.replay_bytes();
        assert!(replay <= BOUND, "life {number} left {replay} bytes to replay, the bound is {BOUND}");
        assert!(replay > BOUND / 8, "nothing was left to replay: {replay}");
        // What need not be replayed is gone: nothing else bounds the log.
        let left = world.log_bytes(|_| MessageId::EARLIEST);
        assert!(left <= BOUND, "life {number} left {left} bytes of log, the bound is {BOUND}");
    }
    assert!((DATA - BOUND..DATA * 11 / 10).contains(&persisted), "{persisted} bytes were persisted");
    let objects = world.objects().len() as u64;
    assert!(objects <= (3 * persisted) >> 20, "{objects} objects for {persisted} bytes");
    world.live(async |life: Life| {
        let segments = life.segments.all();
        let sealed = segments.iter().filter(|s| s.state == SegmentState::Sealed).count();
        assert!(sealed <= 500, "{sealed} sealed segments");
        let mut rows = 0;
        for id in 1..=COLLECTIONS {
            rows += life.count(&shard(id), Freshness::Strong).await;
        }
        assert_eq!(rows, ROWS as u64);
    });
}

#[test]
fn log_stays_for_readers_as_long_as_asked() {
    let left = |retention_bytes, retention_age| {
        let mut world = World::new(4, 1);
        world.config = NodeConfig { retention_bytes, retention_age, ..NodeConfig::default() };
        let shard = Shard::new(&world.channels[0], 1);
        for life in 0..2 {
            world.live(async |living: Life| {
                if life == 0 {
                    living.create(&shard).await;
                }
                for key in 0..20 {
                    living.insert(&shard, shard.partition(0), &[(life * 100 + key, 1)]).await;
                    living.persist(&shard).await;
                    living.pause(Duration::from_secs(1)).await;
                }
                assert_eq!(living.count(&shard, Freshness::Strong).await, (life as u64 + 1) * 20);
            });
        }
        (world.log_bytes(|_| MessageId::EARLIEST), world.replay_bytes())
    };
    let (nothing, replay) = left(0, Duration::ZERO);
    assert_eq!(nothing, replay, "only what recovery needs");
    let (by_bytes, replay) = left(2_000, Duration::ZERO);
    assert!(by_bytes - replay >= 2_000 && by_bytes < 6_000, "{by_bytes} {replay}");
    let (by_age, _) = left(0, Duration::from_secs(10));
    let (longer, _) = left(0, Duration::from_secs(15));
    let (all, _) = left(0, Duration::from_secs(3600));
    assert!(nothing < by_age && by_age < longer && longer < all, "{nothing} {by_age} {longer} {all}");
}

/// A client that keeps a transaction open for ever does not make restarts longer than the bound.
#[test]
fn a_transaction_that_is_open_for_long_is_rolled_back_when_the_bound_needs_it() {
    const SMALL: u64 = 1 << 20;
    let mut world = World::new(5, 2);
    world.dim = 256;
    world.config = NodeConfig { recovery_log_bytes_max: SMALL, ..NodeConfig::default() };
    let shards = [0, 1].map(|at| Shard::new(&world.channels[at], at as i64 + 1));
    world.live(async |life: Life| {
        for shard in &shards {
            life.create(shard).await;
        }
        let [busy, other] = &shards;
        let keepalive = Some(Duration::from_secs(600));
        let txn = life.node.begin_txn(&busy.vchannel, life.term, keepalive).await.unwrap();
        let short = life.node.begin_txn(&other.vchannel, life.term, keepalive).await.unwrap();
        let row = |shard: &Shard, key| vec![shard.insert(world.dim, shard.partition(0), &[(key, 1)])];
        life.node.append_in_txn(&busy.vchannel, life.term, txn, row(busy, 0)).await.unwrap();
        life.node.append_in_txn(&other.vchannel, life.term, short, row(other, 0)).await.unwrap();
        // Five times the bound.
        for key in 1..=(5 * SMALL / 1024) as i64 {
            life.insert(busy, busy.partition(0), &[(key, 1)]).await;
            assert!(life.node.backlog_bytes() <= 2 * SMALL);
        }
        life.pause(Duration::from_secs(10)).await;
        let gone = life.node.commit_txn(&busy.vchannel, life.term, txn).await;
        assert_eq!(gone, Err(AppendError::TxnRolledBack(txn.txn, RollbackCause::HoldsLog)));
        life.node.commit_txn(&other.vchannel, life.term, short).await.unwrap();
        assert_eq!(life.count(other, Freshness::Strong).await, 1, "it holds little");
        assert_eq!(life.count(busy, Freshness::Strong).await, 5 * SMALL / 1024);
        life.pause(Duration::from_secs(1200)).await;
        let (frontier, persisted) = (life.frontier().await, life.persisted_bytes());
        life.pause(Duration::from_secs(1200)).await;
        assert_eq!(
            (life.frontier().await, life.persisted_bytes()),
            (frontier, persisted),
            "it is quiet again"
        );
    });
    let replay = world.replay_bytes();
    assert!(replay <= 2 * SMALL, "{replay} bytes are replayed, the bound is {SMALL}");
}

/// The begin of a transaction holds the log over owners, and the next one counts it and rolls it back.
#[test]
fn what_an_open_transaction_holds_counts_for_the_next_owner() {
    const SMALL: u64 = 1 << 20;
    let mut world = World::new(6, 1);
    world.dim = 256;
    let (shard, keepalive) = (Shard::new(&world.channels[0], 1), Some(Duration::from_secs(600)));
    let rows = (SMALL * 3 / 4 / 1024) as i64;
    let txn = world.live(async |life: Life| {
        life.create(&shard).await;
        let txn = life.node.begin_txn(&shard.vchannel, life.term, keepalive).await.unwrap();
        let row = vec![shard.insert(256, shard.partition(0), &[(0, 1)])];
        life.node.append_in_txn(&shard.vchannel, life.term, txn, row).await.unwrap();
        for key in 1..=rows {
            life.insert(&shard, shard.partition(0), &[(key, 1)]).await;
        }
        life.persist(&shard).await;
        txn
    });
    assert!(world.replay_bytes() > SMALL / 2, "the first owner may hold so much");
    world.config = NodeConfig { recovery_log_bytes_max: SMALL, ..NodeConfig::default() };
    world.live(async |life: Life| {
        life.pause(Duration::from_secs(10)).await;
        assert!(life.node.backlog_bytes() < SMALL / 100, "nothing but the rollback and the time");
        let gone = life.node.commit_txn(&shard.vchannel, life.term, txn).await;
        assert_eq!(gone, Err(AppendError::TxnRolledBack(txn.txn, RollbackCause::HoldsLog)));
        assert_eq!(life.count(&shard, Freshness::Strong).await, rows as u64);
    });
}
