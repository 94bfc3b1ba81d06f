//! Reads chunks.

use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_types::{ChunkRef, CollectionSchema, Rows};
use object_store::ObjectStore;

use super::FileError;
use super::decode::ChunkDecoder;
use super::object::get_chunk;
use crate::RowTicks;

/// The rows of a chunk, as many at a time as are decoded in about a millisecond.
pub struct ChunkRows {
    compute: Compute,
    /// Absent only while a step is being done, or after one was given up.
    decoder: Option<ChunkDecoder>,
    /// Rows that are still to come.
    left: u64,
    object: String,
}

impl ChunkRows {
    /// Fetches a chunk and checks its checksum. Fields that the schema lacks are not read, fields that the
    /// chunk lacks are missing in the rows.
    ///
    /// # Errors
    /// If the object is missing, corrupt, too new, of another schema, or the store fails.
    pub async fn open(
        store: &Arc<dyn ObjectStore>,
        compute: &Compute,
        chunk: &ChunkRef,
        schema: &Arc<CollectionSchema>,
    ) -> Result<ChunkRows, FileError> {
        let file = get_chunk(store, &chunk.object, chunk.row_group, chunk.bytes).await?;
        let (object, schema) = (chunk.object.clone(), schema.clone());
        let decoder = compute.run(move || ChunkDecoder::new(&object, file, &schema)).await?;
        let object = chunk.object.clone();
        Ok(ChunkRows { compute: compute.clone(), decoder: Some(decoder), left: chunk.rows, object })
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// If the chunk does not hold the rows that it should.
    pub async fn next(&mut self) -> Result<Option<(Rows, RowTicks)>, FileError> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(None) };
        let (rows, decoder) = self.compute.run(move || (decoder.step(), decoder)).await;
        let rows = rows?;
        let count = rows.as_ref().map_or(0, |(rows, _)| rows.count as u64);
        if count > self.left || (count == 0 && self.left > 0) {
            let reason = format!("it has {count} rows where {} are left", self.left);
            return Err(FileError::corrupt(&self.object, reason));
        }
        self.left -= count;
        self.decoder = (count > 0).then_some(decoder);
        Ok(rows)
    }
}

/// All rows of a chunk and their effective ticks.
///
/// # Errors
/// As [`ChunkRows::open`] and [`ChunkRows::next`].
pub async fn read_chunk(
    store: &Arc<dyn ObjectStore>,
    compute: &Compute,
    chunk: &ChunkRef,
    schema: &Arc<CollectionSchema>,
) -> Result<(Rows, RowTicks), FileError> {
    let mut reader = ChunkRows::open(store, compute, chunk, schema).await?;
    let (mut all, mut all_ticks) = (Rows::default(), RowTicks::Each(Vec::new()));
    while let Some((rows, ticks)) = reader.next().await? {
        all_ticks.append(all.count, &ticks, rows.count);
        if all.count == 0 {
            all = rows;
            continue;
        }
        all.count += rows.count;
        all.columns.iter_mut().zip(&rows.columns).for_each(|(mine, more)| mine.append(more));
    }
    Ok((all, all_ticks))
}
