//! Blocks on their way to a reader.

use std::collections::VecDeque;
use std::sync::Arc;

use cinclus_env::TaskHandle;
use cinclus_types::MessageId;
use object_store::path::Path;

use super::block::{self, Extent};
use super::objects::{Place, corrupt};
use super::segment::Segment;
use super::shared::Shared;
use crate::error::LogError;
use crate::record::StoredRecord;

/// Larger blocks are checked and decoded on the compute pool: it takes longer than 200 µs.
const INLINE_BYTES_MAX: u64 = 512 << 10;

/// Blocks of one segment that were asked for, in order.
pub(super) struct Ahead {
    pub(super) segment: Arc<Segment>,
    pub(super) edition: u64,
    /// The next one to be asked for.
    pub(super) next: u64,
    pub(super) fetches: VecDeque<Fetch>,
    /// Of those that were asked for.
    pub(super) bytes: u64,
}

/// One block that was asked for. Nobody waits for it once this is dropped.
pub(super) struct Fetch {
    pub(super) path: Path,
    pub(super) number: u64,
    pub(super) extent: Extent,
    /// The id behind the last entry that may be read.
    pub(super) readable: u64,
    pub(super) task: Option<TaskHandle<Fetched>>,
}

/// The records of a block; `None` if it is not there.
pub(super) type Fetched = Result<Option<Vec<StoredRecord>>, LogError>;

impl Ahead {
    pub(super) fn new(segment: Arc<Segment>, number: u64, edition: u64) -> Ahead {
        Ahead { segment, edition, next: number, fetches: VecDeque::new(), bytes: 0 }
    }

    /// Whether these are blocks of that segment.
    pub(super) fn is_of(&self, segment: u64, edition: u64) -> bool {
        self.segment.id == segment && self.edition == edition
    }

    /// Whether the first of them is that block.
    pub(super) fn is_at(&self, segment: u64, number: u64, edition: u64) -> bool {
        self.is_of(segment, edition) && self.next == number + self.fetches.len() as u64
    }
}

impl Fetch {
    /// Asks for a block, merged or not.
    pub(super) fn start(
        shared: &Arc<Shared>,
        place: Place,
        number: u64,
        extent: Extent,
        (merged, readable): (bool, u64),
    ) -> Fetch {
        let objects = &shared.objects;
        let path = if merged { objects.merged(place, number) } else { objects.block(place, number) };
        let get = get(shared.clone(), path.clone(), place.segment, (number, extent));
        let task = Some(shared.env.tasks.spawn("log block read", get));
        Fetch { path, number, extent, readable, task }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn get(shared: Arc<Shared>, path: Path, segment: u64, (number, extent): (u64, Extent)) -> Fetched {
    let Some(found) = shared.objects.get(&path).await? else { return Ok(None) };
    let (object, generation) = (found.bytes, shared.config.generation);
    let id = move |entry| MessageId::from_parts(generation, segment, entry);
    let decode = move || block::records(&object, number, extent, id);
    let large = extent.bytes > INLINE_BYTES_MAX;
    let records = if large { shared.env.compute.run(decode).await } else { decode() };
    records.map(Some).map_err(|error| corrupt(&path, segment, number, error))
}
