//! A log behind gRPC is used as one that is here.

use std::time::Duration;

use cinclus_rpc::grpc::RemoteView;
use cinclus_rpc::{
    AppendError, ConsumeError, Deliveries, Delivery, LogApi, ScanFilter, ScanFrom, Subscription,
};
use cinclus_types::message::{Draft, Kind, TxnContext};
use cinclus_types::{
    Assignment, Checkpoint, MessageId, NodeId, NodeInfo, PChannel, Term, Tick, TxnId, VChannel, ViewVersion,
};

use crate::memory_log::{SEGMENT, TERM, channel, delete, insert, shard};
use crate::world::World;

async fn consume(world: &World, from: ScanFrom, filter: ScanFilter) -> Box<dyn Deliveries> {
    world.remote().consume(&channel(), TERM, Subscription { from, filter }).await.unwrap()
}

fn whole(mut delivery: Delivery) -> Delivery {
    delivery.log_bytes = 0;
    delivery
}

#[tokio::test]
async fn appends_are_answered_each_with_its_own_answer() {
    let world = World::new().await;
    let remote = world.remote();
    let channel = channel();
    let slow = remote.append(&channel, TERM, vec![delete("slow")]);
    let others = async {
        let quick = remote.append(&channel, TERM, vec![insert("quick")]).await.unwrap();
        let refused = remote.append(&channel, TERM, vec![insert("large")]).await;
        world.log.release();
        (quick, refused)
    };
    let (slow, (quick, refused)) = tokio::join!(slow, others);
    assert_eq!((quick.ids[0].entry(), quick.tick, &*quick.sealed), (1, Tick(1001), &[SEGMENT][..]));
    assert_eq!(refused, Err(AppendError::TooLarge { bytes: 5, limit: 4 }));
    assert_eq!(slow.unwrap().ids[0].entry(), 2, "answered after what came later");
    let both = remote.append(&channel, TERM, vec![delete("a"), insert("b")]).await.unwrap();
    assert_eq!((both.ids.len(), both.tick), (2, Tick(1006)), "one transaction");
    let moved = remote.append(&channel, Term(4), vec![delete("x")]).await;
    assert_eq!(moved, Err(AppendError::NotOwner));
    let elsewhere = VChannel::new("p_1_7v0");
    let wrong = Draft { vchannel: Some(elsewhere), ..delete("x") };
    let wrong = remote.append(&channel, TERM, vec![wrong]).await;
    assert!(matches!(wrong, Err(AppendError::Invalid(text)) if text.contains("p_1_7v0")));
}

#[tokio::test]
async fn a_transaction_of_several_calls_is_one() {
    let world = World::new().await;
    let remote = world.remote();
    let txn = remote.begin_txn(&shard(), TERM, Some(Duration::from_millis(1500))).await.unwrap();
    assert_eq!(txn.keepalive, Duration::from_millis(1500));
    let lost = remote.begin_txn(&shard(), TERM, None).await.unwrap();
    assert_eq!(lost.keepalive, Duration::from_secs(10), "the log's own");
    remote.append_in_txn(&shard(), TERM, txn, vec![insert("a")]).await.unwrap();
    remote.append_in_txn(&shard(), TERM, lost, vec![insert("x")]).await.unwrap();
    let two = remote.append_in_txn(&shard(), TERM, txn, vec![insert("b"), delete("c")]).await.unwrap();
    assert_eq!(two.ids.len(), 2);
    remote.rollback_txn(&shard(), TERM, lost).await.unwrap();
    let committed = remote.commit_txn(&shard(), TERM, txn).await.unwrap();
    let unknown = TxnContext { txn: TxnId(99), keepalive: Duration::from_secs(1) };
    let gone = remote.commit_txn(&shard(), TERM, unknown).await;
    assert_eq!(gone, Err(AppendError::TxnExpired(TxnId(99))));
    let delivery = consume(&world, ScanFrom::Earliest, ScanFilter::default()).await.next().await.unwrap();
    let payloads: Vec<_> = delivery.messages.iter().map(|message| message.payload().clone()).collect();
    assert_eq!((payloads, delivery.tick), (vec!["a".into(), "b".into(), "c".into()], committed.tick));
}

#[tokio::test]
async fn deliveries_arrive_as_they_are_and_go_on_from_any_checkpoint() {
    let world = World::new().await;
    for round in 0..40 {
        let name = format!("{round}");
        world.log.append(&channel(), TERM, vec![insert(&name)]).await.unwrap();
        world.log.append(&channel(), TERM, vec![delete(&name), insert(&name)]).await.unwrap();
        world.log.tick();
    }
    let sent = world.log.deliveries();
    let mut all = consume(&world, ScanFrom::Earliest, ScanFilter::default()).await;
    for wanted in &sent {
        assert_eq!(whole(all.next().await.unwrap()), *wanted);
    }
    for at in [0, 1, 2, 57] {
        let from = ScanFrom::Checkpoint(sent[at].checkpoint);
        let next = consume(&world, from, ScanFilter::default()).await.next().await.unwrap();
        assert_eq!(whole(next), sent[at + 1]);
        let from = ScanFrom::Tick(sent[at].tick);
        let next = consume(&world, from, ScanFilter::of(shard())).await.next().await.unwrap();
        assert_eq!(whole(next), sent[at + 1]);
    }
    let kinds = Some(vec![Kind::Delete]);
    let filter = ScanFilter { vchannel: None, kinds };
    let first = consume(&world, ScanFrom::Earliest, filter).await.next().await.unwrap();
    assert!(first.messages.is_empty(), "the first thing that the filter lets pass is a TimeTick");
    let mut latest = consume(&world, ScanFrom::Latest, ScanFilter::default()).await;
    world.log.append(&channel(), TERM, vec![insert("new")]).await.unwrap();
    assert_eq!(latest.next().await.unwrap().messages[0].payload(), "new");
}

#[tokio::test]
async fn the_end_of_a_subscription_says_why() {
    let world = World::new().await;
    world.log.append(&channel(), TERM, vec![insert("a")]).await.unwrap();
    let remote = world.remote();
    let channel = channel();
    let all = || Subscription { from: ScanFrom::Earliest, filter: ScanFilter::default() };
    let moved = remote.consume(&channel, Term(9), all()).await.err();
    assert_eq!(moved, Some(ConsumeError::NotOwner));
    let filter = ScanFilter::of(VChannel::new("p_0_8v0"));
    let wrong = remote.consume(&channel, TERM, Subscription { filter, ..all() }).await.err();
    assert_eq!(wrong, Some(ConsumeError::Invalid("p_0_8v0 is not here".to_owned())));

    let earliest = MessageId::from_parts(0, 5, 9);
    world.log.truncate(earliest);
    let old = ScanFrom::Checkpoint(Checkpoint { resume: MessageId::EARLIEST, tick: Tick::ZERO });
    let mut late = consume(&world, old, ScanFilter::default()).await;
    assert_eq!(late.next().await, Err(ConsumeError::Truncated { earliest }));

    let mut reader = remote.consume(&channel, TERM, all()).await.unwrap();
    reader.next().await.unwrap();
    world.log.close();
    assert_eq!(reader.next().await, Err(ConsumeError::Closed("by the test".to_owned())));
}

#[tokio::test]
async fn streams_end_when_the_node_stops_and_readers_when_their_stream_does() {
    let world = World::new().await;
    let remote = world.remote();
    remote.append(&channel(), TERM, vec![insert("a")]).await.unwrap();
    let mut stays = consume(&world, ScanFrom::Earliest, ScanFilter::default()).await;
    stays.next().await.unwrap();
    {
        let mut goes = consume(&world, ScanFrom::Earliest, ScanFilter::default()).await;
        goes.next().await.unwrap();
        assert_eq!(world.log.readers(), 2);
    }
    let clock = &world.env.clock;
    let deadline = clock.monotonic() + Duration::from_secs(20);
    while world.log.readers() > 1 {
        assert!(clock.monotonic() < deadline, "a reader whose stream ended is still there");
        tokio::task::yield_now().await;
    }
    world.stopping.send_replace(true);
    assert!(matches!(stays.next().await, Err(ConsumeError::Closed(text)) if text == "the node stops"));
    let after = remote.append(&channel(), TERM, vec![insert("b")]).await;
    assert!(after.is_err(), "nothing is taken any more");
}

#[tokio::test]
async fn the_view_is_followed() {
    let world = World::new().await;
    let owned = |term, address: &str| Assignment {
        term: Term(term),
        node: NodeInfo { id: NodeId(7), address: address.to_owned() },
    };
    world.view.send_modify(|view| {
        view.version = ViewVersion { global: 1, local: 1 };
        view.channels.insert(channel(), owned(3, ""));
    });
    let mut view = RemoteView::follow(&world.address, &world.env).await.unwrap();
    assert_eq!(view.borrow_and_update().channels[&channel()], owned(3, &world.address));
    world.view.send_modify(|view| {
        view.version.local += 1;
        view.channels.insert(channel(), owned(4, "http://elsewhere:1"));
        view.channels.insert(PChannel::new("p_1"), owned(2, "http://elsewhere:1"));
    });
    view.changed().await.unwrap();
    let now = view.borrow_and_update().clone();
    assert_eq!((now.channels.len(), &now.channels[&channel()]), (2, &owned(4, "http://elsewhere:1")));
    assert!(RemoteView::follow("http://127.0.0.1:1", &world.env).await.is_err());
}
