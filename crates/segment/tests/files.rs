//! Files: what is written comes back, whatever its type; what was damaged is refused by name.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod support;

use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_rpc::QueryPlan;
use cinclus_segment::files::{self, read_deletes};
use cinclus_segment::{ChunkWriter, FileError, RowTicks, SealedLoader, Segment, query};
use cinclus_types::{
    ChunkRef, CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Key, Keys,
    PartitionId, Rows, SegmentEntry, SegmentId, SegmentState, Strings, Tick, VChannel, VChannelEntry, Value,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

const DIM: usize = 5;

fn field(id: i64, data_type: DataType) -> FieldSchema {
    FieldSchema { nullable: id > 102, ..FieldSchema::new(FieldId(id), format!("f{id}"), data_type) }
}

/// Every type, every type of item; a VarChar key if `text_keys`.
fn schema(text_keys: bool) -> CollectionSchema {
    let key_type = if text_keys { DataType::VarChar } else { DataType::Int64 };
    let mut fields = vec![
        field(100, key_type).as_primary_key(),
        field(101, DataType::FloatVector).with_param("dim", DIM),
        field(102, DataType::Json),
        field(103, DataType::Bool),
        field(104, DataType::Int8),
        field(105, DataType::Int16),
        field(106, DataType::Int32),
        field(107, DataType::Int64),
        field(108, DataType::Float),
        field(109, DataType::Double),
        field(110, DataType::VarChar),
        field(111, DataType::FloatVector).with_param("dim", 1),
    ];
    let items = [DataType::Bool, DataType::Int8, DataType::Int64, DataType::Float, DataType::VarChar];
    for (number, item) in items.into_iter().enumerate() {
        fields.push(FieldSchema { element_type: Some(item), ..field(120 + number as i64, DataType::Array) });
    }
    CollectionSchema { name: "all".into(), fields, ..CollectionSchema::default() }
}

fn data(data_type: DataType, item: Option<DataType>, dim: usize, from: usize, count: usize) -> ColumnData {
    let rows = from..from + count;
    let text = |row: usize| format!("{row:05} Größe {}", "x".repeat(row % 7));
    match data_type {
        DataType::Bool => ColumnData::Bool(rows.map(|row| row % 3 == 0).collect()),
        DataType::Int8 => ColumnData::Int8(rows.map(|row| row as i8).collect()),
        DataType::Int16 => ColumnData::Int16(rows.map(|row| -(row as i16)).collect()),
        DataType::Int32 => ColumnData::Int32(rows.map(|row| row as i32 * 70_000).collect()),
        DataType::Int64 => ColumnData::Int64(rows.map(|row| row as i64 + (1 << 40)).collect()),
        DataType::Float => ColumnData::Float(rows.map(|row| row as f32 / 3.0).collect()),
        DataType::Double => ColumnData::Double(rows.map(|row| row as f64 / 7.0).collect()),
        DataType::VarChar => ColumnData::VarChar(rows.map(text).collect()),
        DataType::Json => ColumnData::Json(rows.map(|row| format!("{{\"a\":{row}}}")).collect()),
        DataType::Array => {
            ColumnData::Array(rows.map(|row| data(item.unwrap(), None, 0, row, row % 4)).collect())
        }
        DataType::FloatVector => ColumnData::FloatVector {
            dim,
            data: (from * dim..(from + count) * dim).map(|n| n as f32 / 9.0).collect(),
        },
    }
}

fn rows(schema: &CollectionSchema, from: usize, count: usize) -> Rows {
    let mut columns = vec![Column::new(
        FieldId::ROW_ID,
        ColumnData::Int64((from..from + count).map(|n| n as i64 * 3).collect()),
    )];
    for field in &schema.fields {
        let data = data(field.data_type, field.element_type, field.dim(), from, count);
        let valid = field
            .nullable
            .then(|| (from..from + count).map(|row| row % 5 != field.id.0 as usize % 5).collect());
        columns.push(Column { field: field.id, data, valid });
    }
    Rows { count, columns }
}

fn segment(id: i64, schema: &Arc<CollectionSchema>) -> Segment {
    Segment::new(SegmentId(id), CollectionId(7), PartitionId(8), schema.clone()).unwrap()
}

fn store() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn entry(id: i64, chunks: Vec<ChunkRef>) -> SegmentEntry {
    SegmentEntry {
        id: SegmentId(id),
        collection: CollectionId(7),
        partition: PartitionId(8),
        vchannel: VChannel::new("log_0_7v0"),
        state: SegmentState::Sealed,
        chunks,
        created: Tick(1),
        sealed: Tick(99),
    }
}

/// Everything a reader can see of a segment.
fn all(segment: &Arc<Segment>, at: u64) -> (Vec<Key>, Vec<Tick>, Vec<Vec<Value>>) {
    let output: Vec<FieldId> = segment.schema().fields.iter().map(|field| field.id).collect();
    let plan = QueryPlan { filter: None, limit: None, count_only: false, output };
    let answer = query(std::slice::from_ref(segment), &[], &plan, Tick(at)).unwrap();
    let columns = &answer.rows.columns;
    let values = columns.iter().map(|column| (0..answer.rows.count).map(|row| column.value(row)).collect());
    (answer.keys, answer.ticks, values.collect())
}

#[tokio::test]
async fn every_type_comes_back_with_its_nulls_and_ticks() {
    for text_keys in [false, true] {
        let (store, compute, schema) = (store(), Compute::inline(), Arc::new(schema(text_keys)));
        let writer = ChunkWriter::new(store.clone(), compute.clone());
        let growing = Arc::new(segment(1, &schema));
        growing.insert(rows(&schema, 0, 40), Tick(5)).unwrap();
        growing.insert(rows(&schema, 40, 3), Tick(6)).unwrap();
        let first = writer.write("a/first", vec![growing.unpersisted().unwrap()]).await.unwrap();
        growing.set_persisted(43);
        growing.insert(rows(&schema, 43, 2500), Tick(9)).unwrap();
        growing.insert(rows(&schema, 2543, 1), Tick(u64::MAX - 5)).unwrap();
        let second = writer.write("a/second", vec![growing.unpersisted().unwrap()]).await.unwrap();
        assert_eq!((first[0].rows, first[0].tick_min, first[0].tick_max), (43, Tick(5), Tick(6)));
        assert_eq!(
            (second[0].rows, second[0].tick_min, second[0].tick_max),
            (2501, Tick(9), Tick(u64::MAX - 5))
        );
        assert_eq!(first[0].bytes, store.head(&Path::from("a/first")).await.unwrap().size);

        let (read, ticks) = files::read_chunk(&store, &compute, &first[0], &schema).await.unwrap();
        let mut expected = rows(&schema, 0, 43);
        for column in &mut expected.columns {
            let nulls: Vec<usize> = (0..43).filter(|&row| !column.is_valid(row)).collect();
            assert_eq!(read.column(column.field).unwrap().valid.is_some(), !nulls.is_empty());
        }
        for (mine, theirs) in read.columns.iter().zip(&expected.columns) {
            assert!((0..43).all(|row| mine.value(row) == theirs.value(row)), "field {}", mine.field);
        }
        assert_eq!(read.columns.len(), expected.columns.len());
        assert_eq!((ticks.get(39), ticks.get(40)), (Tick(5), Tick(6)));

        let entry = entry(1, [first, second].concat());
        let loader = SealedLoader::new(store, compute);
        let loaded = Arc::new(loader.load(&entry, &VChannelEntry::default(), schema.clone()).await.unwrap());
        for at in [4, 5, 8, 9, u64::MAX - 1] {
            assert_eq!(all(&loaded, at), all(&growing, at));
        }
        assert!(loaded.unpersisted().is_none());
    }
}

#[tokio::test]
async fn a_tail_file_holds_chunks_of_different_schemas() {
    tail_file_of_schemas(store()).await;
}

#[tokio::test]
async fn a_storage_need_not_count_from_the_end_of_an_object() {
    tail_file_of_schemas(Arc::new(support::NoSuffix::default())).await;
}

async fn tail_file_of_schemas(store: Arc<dyn ObjectStore>) {
    let compute = Compute::threads(2);
    let schemas = [Arc::new(schema(false)), Arc::new(schema(true)), Arc::new(schema(false))];
    let segments: Vec<Arc<Segment>> =
        schemas.iter().enumerate().map(|(number, schema)| Arc::new(segment(number as i64, schema))).collect();
    for (number, segment) in segments.iter().enumerate() {
        segment.insert(rows(&schemas[number], number * 10, number + 1), Tick(20 + number as u64)).unwrap();
    }
    let runs = segments.iter().map(|segment| segment.unpersisted().unwrap()).collect();
    let chunks = ChunkWriter::new(store.clone(), compute.clone()).write("tail/1", runs).await.unwrap();
    let loader = SealedLoader::new(store, compute);
    for (number, chunk) in chunks.into_iter().enumerate() {
        assert_eq!((chunk.row_group, chunk.rows), (number as u32, number as u64 + 1));
        let entry = entry(number as i64, vec![chunk]);
        let loaded = loader.load(&entry, &VChannelEntry::default(), schemas[number].clone()).await.unwrap();
        assert_eq!(all(&Arc::new(loaded), 30), all(&segments[number], 30));
    }
}

#[tokio::test]
async fn rows_that_are_older_than_a_field_have_its_default_or_null() {
    let (store, compute) = (store(), Compute::inline());
    let old = Arc::new(schema(false));
    let mut newer = schema(false);
    newer.version = 1;
    newer.fields.retain(|field| field.id != FieldId(110));
    newer.fields.push(field(130, DataType::VarChar));
    newer.fields.push(FieldSchema { default: Some(Value::Int(-3)), ..field(131, DataType::Int16) });
    let newer = Arc::new(newer);
    let growing = segment(1, &old);
    growing.insert(rows(&old, 0, 3), Tick(5)).unwrap();
    let writer = ChunkWriter::new(store.clone(), compute.clone());
    let before = writer.write("before", vec![growing.unpersisted().unwrap()]).await.unwrap();
    growing.set_schema(newer.clone());
    growing.insert(rows(&newer, 3, 2), Tick(6)).unwrap();
    let both = writer.write("both", vec![growing.rows_since(0, Tick(6)).unwrap()]).await.unwrap();
    growing.set_persisted(3);
    let after = writer.write("after", vec![growing.unpersisted().unwrap()]).await.unwrap();
    assert_eq!([before[0].schema_version, both[0].schema_version], [0, 1]);

    let loader = SealedLoader::new(store, compute);
    let growing = Arc::new(growing);
    for chunks in [both, [before, after].concat()] {
        let loaded = loader.load(&entry(1, chunks), &VChannelEntry::default(), newer.clone()).await.unwrap();
        assert_eq!(all(&Arc::new(loaded), 9), all(&growing, 9));
    }
    let fields = [FieldId(130), FieldId(131)];
    let fetched = growing.fetch(&[4, 0], &fields).unwrap();
    assert_eq!((fetched.columns[0].value(1), fetched.columns[1].value(1)), (Value::Null, Value::Int(-3)));
    assert_eq!(fetched.columns[1].value(0), Value::Int(-4));
    assert!(growing.fetch(&[0], &[FieldId(110)]).is_ok(), "rows keep what they came with");
    assert!(growing.fetch(&[4], &[FieldId(110)]).is_err());
}

#[tokio::test]
async fn deletes_of_files_and_later_ones_hide_the_same_rows() {
    for text_keys in [false, true] {
        let (store, compute, schema) = (store(), Compute::inline(), Arc::new(schema(text_keys)));
        let growing = Arc::new(segment(1, &schema));
        growing.insert(rows(&schema, 0, 10), Tick(5)).unwrap();
        growing.insert(rows(&schema, 5, 10), Tick(8)).unwrap();
        let writer = ChunkWriter::new(store.clone(), compute.clone());
        let chunks = writer.write("rows", vec![growing.unpersisted().unwrap()]).await.unwrap();
        let keys = rows(&schema, 3, 9).column(FieldId(100)).unwrap().data.keys().unwrap();
        let ticks: Vec<Tick> = (0..9).map(|n| Tick(5 + n)).collect();
        let file = writer.write_deletes("deletes", keys.clone(), ticks.clone()).await.unwrap();
        assert_eq!((file.rows, file.tick_min, file.tick_max), (9, Tick(5), Tick(13)));
        let read = read_deletes(&store, &compute, &file).await.unwrap();
        assert_eq!((&read.keys, &read.ticks), (&keys, &ticks));
        growing.delete_each(&keys, &ticks);
        let early = writer.write_deletes("early", keys.take(&[0]), vec![Tick(4)]).await.unwrap();
        let vchannel =
            VChannelEntry { persisted_tick: Tick(13), delete_files: vec![early, file], schema: None };
        // A delete file that ended before the first row began is not even read.
        store.delete(&Path::from("early")).await.unwrap();
        let loaded =
            SealedLoader::new(store, compute).load(&entry(1, chunks), &vchannel, schema).await.unwrap();
        let loaded = Arc::new(loaded);
        let mut counts = Vec::new();
        for at in 4..16 {
            assert_eq!(all(&loaded, at), all(&growing, at));
            counts.push(loaded.visible_count(Tick(at)));
        }
        assert_eq!(counts[..4], [0, 10, 9, 8], "tick 5 hides nothing of tick 5; 6 and 7 hide a row each");
    }
}

#[tokio::test]
async fn a_file_is_never_overwritten_and_a_missing_one_is_named() {
    let (store, schema) = (store(), Arc::new(schema(false)));
    let growing = segment(1, &schema);
    growing.insert(rows(&schema, 0, 2), Tick(5)).unwrap();
    let writer = ChunkWriter::new(store.clone(), Compute::inline());
    let run = || vec![growing.unpersisted().unwrap()];
    let chunks = writer.write("one", run()).await.unwrap();
    let before = store.get(&Path::from("one")).await.unwrap().bytes().await.unwrap();
    assert!(matches!(writer.write("one", run()).await, Err(FileError::Exists { object }) if object == "one"));
    assert_eq!(store.get(&Path::from("one")).await.unwrap().bytes().await.unwrap(), before);
    assert!(matches!(writer.write("none", vec![]).await, Err(FileError::Nothing { .. })));
    store.delete(&Path::from("one")).await.unwrap();
    let read = files::read_chunk(&store, &Compute::inline(), &chunks[0], &schema).await;
    assert!(matches!(read, Err(FileError::Missing { object }) if object == "one"));
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_name_wherever_the_damage_is() {
    let (store, compute, schema) = (store(), Compute::inline(), Arc::new(schema(false)));
    let (a, b) = (segment(1, &schema), segment(2, &schema));
    a.insert(rows(&schema, 0, 3), Tick(5)).unwrap();
    b.insert(rows(&schema, 3, 2), Tick(6)).unwrap();
    let writer = ChunkWriter::new(store.clone(), compute.clone());
    let one = writer.write("one", vec![a.unpersisted().unwrap()]).await.unwrap();
    let runs = vec![a.unpersisted().unwrap(), b.unpersisted().unwrap()];
    let tail = writer.write("tail", runs).await.unwrap();
    for (object, chunk, first) in [("one", &one[0], 0), ("tail", &tail[1], tail[0].bytes as usize)] {
        let path = Path::from(object);
        let good = store.get(&path).await.unwrap().bytes().await.unwrap();
        let mut damaged: Vec<Vec<u8>> = Vec::new();
        for at in (first..good.len()).step_by(7).chain(good.len() - 40..good.len()) {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << (at % 8);
            damaged.push(bytes);
        }
        damaged.extend([0, 1, 8, 30, good.len() / 2, good.len() - 1].map(|len| good[..len].to_vec()));
        damaged.push([&good[..], b"more"].concat());
        for bytes in damaged {
            // Of a tail file, the entry of the other chunk does not matter: its checksum is the directory's.
            store.put(&path, bytes.into()).await.unwrap();
            let read = files::read_chunk(&store, &compute, chunk, &schema).await;
            match read {
                Err(FileError::Corrupt { object: named, .. } | FileError::Newer { object: named, .. }) => {
                    assert_eq!(named, object);
                }
                other => panic!("{other:?}"),
            }
        }
        store.put(&path, good.into()).await.unwrap();
        assert!(files::read_chunk(&store, &compute, chunk, &schema).await.is_ok());
    }
}

#[tokio::test]
async fn rows_of_another_schema_are_refused() {
    let (store, compute, mine) = (store(), Compute::inline(), Arc::new(schema(false)));
    let growing = segment(1, &mine);
    growing.insert(rows(&mine, 0, 2), Tick(5)).unwrap();
    let writer = ChunkWriter::new(store.clone(), compute.clone());
    let chunks = writer.write("one", vec![growing.unpersisted().unwrap()]).await.unwrap();
    let read = files::read_chunk(&store, &compute, &chunks[0], &Arc::new(schema(true))).await;
    assert!(matches!(read, Err(FileError::Misfit { object, .. }) if object == "one"));
    let none = writer.write_deletes("none", Keys::VarChar(Strings::default()), vec![]).await;
    assert!(matches!(none, Err(FileError::Nothing { .. })));
    assert_eq!(RowTicks::One(Tick(3)).get(7), Tick(3));
}

/// What the release that introduced the format wrote: it must be read for ever.
#[tokio::test]
async fn the_layout_of_a_chunk_and_of_a_tail_file_stays() {
    let (store, compute, schema) = (store(), Compute::inline(), Arc::new(schema(false)));
    let growing = segment(451, &schema);
    growing.insert(rows(&schema, 0, 4), Tick(5)).unwrap();
    let writer = ChunkWriter::new(store.clone(), compute);
    writer.write("one", vec![growing.unpersisted().unwrap()]).await.unwrap();
    let file = store.get(&Path::from("one")).await.unwrap().bytes().await.unwrap();
    assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let metadata = reader.metadata().file_metadata();
    let value = |key: &str| {
        let entries = metadata.key_value_metadata().unwrap();
        entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone()).unwrap()
    };
    let keys = ["format", "kind", "collection", "partition", "segment", "schema_version"];
    let values: Vec<String> = keys.iter().map(|key| value(&format!("cinclus.{key}"))).collect();
    assert_eq!(values, ["1", "chunk", "7", "8", "451", "0"]);
    assert!(value("cinclus.checksum").starts_with("cinclus-xxh3-64:"));
    let columns: Vec<String> =
        metadata.schema_descr().columns().iter().map(|column| column.path().string()).collect();
    assert_eq!(columns[..4], ["0", "1", "100", "101"]);
    assert_eq!(columns[14], "120.list.element");
    assert_eq!(reader.metadata().num_row_groups(), 1);
    let vector = reader.metadata().row_group(0).column(3);
    assert_eq!(vector.compression(), parquet::basic::Compression::UNCOMPRESSED);
    assert_eq!(vector.column_type(), parquet::basic::Type::FIXED_LEN_BYTE_ARRAY);
    let floats: Vec<u8> = (0..4 * DIM).flat_map(|n| (n as f32 / 9.0).to_le_bytes()).collect();
    assert!(file.windows(floats.len()).any(|bytes| bytes == floats), "vectors lie in the file as they are");

    let runs = vec![growing.unpersisted().unwrap(), growing.unpersisted().unwrap()];
    writer.write("two", runs).await.unwrap();
    let two = store.get(&Path::from("two")).await.unwrap().bytes().await.unwrap();
    let (len, directory) = (file.len(), 2 * file.len());
    assert_eq!((&two[..len], &two[len..directory]), (&file[..], &file[..]));
    let numbers: Vec<u64> =
        two[directory..directory + 32].chunks(8).map(|n| u64::from_le_bytes(n.try_into().unwrap())).collect();
    assert_eq!(numbers, [0, len as u64, len as u64, len as u64]);
    assert_eq!(two[directory + 32..directory + 40], [2, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!((&two[directory + 48..], two.len()), (&b"CNCLTAIL"[..], directory + 56));
}
