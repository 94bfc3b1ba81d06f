//! Snapshots, written beside the commits.

use std::collections::BTreeSet;

use bytes::Bytes;
use cinclus_env::TaskHandle;

use super::format::encode_snapshot;
use super::objects::Objects;
use super::open::{Owned, remove_before};

/// When to write a snapshot, and the one that is being written.
pub(super) struct Snapshots {
    objects: Objects,
    bytes_min: u64,
    writing: Option<TaskHandle<()>>,
}

impl Snapshots {
    pub(super) fn new(objects: Objects, bytes_min: u64) -> Snapshots {
        Snapshots { objects, bytes_min, writing: None }
    }

    /// Starts a snapshot if so much was committed since the last one that reading it all again would take
    /// longer than reading a snapshot.
    pub(super) fn start_if_due(&mut self, owned: &mut Owned, tasks: &cinclus_env::TaskGroup) {
        let (since, last) = owned.bytes;
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        if busy || since < self.bytes_min.max(last) {
            return;
        }
        let lease = |key: &str| owned.leased.get(key).copied();
        let object = encode_snapshot(owned.epoch, (owned.number, &owned.barriers), &owned.contents, lease);
        owned.bytes = (0, object.len() as u64);
        let write = write(self.objects.clone(), owned.number, object, owned.barriers.clone());
        self.writing = Some(tasks.spawn("meta-snapshot", write));
    }
}

async fn write(objects: Objects, number: u64, object: Bytes, barriers: BTreeSet<u64>) {
    match objects.create(&objects.snapshot(number), &object).await {
        // Another owner made one of the same commits: as good as ours.
        Ok(_) => remove_before(&objects, number, &barriers).await,
        Err(error) => {
            tracing::warn!(%error, "a snapshot of the metadata could not be written; the next one will")
        }
    }
}
