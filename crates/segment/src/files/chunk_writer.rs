//! Writes chunks, tail files and delete files.

use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_types::{ChunkRef, DeleteFileRef, Keys, Tick};
use object_store::ObjectStore;

use super::FileError;
use super::encode::{ChunkEncoder, encode_deletes};
use super::object::{put, tail_file};
use crate::RowRun;

/// Writes the files of segments. Encoding is done on the compute pool, in steps of about a millisecond.
#[derive(Clone)]
pub struct ChunkWriter {
    store: Arc<dyn ObjectStore>,
    compute: Compute,
}

impl ChunkWriter {
    /// A writer into this store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, compute: Compute) -> ChunkWriter {
        ChunkWriter { store, compute }
    }

    /// Writes one run as a chunk file, or several as a tail file. Answers one chunk for each run, in their
    /// order. When it returns, the store has the object.
    ///
    /// # Errors
    /// If there is no run, an object of that name, or the store fails: then nothing refers to the object.
    pub async fn write(&self, object: &str, runs: Vec<RowRun>) -> Result<Vec<ChunkRef>, FileError> {
        let (mut files, mut chunks) = (Vec::with_capacity(runs.len()), Vec::with_capacity(runs.len()));
        for (place, run) in runs.into_iter().enumerate() {
            let (run, file) = self.encode(object, run).await?;
            chunks.push(ChunkRef {
                object: object.to_owned(),
                row_group: place as u32,
                row_groups: 1,
                rows: run.count() as u64,
                bytes: file.len() as u64,
                tick_min: run.tick_min,
                tick_max: run.tick_max,
                schema_version: run.schema.version,
            });
            files.push(file);
        }
        let file = match files.len() {
            0 => return Err(FileError::Nothing { object: object.to_owned() }),
            1 => files.swap_remove(0),
            _ => self.compute.run(move || tail_file(&files)).await,
        };
        put(self.store.as_ref(), object, file).await?;
        Ok(chunks)
    }

    /// Writes deletes, each a key and its tick, as a delete file. When it returns, the store has the object.
    ///
    /// # Errors
    /// If there is no delete, a tick is missing, there is an object of that name, or the store fails.
    pub async fn write_deletes(
        &self,
        object: &str,
        keys: Keys,
        ticks: Vec<Tick>,
    ) -> Result<DeleteFileRef, FileError> {
        let (Some(&tick_min), Some(&tick_max)) = (ticks.iter().min(), ticks.iter().max()) else {
            return Err(FileError::Nothing { object: object.to_owned() });
        };
        if ticks.len() != keys.len() {
            return Err(FileError::misfit(object, format!("{} ticks for {} keys", ticks.len(), keys.len())));
        }
        let rows = keys.len() as u64;
        let name = object.to_owned();
        let file = self.compute.run(move || encode_deletes(&name, &keys, &ticks)).await?;
        let bytes = file.len() as u64;
        put(self.store.as_ref(), object, file).await?;
        Ok(DeleteFileRef { object: object.to_owned(), rows, bytes, tick_min, tick_max, partition: None })
    }

    async fn encode(&self, object: &str, run: RowRun) -> Result<(RowRun, Vec<u8>), FileError> {
        let mut encoder = ChunkEncoder::new(object, run)?;
        loop {
            let (more, back) = self.compute.run(move || (encoder.step(), encoder)).await;
            encoder = back;
            if !more? {
                return self.compute.run(move || encoder.finish()).await;
            }
        }
    }
}
