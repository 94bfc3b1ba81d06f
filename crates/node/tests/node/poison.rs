//! Messages that were acknowledged and cannot be applied: their log stays closed and says what is wrong and
//! where, the others serve. Nothing is skipped.

use cinclus_rpc::{AppendError, Freshness, NodeApi, QueryPlan, ReadError};
use cinclus_types::message::{Draft, Header};
use cinclus_types::{MessageId, Tick};

use crate::shard::Shard;
use crate::world::{Life, World};

const COUNT: QueryPlan = QueryPlan { filter: None, limit: None, count_only: true, output: Vec::new() };

/// What is wrong must name the log, the kind and the place of the message, and a reason.
fn check_words(text: &str, shard: &Shard, kind: &str, id: MessageId, reason: &str) {
    let channel = shard.vchannel.pchannel();
    for word in [&format!("{channel}: "), kind, &format!(" {id} "), reason] {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

/// Every call to the shard says what is wrong.
async fn check_closed(life: &Life, shard: &Shard, kind: &str, id: MessageId, reason: &str) {
    let corrupt = |error: ReadError| {
        let ReadError::Corrupt(text) = error else { panic!("{error}") };
        check_words(&text, shard, kind, id, reason);
    };
    corrupt(life.try_query(shard, Freshness::Strong, COUNT).await.unwrap_err());
    corrupt(life.try_query(shard, Freshness::AtLeast(Tick::ZERO), COUNT).await.unwrap_err());
    corrupt(life.node.persist(&shard.vchannel, Tick::ZERO).await.unwrap_err());
    corrupt(life.node.statistics(&shard.vchannel).await.unwrap_err());
    for batch in
        [shard.insert(4, shard.partition(0), &[(9, 9)]), shard.delete(None, &[1]), shard.manual_flush()]
    {
        let Err(AppendError::Corrupt(text)) = life.append(vec![batch]).await else { panic!("it was taken") };
        check_words(&text, shard, kind, id, reason);
    }
}

/// Appends a batch whose message at `place` cannot be applied, and looks at this life and the next two.
fn check(kind: &str, reason: &str, place: usize, batch: impl Fn(&Shard) -> Vec<Draft>) {
    let world = World::new(1, 2);
    let (sick, well) = (Shard::new(&world.channels[0], 1), Shard::new(&world.channels[1], 2));
    let id = world.live(async |life: Life| {
        for shard in [&sick, &well] {
            life.create(shard).await;
            life.insert(shard, shard.partition(0), &[(1, 1), (2, 1)]).await;
            life.flush(shard).await;
            life.insert(shard, shard.partition(1), &[(3, 1)]).await;
        }
        assert_eq!(life.count(&sick, Freshness::Strong).await, 3);
        let appended = life.append(batch(&sick)).await.unwrap();
        check_closed(&life, &sick, kind, appended.ids[place], reason).await;
        assert_eq!(life.count(&well, Freshness::Strong).await, 3);
        appended.ids[place]
    });
    for number in 0..2_u64 {
        world.live(async |life: Life| {
            assert_eq!(life.corrupt.keys().collect::<Vec<_>>(), [&world.channels[0]]);
            check_closed(&life, &sick, kind, id, reason).await;
            assert_eq!(life.count(&well, Freshness::Strong).await, 3 + number);
            life.insert(&well, well.partition(0), &[(10 + number as i64, 1)]).await;
            life.flush(&well).await;
            assert!(world.earliest(&world.channels[0]).await <= id, "what cannot be read is not thrown away");
        });
    }
}

#[test]
fn an_insert_that_is_no_insert_closes_its_log_and_says_where_it_is() {
    check("Insert", "InsertRequest", 0, |shard| vec![shard.unreadable_insert(b"\xffnonsense")]);
}

#[test]
fn an_insert_that_does_not_fit_the_schema_closes_its_log() {
    check("Insert", "dimension", 0, |shard| vec![shard.insert(7, shard.partition(0), &[(1, 1)])]);
}

#[test]
fn an_unreadable_delete_closes_its_log() {
    check("Delete", "DeleteRequest", 0, |shard| {
        let mut delete = shard.delete(None, &[1]);
        delete.payload = bytes::Bytes::from_static(b"\xff");
        vec![delete]
    });
}

#[test]
fn an_unreadable_message_of_a_transaction_closes_its_log() {
    check("Insert", "InsertRequest", 1, |shard| {
        vec![shard.delete(None, &[1]), shard.unreadable_insert(b"\xff"), shard.delete(None, &[2])]
    });
}

#[test]
fn a_collection_without_a_readable_schema_closes_its_log() {
    check("CreateCollection", "schema", 0, |shard| {
        let mut creation = Shard::new(&shard.vchannel.pchannel(), 3).creation(4);
        creation.payload = bytes::Bytes::new();
        vec![creation]
    });
}

#[test]
fn an_unreadable_change_of_a_collection_closes_its_log() {
    check("AlterCollection", "AlterCollectionMessageBody", 0, |shard| {
        let mut change = shard.manual_flush();
        change.header = Header::AlterCollection {
            database: cinclus_types::DatabaseId(1),
            collection: shard.collection,
            update_mask: vec!["schema".to_owned()],
            segments: Vec::new(),
        };
        change.payload = bytes::Bytes::from_static(b"\xff");
        vec![change]
    });
}

/// A read that waits for what comes after the message is told at once, not when its patience ends.
#[test]
fn a_read_that_waits_is_told() {
    let world = World::new(2, 1);
    let shard = Shard::new(&world.channels[0], 1);
    world.live(async |life: Life| {
        life.create(&shard).await;
        life.count(&shard, Freshness::Strong).await;
        let begun = life.env.clock.monotonic();
        let ahead = Tick::from_unix_ms(life.env.clock.unix_ms() + 2_000);
        let read = life.try_query(&shard, Freshness::Snapshot(ahead), COUNT);
        let (answer, _) = tokio::join!(read, life.append(vec![shard.unreadable_insert(b"\xff")]));
        assert!(matches!(answer, Err(ReadError::Corrupt(_))), "{answer:?}");
        assert!(life.env.clock.monotonic() - begun < std::time::Duration::from_millis(100));
    });
}
