//! Objects in a folder: what object storage promises, on a real disk and on one that crashes.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use cinclus_env::disk::{Fault, FaultError, FaultOperation, Keep, MemoryDisk, OsDisk};
use cinclus_env::{Compute, Disk, DiskError, DynDisk};
use cinclus_segment::{ChunkWriter, LocalObjects, SealedLoader, Segment};
use cinclus_types::{
    CollectionId, CollectionSchema, Column, ColumnData, DataType, FieldId, FieldSchema, Keys, PartitionId,
    Rows, SegmentEntry, SegmentId, SegmentState, Tick, VChannel, VChannelEntry,
};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, Result,
};

const ROOT: &str = "/data/objects";

async fn put(store: &dyn ObjectStore, name: &str, content: &str) -> Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    // In two pieces, as a payload may be.
    let (left, right) = content.split_at(content.len() / 2);
    let payload: PutPayload =
        [left.to_owned(), right.to_owned()].into_iter().collect::<Vec<_>>().into_payload();
    store.put_opts(&Path::from(name), payload, options).await.map(drop)
}

trait IntoPayload {
    fn into_payload(self) -> PutPayload;
}

impl IntoPayload for Vec<String> {
    fn into_payload(self) -> PutPayload {
        self.into_iter().map(bytes::Bytes::from).collect()
    }
}

async fn get(store: &dyn ObjectStore, name: &str) -> Result<String> {
    let bytes = store.get(&Path::from(name)).await?.bytes().await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

async fn names(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.map(Path::from);
    let listed: Vec<_> = store.list(prefix.as_ref()).try_collect().await.unwrap();
    let mut names: Vec<String> =
        listed.into_iter().map(|meta| format!("{} {}", meta.location, meta.size)).collect();
    names.sort();
    names
}

async fn exercise(store: &dyn ObjectStore) {
    assert_eq!(names(store, None).await, Vec::<String>::new());
    for (name, content) in [("a/b/one.parquet", "first"), ("a/two.parquet", "second one"), ("ab/three", "")] {
        put(store, name, content).await.unwrap();
        assert_eq!(get(store, name).await.unwrap(), content);
    }
    assert_eq!(names(store, None).await, ["a/b/one.parquet 5", "a/two.parquet 10", "ab/three 0"]);
    assert_eq!(names(store, Some("a")).await, ["a/b/one.parquet 5", "a/two.parquet 10"]);
    assert_eq!(names(store, Some("b")).await, Vec::<String>::new());
    let level = store.list_with_delimiter(Some(&Path::from("a"))).await.unwrap();
    assert_eq!(level.common_prefixes, [Path::from("a/b")]);
    assert_eq!(
        level.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(),
        ["a/two.parquet"]
    );

    let two = Path::from("a/two.parquet");
    assert_eq!(store.get_range(&two, 2..5).await.unwrap(), "con");
    assert_eq!(store.get_ranges(&two, &[0..1, 7..10]).await.unwrap(), ["s", "one"]);
    let end = GetOptions::new().with_range(Some(GetRange::Suffix(3)));
    assert_eq!(store.get_opts(&two, end).await.unwrap().bytes().await.unwrap(), "one");
    assert_eq!(store.head(&two).await.unwrap().size, 10);
    assert!(store.get_range(&two, 10..12).await.is_err());

    let again = put(store, "a/two.parquet", "another").await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    store.put(&two, "replaced".into()).await.unwrap();
    assert_eq!(get(store, "a/two.parquet").await.unwrap(), "replaced");

    store.delete(&two).await.unwrap();
    for missing in ["a/two.parquet", "a", "nothing/here"] {
        let missing = get(store, missing).await;
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    }
    assert_eq!(names(store, None).await, ["a/b/one.parquet 5", "ab/three 0"]);
}

async fn open(disk: &MemoryDisk) -> std::result::Result<LocalObjects, DiskError> {
    LocalObjects::open(Arc::new(disk.clone()), ROOT).await
}

async fn staged(disk: &dyn Disk, root: &FilePath) -> usize {
    disk.list(&root.join(".new")).await.unwrap().len()
}

#[tokio::test]
async fn it_answers_as_other_object_stores_do() {
    exercise(&InMemory::new()).await;
    exercise(&open(&MemoryDisk::new(1)).await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    let disk: DynDisk = Arc::new(OsDisk::new());
    let store = LocalObjects::open(disk.clone(), dir.path()).await.unwrap();
    exercise(&store).await;
    assert_eq!(staged(&*disk, dir.path()).await, 0);
    assert_eq!(names(&LocalObjects::open(disk, dir.path()).await.unwrap(), None).await.len(), 2);
}

#[tokio::test]
async fn the_place_where_objects_are_written_is_none_for_objects() {
    let store = open(&MemoryDisk::new(1)).await.unwrap();
    for name in [".new/0", ".new", ""] {
        let put = store.put(&Path::from(name), "x".into()).await;
        assert!(matches!(put, Err(Error::NotSupported { .. })), "{name}: {put:?}");
    }
}

#[tokio::test]
async fn two_puts_of_one_name_do_not_both_come_through() {
    let disk = MemoryDisk::new(1);
    // Each put waits for its sync.
    disk.set_sync_delay(std::time::Duration::from_millis(2));
    let store = open(&disk).await.unwrap();
    let (one, two) = tokio::join!(put(&store, "a/x", "one"), put(&store, "a/x", "the other"));
    assert!(one.is_ok() && matches!(two, Err(Error::AlreadyExists { .. })), "{one:?} {two:?}");
    assert_eq!(get(&store, "a/x").await.unwrap(), "one");
}

/// The objects of the workload: in the same directory and in new ones.
fn workload() -> Vec<(String, String)> {
    let names = [
        "tails/log_0/1-1",
        "segments/log_0_7v0/5/1-2",
        "segments/log_0_7v0/5/1-3",
        "segments/log_0_7v0/6/1-4",
    ];
    names
        .iter()
        .enumerate()
        .map(|(at, name)| (format!("{name}.parquet"), "content ".repeat(at * 30 + 1)))
        .collect()
}

/// Puts everything until the first error; answers what was put.
async fn work(disk: &MemoryDisk) -> BTreeMap<String, String> {
    work_on(disk, workload()).await
}

async fn work_on(disk: &MemoryDisk, objects: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut put_so_far = BTreeMap::new();
    let Ok(store) = open(disk).await else { return put_so_far };
    for (name, content) in objects {
        if put(&store, &name, &content).await.is_err() {
            break;
        }
        put_so_far.insert(name, content);
    }
    put_so_far
}

/// What is acknowledged is there; everything that is there is whole; the store goes on.
async fn check(disk: &MemoryDisk, acknowledged: &BTreeMap<String, String>, when: &str) {
    let store = open(disk).await.unwrap_or_else(|error| panic!("{when}: {error}"));
    let wanted: BTreeMap<String, String> = workload().into_iter().collect();
    for (name, content) in acknowledged {
        let found = get(&store, name).await;
        assert_eq!(found.as_ref().ok(), Some(content), "{when}: {name} {found:?}\n{:#?}", disk.trace());
    }
    for listed in names(&store, None).await {
        let name = listed.split(' ').next().unwrap();
        assert_eq!(get(&store, name).await.unwrap(), wanted[name], "{when}: {name}");
    }
    assert_eq!(staged(disk, FilePath::new(ROOT)).await, 0, "{when}");
    put(&store, "segments/log_0_7v0/5/2-9.parquet", "more").await.unwrap();
}

#[tokio::test]
async fn a_put_that_returned_survives_a_crash_at_every_operation() {
    let disk = MemoryDisk::new(0);
    assert_eq!(work(&disk).await.len(), workload().len());
    let operations = disk.operations();
    for at in 1..=operations {
        for (seed, keep) in [(0, Keep::Nothing), (0, Keep::Everything)]
            .into_iter()
            .chain((0..20).map(|seed| (seed, Keep::Random)))
        {
            let disk = MemoryDisk::new(seed);
            disk.crash_at(at);
            let acknowledged = work(&disk).await;
            assert!(!disk.is_powered(), "{at} of {operations}");
            disk.crash(keep);
            check(&disk, &acknowledged, &format!("crash at {at}, keeping {keep:?}, seed {seed}")).await;
        }
    }
}

/// The second process finds directories that the first one made and did not live to sync.
#[tokio::test]
async fn a_put_that_returned_survives_a_power_cut_after_a_kill_at_every_operation() {
    let disk = MemoryDisk::new(0);
    work(&disk).await;
    for at in 1..=disk.operations() {
        let disk = MemoryDisk::new(0);
        disk.crash_at(at);
        let mut acknowledged = work(&disk).await;
        disk.restart();
        let second = workload().into_iter().map(|(name, content)| (name.replace("/1-", "/2-"), content));
        let second = work_on(&disk, second.collect()).await;
        assert_eq!(second.len(), workload().len());
        acknowledged.extend(second);
        disk.crash(Keep::Nothing);
        let store = open(&disk).await.unwrap();
        for (name, content) in acknowledged {
            let found = get(&store, &name).await;
            assert_eq!(found.ok(), Some(content), "killed at {at}: {name}\n{:#?}", disk.trace());
        }
    }
}

#[tokio::test]
async fn a_put_that_failed_leaves_nothing_and_the_next_one_works() {
    use FaultOperation::{Create, Rename, Sync, SyncDir, Write};
    for operation in [Create, Write, Sync, SyncDir, Rename] {
        for error in [FaultError::Io, FaultError::OutOfSpace] {
            let disk = MemoryDisk::new(5);
            let store = open(&disk).await.unwrap();
            put(&store, "a/before", "there").await.unwrap();
            disk.inject(Fault { operation, path_contains: String::new(), error, after: 0, times: 1 });
            let failed = put(&store, "a/x", "content").await;
            assert!(matches!(failed, Err(Error::Generic { .. })), "{operation:?}: {failed:?}");
            assert_eq!(staged(&disk, FilePath::new(ROOT)).await, 0, "{operation:?}");
            // The name may be there if only its own sync failed; whole then.
            let left = names(&store, None).await;
            let expected: &[&str] =
                if operation == SyncDir { &["a/before 5", "a/x 7"] } else { &["a/before 5"] };
            assert_eq!(left, expected, "{operation:?}");
            put(&store, "a/y", "more").await.unwrap();
            disk.crash(Keep::Nothing);
            assert_eq!(get(&open(&disk).await.unwrap(), "a/y").await.unwrap(), "more");
        }
    }
}

fn row_schema() -> Arc<CollectionSchema> {
    let fields = vec![
        FieldSchema::new(FieldId(100), "key", DataType::Int64).as_primary_key(),
        FieldSchema::new(FieldId(101), "vector", DataType::FloatVector).with_param("dim", 1),
    ];
    Arc::new(CollectionSchema { fields, ..CollectionSchema::default() })
}

/// A segment of three rows in a file.
async fn segment_file(writer: &ChunkWriter, id: i64) -> SegmentEntry {
    let schema = row_schema();
    let segment = Segment::new(SegmentId(id), CollectionId(7), PartitionId(8), schema).unwrap();
    let columns = vec![
        Column::new(FieldId(100), ColumnData::Int64(vec![1, 2, 3])),
        Column::new(FieldId(101), ColumnData::FloatVector { dim: 1, data: vec![0.0; 3] }),
    ];
    segment.insert(Rows { count: 3, columns }, Tick(5)).unwrap();
    let chunks = writer.write(&format!("segments/{id}"), vec![segment.unpersisted().unwrap()]).await.unwrap();
    SegmentEntry {
        id: SegmentId(id),
        collection: CollectionId(7),
        partition: PartitionId(8),
        vchannel: VChannel::new("log_0_7v0"),
        state: SegmentState::Sealed,
        chunks,
        created: Tick(1),
        sealed: Tick(6),
    }
}

#[tokio::test]
async fn a_delete_file_is_read_once_for_all_segments_that_need_it() {
    let disk = MemoryDisk::new(1);
    let store: Arc<dyn ObjectStore> = Arc::new(open(&disk).await.unwrap());
    let writer = ChunkWriter::new(store.clone(), Compute::inline());
    let segments = [segment_file(&writer, 1).await, segment_file(&writer, 2).await];
    let keys = Keys::Int64(vec![1, 3]);
    let file = writer.write_deletes("deletes/1", keys, vec![Tick(6), Tick(7)]).await.unwrap();
    let vchannel = VChannelEntry { persisted_tick: Tick(7), delete_files: vec![file], schema: None };
    let once = Fault {
        operation: FaultOperation::Read,
        path_contains: "deletes/1".to_owned(),
        error: FaultError::Io,
        after: 1,
        times: u32::MAX,
    };
    disk.inject(once);
    let loader = SealedLoader::new(store.clone(), Compute::inline());
    for segment in &segments {
        let loaded = loader.load(segment, &vchannel, row_schema()).await.unwrap();
        assert_eq!(loaded.visible_count(Tick(8)), 1, "{}", segment.id);
    }
    let another =
        SealedLoader::new(store, Compute::inline()).load(&segments[0], &vchannel, row_schema()).await;
    assert!(another.is_err(), "it is the loader that keeps it");
}
