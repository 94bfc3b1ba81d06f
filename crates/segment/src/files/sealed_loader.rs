//! Brings segments back from their files.

use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_types::{CollectionSchema, DeleteFileRef, SegmentEntry, VChannelEntry};
use object_store::ObjectStore;

use super::delete_files::DeleteFiles;
use super::{ChunkRows, FileError};
use crate::Segment;

/// Loads the chunks of segments and applies the delete files of their VChannel. A sealed segment is then
/// whole; a growing one, when its node starts again, has the rows that were persisted.
#[derive(Clone)]
pub struct SealedLoader {
    store: Arc<dyn ObjectStore>,
    compute: Compute,
    deletes: DeleteFiles,
}

impl SealedLoader {
    /// A loader from this store, which decodes on this pool.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, compute: Compute) -> SealedLoader {
        let deletes = DeleteFiles::new(store.clone(), compute.clone());
        SealedLoader { store, compute, deletes }
    }

    /// Loads a segment as the catalog knows it.
    ///
    /// # Errors
    /// If a file is missing, corrupt, too new or of another schema, or the store fails.
    pub async fn load(
        &self,
        entry: &SegmentEntry,
        vchannel: &VChannelEntry,
        schema: Arc<CollectionSchema>,
    ) -> Result<Segment, FileError> {
        let segment = Segment::new(entry.id, entry.collection, entry.partition, schema.clone())?;
        segment.reserve(entry.rows() as usize);
        let segment = Arc::new(segment);
        for chunk in &entry.chunks {
            let mut reader = ChunkRows::open(&self.store, &self.compute, chunk, &schema).await?;
            while let Some((rows, ticks)) = reader.next().await? {
                let segment = segment.clone();
                self.compute.run(move || segment.insert_ticks(rows, ticks)).await?;
            }
        }
        segment.set_persisted(segment.rows());
        for file in &vchannel.delete_files {
            self.apply(&segment, file).await?;
        }
        Ok(Arc::into_inner(segment).expect("every step that shared the segment has ended"))
    }

    async fn apply(&self, segment: &Arc<Segment>, file: &DeleteFileRef) -> Result<(), FileError> {
        if file.partition.is_some_and(|partition| partition != segment.partition()) {
            return Ok(());
        }
        // Invariant Q2: a delete hides lower ticks only, so a file that ends before the rows began hides none.
        if segment.tick_span().is_none_or(|(least, _)| file.tick_max <= least) {
            return Ok(());
        }
        let deletes = self.deletes.read(file).await?;
        let segment = segment.clone();
        self.compute.run(move || segment.delete_each(&deletes.keys, &deletes.ticks)).await;
        Ok(())
    }
}
