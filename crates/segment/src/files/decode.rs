//! Parquet files into rows.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use cinclus_types::{CollectionSchema, FieldId, Keys, Rows, Tick};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::columns::{arrow_type, to_column};
use super::object::verify;
use super::{FileError, format};
use crate::RowTicks;

/// Bytes that are decoded in one go, about.
const BATCH_BYTES: u64 = 4 << 20;
/// The least rows that are decoded in one go: as many as a block has.
const BATCH_ROWS: usize = 1024;

/// Decodes a chunk, a step at a time.
pub(super) struct ChunkDecoder {
    object: String,
    columns: Vec<(FieldId, arrow_schema::DataType)>,
    reader: ParquetRecordBatchReader,
}

impl ChunkDecoder {
    /// Checks the file, and reads those of its fields that the schema has.
    pub(super) fn new(
        object: &str,
        file: Bytes,
        schema: &CollectionSchema,
    ) -> Result<ChunkDecoder, FileError> {
        let bytes = file.len() as u64;
        let builder = open(object, file, format::KIND_CHUNK)?;
        let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
        let mut columns = Vec::new();
        let mut roots = Vec::new();
        for (root, field) in builder.schema().fields().iter().enumerate() {
            let id = field.name().parse().map(FieldId);
            let id = id.map_err(|_| FileError::corrupt(object, format!("column {:?}", field.name())))?;
            let expected = match schema.field_by_id(id) {
                Some(field) => arrow_type(field),
                None if id == FieldId::ROW_ID || id == FieldId::TIMESTAMP => arrow_schema::DataType::Int64,
                None => continue,
            };
            roots.push(root);
            columns.push((id, expected));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batch = (BATCH_BYTES * rows / bytes.max(1)) as usize;
        let reader = builder.with_projection(mask).with_batch_size(batch.clamp(BATCH_ROWS, 1 << 16)).build();
        let reader = reader.map_err(|error| FileError::corrupt(object, error))?;
        Ok(ChunkDecoder { object: object.to_owned(), columns, reader })
    }

    /// The next rows with their ticks.
    pub(super) fn step(&mut self) -> Result<Option<(Rows, RowTicks)>, FileError> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(|error| FileError::corrupt(&self.object, error))?;
        let mut rows = Rows { count: batch.num_rows(), columns: Vec::with_capacity(self.columns.len()) };
        let mut ticks = None;
        for ((id, expected), array) in self.columns.iter().zip(batch.columns()) {
            let column = to_column(*id, array, expected)
                .map_err(|error| FileError::misfit(&self.object, format!("field {id}: {error}")))?;
            if *id == FieldId::TIMESTAMP {
                ticks = Some(array_ticks(array));
            } else {
                rows.columns.push(column);
            }
        }
        rows.columns.sort_by_key(|column| column.field);
        let ticks = ticks.flatten().ok_or_else(|| FileError::corrupt(&self.object, "it has no ticks"))?;
        Ok(Some((rows, RowTicks::Each(ticks).compacted())))
    }
}

/// The keys and ticks of a delete file.
pub(super) fn decode_deletes(object: &str, file: Bytes) -> Result<(Keys, Vec<Tick>), FileError> {
    let reader = open(object, file, format::KIND_DELETES)?.with_batch_size(1 << 16).build();
    let reader = reader.map_err(|error| FileError::corrupt(object, error))?;
    let mut all: Option<Keys> = None;
    let mut ticks = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| FileError::corrupt(object, error))?;
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| FileError::corrupt(object, format!("no column {name:?}")))
        };
        let keys = column(format::DELETED_KEY)?;
        let keys =
            to_column(FieldId::default(), keys, keys.data_type()).ok().and_then(|keys| keys.data.keys());
        let keys = keys.ok_or_else(|| FileError::corrupt(object, "its keys are of no type of a key"))?;
        match (&mut all, keys) {
            (Some(Keys::Int64(all)), Keys::Int64(keys)) => all.extend(keys),
            (Some(Keys::VarChar(all)), Keys::VarChar(keys)) => keys.iter().for_each(|key| all.push(key)),
            (all, keys) => *all = Some(keys),
        }
        let more = array_ticks(column(&FieldId::TIMESTAMP.to_string())?);
        ticks.extend(more.ok_or_else(|| FileError::corrupt(object, "it has no ticks"))?);
    }
    all.map(|keys| (keys, ticks)).ok_or_else(|| FileError::corrupt(object, "it is empty"))
}

fn array_ticks(array: &ArrayRef) -> Option<Vec<Tick>> {
    let ticks = array.as_primitive_opt::<Int64Type>()?;
    Some(ticks.values().iter().map(|tick| Tick(*tick as u64)).collect())
}

fn open(object: &str, file: Bytes, kind: &str) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, FileError> {
    verify(object, &file)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| FileError::corrupt(object, error))?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let value = |key: &str| {
        metadata.into_iter().flatten().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref())
    };
    let version = value(format::FORMAT).and_then(|version| version.parse().ok());
    match version {
        Some(version) if version > format::VERSION => {
            return Err(FileError::Newer { object: object.to_owned(), version, newest: format::VERSION });
        }
        Some(_) => {}
        None => return Err(FileError::corrupt(object, "it names no format")),
    }
    if value(format::KIND) != Some(kind) {
        return Err(FileError::misfit(object, format!("it is no {kind} file")));
    }
    Ok(builder)
}
