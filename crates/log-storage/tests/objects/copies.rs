//! How often bytes are copied between an append and the put.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cinclus_log_storage::conformance::open;
use cinclus_log_storage::{AppendAck, Record};
use object_store::path::Path;
use object_store::{ObjectStore, PutPayload};
use parking_lot::Mutex;

use crate::world::World;

/// The pieces of all blocks that are put, as the object store gets them.
fn watch(world: &World) -> Arc<Mutex<Vec<Bytes>>> {
    let pieces: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let kept = pieces.clone();
    world.store.set_hook(Some(Arc::new(move |_: &dyn ObjectStore, path: &Path, payload: &PutPayload| {
        if path.as_ref().ends_with(".blk") && !path.as_ref().ends_with("footer.blk") {
            kept.lock().extend(payload.iter().cloned());
        }
    })));
    pieces
}

fn addresses(bytes: &Bytes) -> Range<usize> {
    let start = bytes.as_ptr() as usize;
    start..start + bytes.len()
}

#[tokio::test(start_paused = true)]
async fn a_large_payload_is_put_from_where_its_appender_has_it() {
    const BYTES: usize = 64 << 10;
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let pieces = watch(&world);
    let payloads: Vec<Bytes> = (0..100_u8).map(|number| Bytes::from(vec![number; BYTES])).collect();
    let acks: Vec<AppendAck> = payloads
        .chunks(10)
        .map(|batch| writer.append(batch.iter().map(|it| Record::new(it.clone(), Vec::new())).collect()))
        .collect();
    for ack in acks {
        ack.await.unwrap();
    }
    let pieces = pieces.lock();
    for payload in &payloads {
        let same = pieces.iter().filter(|piece| addresses(piece) == addresses(payload));
        assert_eq!(same.count(), 1, "no copy: what is put is the appender's own bytes");
    }
    let all: usize = pieces.iter().map(Bytes::len).sum();
    let beside = all - payloads.len() * BYTES;
    assert!(beside < payloads.len() * 64, "{beside} bytes stand around {} records", payloads.len());
}

#[tokio::test(start_paused = true)]
async fn a_small_payload_is_copied_once() {
    const BYTES: usize = 1 << 10;
    let world = World::new(1, |_| {});
    let storage = world.process(1).await;
    let mut writer = open(&storage, 1).await;
    let pieces = watch(&world);
    let acks: Vec<AppendAck> = (0..100_u8)
        .map(|number| writer.append(vec![Record::new(vec![number; BYTES], Vec::new()); 10]))
        .collect();
    for ack in acks {
        ack.await.unwrap();
    }
    // The first batch goes out alone, the others together: two heads, and a piece for each batch. Pieces that
    // were put together on the way would be fewer and longer.
    let pieces = pieces.lock();
    let (batches, heads): (Vec<&Bytes>, Vec<&Bytes>) = pieces.iter().partition(|piece| piece.len() > BYTES);
    assert_eq!((batches.len(), heads.len()), (100, 2));
    assert!(batches.iter().all(|batch| (10 * BYTES..11 * BYTES).contains(&batch.len())));
}
