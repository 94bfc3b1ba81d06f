//! Rows into Parquet files.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{Field, Schema};
use cinclus_types::{Column, ColumnData, FieldId, Keys, Tick};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::columns::{arrow_type, column_field, to_arrow};
use super::object::{NO_CHECKSUM, seal};
use super::{FileError, format};
use crate::growing::{Block, RowRun, RowTicks, filled};

/// Rows that are encoded in one go.
const BATCH_ROWS: usize = 8192;
/// Bytes that are encoded in one go.
const BATCH_BYTES: usize = 1 << 20;
/// Room for what stands around the columns.
const ENDS_BYTES: usize = 16 << 10;
/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 20;

/// Encodes one run, a step at a time: each step is about a millisecond of work.
pub(super) struct ChunkEncoder {
    object: String,
    run: RowRun,
    schema: Arc<Schema>,
    writer: ArrowWriter<Vec<u8>>,
    piece: usize,
    row: usize,
}

impl ChunkEncoder {
    pub(super) fn new(object: &str, run: RowRun) -> Result<ChunkEncoder, FileError> {
        let schema = Arc::new(Schema::new(chunk_fields(&run)));
        let vectors = run.schema.vector_fields().map(|field| field.id.to_string()).collect::<Vec<_>>();
        let mut properties = properties(
            format::KIND_CHUNK,
            &[
                (format::COLLECTION, run.collection.to_string()),
                (format::PARTITION, run.partition.to_string()),
                (format::SEGMENT, run.segment.to_string()),
                (format::SCHEMA_VERSION, run.schema.version.to_string()),
            ],
        );
        for vector in vectors {
            properties =
                properties.set_column_compression(ColumnPath::from(vector), Compression::UNCOMPRESSED);
        }
        let writer = writer(object, schema.clone(), properties)?;
        Ok(ChunkEncoder { object: object.to_owned(), run, schema, writer, piece: 0, row: 0 })
    }

    /// Encodes the next rows. Says whether there are more.
    pub(super) fn step(&mut self) -> Result<bool, FileError> {
        let Some((block, range)) = self.run.pieces.get(self.piece) else { return Ok(false) };
        let from = range.start + self.row;
        let fit = BATCH_BYTES * range.len() / block.bytes_of(range).max(1);
        let count = (range.end - from).min(fit.clamp(1, BATCH_ROWS));
        let batch = self.batch(block, from..from + count)?;
        self.writer.write(&batch).map_err(|error| FileError::misfit(&self.object, error))?;
        self.row += count;
        if from + count == range.end {
            (self.piece, self.row) = (self.piece + 1, 0);
        }
        Ok(self.piece < self.run.pieces.len())
    }

    /// The whole file.
    pub(super) fn finish(self) -> Result<(RowRun, Vec<u8>), FileError> {
        Ok((self.run, finish(&self.object, self.writer)?))
    }

    fn batch(&self, block: &Block, rows: Range<usize>) -> Result<RecordBatch, FileError> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let id = FieldId(field.name().parse().map_err(|error| FileError::misfit(&self.object, error))?);
            if id == FieldId::TIMESTAMP {
                arrays.push(Arc::new(tick_array(block.ticks(), rows.clone())));
                continue;
            }
            let column = filled(block, id, &self.run.schema)?;
            let array = to_arrow(&column, rows.clone(), field.data_type());
            arrays.push(
                array.map_err(|error| FileError::misfit(&self.object, format!("field {id}: {error}")))?,
            );
        }
        RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|error| FileError::misfit(&self.object, error))
    }
}

/// A delete file.
pub(super) fn encode_deletes(object: &str, keys: &Keys, ticks: &[Tick]) -> Result<Vec<u8>, FileError> {
    let misfit = |error| FileError::misfit(object, error);
    let data = match keys {
        Keys::Int64(keys) => ColumnData::Int64(keys.clone()),
        Keys::VarChar(keys) => ColumnData::VarChar(keys.clone()),
    };
    let arrow = match keys {
        Keys::Int64(_) => arrow_schema::DataType::Int64,
        Keys::VarChar(_) => arrow_schema::DataType::Utf8,
    };
    let keys = to_arrow(&Column::new(FieldId::default(), data), 0..keys.len(), &arrow).map_err(misfit)?;
    let ticks = tick_array(&RowTicks::Each(ticks.to_vec()), 0..ticks.len());
    let schema = Arc::new(Schema::new(vec![Field::new(format::DELETED_KEY, arrow, false), tick_field()]));
    let batch = RecordBatch::try_new(schema.clone(), vec![keys, Arc::new(ticks)]).map_err(misfit)?;
    let mut writer = writer(object, schema, properties(format::KIND_DELETES, &[]))?;
    writer.write(&batch).map_err(|error| FileError::misfit(object, error))?;
    finish(object, writer)
}

fn chunk_fields(run: &RowRun) -> Vec<Field> {
    let has_row_ids = run.pieces.iter().all(|(block, _)| block.column(FieldId::ROW_ID).is_some());
    let row_id = has_row_ids.then(|| column_field(FieldId::ROW_ID, arrow_schema::DataType::Int64, false));
    let mut fields: Vec<Field> = row_id.into_iter().chain([tick_field()]).collect();
    for field in &run.schema.fields {
        let has_null = |block: &Block| match block.column(field.id) {
            Some(column) => column.valid.is_some(),
            None => field.default.is_none(),
        };
        let nullable = run.pieces.iter().any(|(block, _)| has_null(block));
        fields.push(column_field(field.id, arrow_type(field), nullable));
    }
    fields
}

fn tick_field() -> Field {
    column_field(FieldId::TIMESTAMP, arrow_schema::DataType::Int64, false)
}

fn tick_array(ticks: &RowTicks, rows: Range<usize>) -> Int64Array {
    rows.map(|row| ticks.get(row).0 as i64).collect::<Vec<i64>>().into()
}

fn properties(kind: &str, more: &[(&str, String)]) -> WriterPropertiesBuilder {
    let mut metadata = vec![
        KeyValue::new(format::FORMAT.to_owned(), format::VERSION.to_string()),
        KeyValue::new(format::KIND.to_owned(), kind.to_owned()),
    ];
    metadata.extend(more.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())));
    let checksum = format!("{}{NO_CHECKSUM}", format::CHECKSUM_MARK);
    metadata.push(KeyValue::new(format::CHECKSUM.to_owned(), checksum));
    let tick = || ColumnPath::from(FieldId::TIMESTAMP.to_string());
    WriterProperties::builder()
        .set_created_by("cinclus".to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        // Few different ticks: a dictionary makes next to nothing of them.
        .set_column_dictionary_enabled(tick(), true)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(usize::MAX)
        // One row group for each chunk.
        .set_max_row_group_row_count(None)
}

fn writer(
    object: &str,
    schema: Arc<Schema>,
    properties: WriterPropertiesBuilder,
) -> Result<ArrowWriter<Vec<u8>>, FileError> {
    let options =
        ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema, options)
        .map_err(|error| FileError::misfit(object, error))
}

fn finish(object: &str, mut writer: ArrowWriter<Vec<u8>>) -> Result<Vec<u8>, FileError> {
    // All columns are put behind each other now. A file that grows piece by piece would be copied twice.
    let expected = writer.in_progress_size() + ENDS_BYTES;
    writer.inner_mut().reserve_exact(expected);
    let mut file = writer.into_inner().map_err(|error| FileError::misfit(object, error))?;
    seal(object, &mut file)?;
    Ok(file)
}
