//! What the metadata says of a truncated log in local files, to Woodpecker and to us.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use cinclus_log_storage::DynLogStorage;
use cinclus_log_storage::conformance::{batch, channel, open, read_from, texts};
use cinclus_meta::Txn;
use cinclus_types::MessageId;
use prost::Message;
use support::Machine;

const LOG_KEY: &str = "by-dev/woodpecker/logs/conformance_0";

fn parts(id: MessageId) -> (i64, i64) {
    (id.segment() as i64, id.entry() as i64)
}

async fn filled(storage: &DynLogStorage) -> Vec<MessageId> {
    let mut ids = Vec::new();
    // Two opens: the records are in two segments.
    for term in 0..2 {
        let mut writer = open(storage, term).await;
        for number in 0..5 {
            ids.extend(writer.append(batch(term * 5 + number)).await.unwrap());
        }
        writer.close().await.unwrap();
    }
    assert_ne!(ids[4].segment(), ids[5].segment());
    ids
}

/// Another program moves the point; this one starts again.
async fn note(machine: &mut Machine, point: (i64, i64)) -> DynLogStorage {
    let mut meta = machine.metadata().load(&channel()).await.unwrap().unwrap().meta;
    (meta.truncated_segment_id, meta.truncated_entry_id) = point;
    machine.meta.commit(Txn::new().put(LOG_KEY, meta.encode_to_vec())).await.unwrap();
    machine.kill().await;
    machine.start().await.unwrap()
}

#[tokio::test]
async fn the_last_record_that_goes_is_noted_for_woodpecker() {
    let machine = Machine::new(1, 1 << 20);
    let storage = machine.start().await.unwrap();
    let ids = filled(&storage).await;
    for at in [1, 3, 5, 7] {
        storage.truncate(&channel(), ids[at]).await.unwrap();
        assert_eq!(storage.earliest(&channel()).await, Ok(ids[at]));
        let noted = machine.metadata().load(&channel()).await.unwrap().unwrap().meta.truncated();
        assert_eq!(noted, parts(ids[at - 1]), "record {at} stays");
    }
}

#[tokio::test]
async fn a_point_of_somebody_else_lets_nothing_go_that_stays_there() {
    let mut machine = Machine::new(1, 1 << 20);
    let storage = machine.start().await.unwrap();
    let ids = filled(&storage).await;
    storage.truncate(&channel(), ids[2]).await.unwrap();
    drop(storage);
    // The first versions of this program noted the first record that stays; with Woodpecker it is the last that goes.
    let storage = note(&mut machine, parts(ids[6])).await;
    assert_eq!(storage.earliest(&channel()).await, Ok(ids[6]));
    assert_eq!(texts(&read_from(&storage, ids[6]).await), ["6", "7", "8", "9"]);
    storage.truncate(&channel(), ids[8]).await.unwrap();
    drop(storage);
    machine.kill().await;
    let storage = machine.start().await.unwrap();
    assert_eq!(storage.earliest(&channel()).await, Ok(ids[8]));
}
