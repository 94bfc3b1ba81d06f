//! What a node answers that does not know yet that another one owns its log.

use cinclus_rpc::{Freshness, QueryPlan};
use cinclus_types::{Term, Tick};
use cinclus_wal::OwnershipProof;

use crate::shard::Shard;
use crate::world::{Life, World};

/// How many rows an owner that was replaced shows to a read that asks for what its successor acknowledged, if it
/// answers.
fn shown_by_an_owner_of_before(proof: OwnershipProof, freshness: fn(Tick) -> Freshness) -> Option<u64> {
    let mut world = World::new(1, 1);
    world.config.wal.proof = proof;
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |before: Life| {
        before.create(&shard).await;
        let first = before.insert(&shard, shard.partition(0), &[(1, 1)]).await;
        assert_eq!(before.count(&shard, freshness(first)).await, 1, "as long as it owns the log it answers");
        let after = Life::begin(&world, Term(before.term.0 + 1), before.env.clock.clone()).await;
        let told = after.insert(&shard, shard.partition(0), &[(2, 2)]).await;
        assert_eq!(after.count(&shard, freshness(told)).await, 2);
        let plan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };
        let answer = before.try_query(&shard, freshness(told), plan).await.ok();
        answer.map(|answer| answer.count)
    })
}

#[test]
fn a_time_tick_proves_that_a_read_is_not_stale() {
    for freshness in [|_| Freshness::Strong, Freshness::AtLeast, Freshness::Snapshot] {
        assert_eq!(shown_by_an_owner_of_before(OwnershipProof::TimeTick, freshness), None);
        // Without a proof it shows what was there before: a lock must rule out that there are two.
        assert_eq!(shown_by_an_owner_of_before(OwnershipProof::Lock, freshness), Some(1));
    }
    // Ticks of its own say nothing to a read that names none.
    assert_eq!(shown_by_an_owner_of_before(OwnershipProof::OwnTicks, |_| Freshness::Strong), None);
}
