//! A log that cannot be opened: callers are told why at once, not after their patience.

use cinclus_env::disk::{Fault, FaultError, FaultOperation};
use cinclus_rpc::{AppendError, Freshness, LogApi, NodeApi, NodeError, QueryPlan, ReadError};
use cinclus_types::Term;

use crate::shard::Shard;
use crate::world::{Life, World};

const COUNT: QueryPlan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };

/// Fails to open a log under the next term; what an append, with that term and with the old one, and a read get then.
fn refused(failing: impl Fn(&World)) -> (AppendError, AppendError, ReadError) {
    let world = World::on_disk(1, 1);
    let channel = world.channels[0].clone();
    let shard = Shard::new(&channel, 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.insert(&shard, shard.partition(0), &[(1, 1)]).await;
        failing(&world);
        let term = Term(life.term.0 + 1);
        let failed = life.node.open_channel(&channel, term).await;
        assert!(matches!(failed, Err(NodeError::Unavailable(_))), "{failed:?}");
        let row = || vec![shard.insert(4, shard.partition(0), &[(2, 1)])];
        let now = life.node.append(&channel, term, row()).await.unwrap_err();
        let before = life.node.append(&channel, life.term, row()).await.unwrap_err();
        let read = life.try_query(&shard, Freshness::Strong, COUNT).await.unwrap_err();
        let disk = world.disk.as_ref().unwrap();
        disk.set_capacity_bytes(u64::MAX);
        disk.clear_faults();
        life.node.open_channel(&channel, term).await.unwrap();
        life.node.append(&channel, term, row()).await.unwrap();
        assert_eq!(life.count(&shard, Freshness::Strong).await, 2);
        (now, before, read)
    })
}

#[test]
fn a_log_that_cannot_be_opened_says_why_until_it_is_open() {
    let (now, before, read) = refused(|world| {
        let fault = Fault {
            operation: FaultOperation::Write,
            path_contains: "/wal/".to_owned(),
            error: FaultError::Io,
            after: 0,
            times: u32::MAX,
        };
        world.disk.as_ref().unwrap().inject(fault);
    });
    assert!(matches!(&now, AppendError::Unavailable(text) if text.contains("log_0: ")), "{now}");
    assert_eq!(before, AppendError::NotOwner);
    assert!(matches!(read, ReadError::Unavailable(_)), "{read}");
}

#[test]
fn a_log_that_cannot_be_opened_on_a_full_disk_says_that_it_is_full() {
    let (now, _, _) = refused(|world| world.disk.as_ref().unwrap().set_capacity_bytes(0));
    assert!(matches!(&now, AppendError::DiskFull(text) if text.contains("no space left")), "{now}");
}
