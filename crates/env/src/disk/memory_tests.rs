//! What a crash leaves on the memory disk, and that the real disk does the same calls.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;

const FILE: &str = "/data/log";

async fn file_with(disk: &MemoryDisk, content: &'static str) -> Arc<dyn DiskFile> {
    disk.create_dir_all(Path::new("/data")).await.unwrap();
    disk.sync_dir(Path::new("/")).await.unwrap();
    let file = disk.open(Path::new(FILE), OpenMode::CreateNew).await.unwrap();
    file.write_at(0, vec![Bytes::from_static(content.as_bytes())]).await.unwrap();
    file
}

async fn content(disk: &dyn Disk) -> Bytes {
    read_file(disk, Path::new(FILE)).await.unwrap()
}

#[tokio::test]
async fn a_file_whose_directory_was_not_synced_disappears() {
    let disk = MemoryDisk::new(1);
    let file = file_with(&disk, "hello").await;
    file.sync_data().await.unwrap();
    disk.crash(Keep::Nothing);
    assert!(!disk.exists(Path::new(FILE)).await.unwrap());
    assert!(file.length().await.is_err(), "a handle of before the crash is dead");

    let file = file_with(&disk, "hello").await;
    file.sync_data().await.unwrap();
    disk.sync_dir(Path::new("/data")).await.unwrap();
    file.write_at(5, vec![Bytes::from_static(b" world")]).await.unwrap();
    assert_eq!(content(&disk).await, "hello world");
    disk.crash(Keep::Nothing);
    assert_eq!(content(&disk).await, "hello");
}

#[tokio::test]
async fn a_crash_in_an_operation_stops_everything_after_it() {
    let disk = MemoryDisk::new(1);
    let file = file_with(&disk, "a").await;
    disk.crash_at(disk.operations() + 1);
    assert!(file.sync_data().await.is_err() && !disk.is_powered());
    assert!(disk.list(Path::new("/data")).await.is_err());
    disk.crash(Keep::Everything);
    assert_eq!(content(&disk).await, "a");
}

#[tokio::test]
async fn a_restart_loses_nothing_and_makes_nothing_durable() {
    let disk = MemoryDisk::new(1);
    let file = file_with(&disk, "seen").await;
    let _lock = disk.lock(Path::new("/data/lock")).await.unwrap();
    disk.crash_at(disk.operations() + 1);
    assert!(disk.sync_dir(Path::new("/data")).await.is_err());
    disk.restart();
    assert!(file.length().await.is_err(), "a handle of before the restart is dead");
    assert_eq!(content(&disk).await, "seen");
    disk.lock(Path::new("/data/lock")).await.unwrap();
    disk.crash(Keep::Nothing);
    assert!(!disk.exists(Path::new(FILE)).await.unwrap());
}

/// Runs `work` with a kill in each of its operations, then again and to its end, then cuts the power.
async fn killed_everywhere<F: Future<Output = Result<(), DiskError>>>(
    work: impl Fn(MemoryDisk) -> F,
) -> Vec<MemoryDisk> {
    let whole = MemoryDisk::new(0);
    work(whole.clone()).await.unwrap();
    let mut disks = Vec::new();
    for n in 1..=whole.operations() {
        let disk = MemoryDisk::new(n);
        disk.crash_at(n);
        assert!(work(disk.clone()).await.is_err());
        disk.restart();
        work(disk.clone()).await.unwrap();
        disk.crash(Keep::Nothing);
        disks.push(disk);
    }
    disks
}

#[tokio::test]
async fn a_synced_directory_is_durable_also_after_a_kill_while_it_was_made() {
    let dir = Path::new("/a/b/c");
    let disks = killed_everywhere(|disk| async move { create_dir_synced(&disk, dir).await }).await;
    assert_eq!(disks.len(), 7, "three directories with a sync each, and one of the root");
    for (n, disk) in disks.iter().enumerate() {
        assert!(disk.exists(dir).await.unwrap(), "killed at operation {}: {:#?}", n + 1, disk.trace());
    }
}

#[tokio::test]
async fn a_replaced_file_has_its_old_or_its_new_content_and_the_new_one_when_it_is_done() {
    let replace = |disk: MemoryDisk, with: &'static str| async move {
        replace_file(&disk, Path::new(FILE), Bytes::from_static(with.as_bytes())).await
    };
    let before = |seed| async move {
        let disk = MemoryDisk::new(seed);
        create_dir_synced(&disk, Path::new("/data")).await.unwrap();
        replace(disk.clone(), "the old one").await.unwrap();
        disk
    };
    let disk = before(0).await;
    let first = disk.operations() + 1;
    replace(disk.clone(), "new").await.unwrap();
    disk.crash(Keep::Nothing);
    assert_eq!(content(&disk).await, "new");
    for n in first..=disk.operations() {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Random] {
            for seed in 0..20 {
                let disk = before(seed).await;
                disk.crash_at(n);
                assert!(replace(disk.clone(), "new").await.is_err());
                disk.crash(keep);
                let found = content(&disk).await;
                assert!(found == "the old one" || found == "new", "operation {n}, {keep:?}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_a_later_good_one_saves_nothing_of_before() {
    let lost = (0..50).filter(|seed| {
        futures::executor::block_on(async {
            let disk = MemoryDisk::new(*seed);
            let file = file_with(&disk, "abcdef").await;
            disk.sync_dir(Path::new("/data")).await.unwrap();
            disk.inject(Fault {
                operation: FaultOperation::Sync,
                path_contains: "log".into(),
                error: FaultError::Io,
                after: 0,
                times: 1,
            });
            assert!(file.sync_data().await.is_err());
            assert_eq!(content(&disk).await, "abcdef", "it is still seen");
            file.sync_data().await.unwrap();
            disk.crash(Keep::Everything);
            content(&disk).await != "abcdef"
        })
    });
    assert!(lost.count() > 10);
}

#[tokio::test]
async fn the_same_seed_tears_the_same_bytes() {
    async fn run(seed: u64) -> (Vec<String>, Bytes) {
        let disk = MemoryDisk::new(seed);
        let file = file_with(&disk, "0123456789").await;
        file.sync_data().await.unwrap();
        disk.sync_dir(Path::new("/data")).await.unwrap();
        for at in 0..8 {
            file.write_at(10 + at * 10, vec![Bytes::from_static(b"abcde"), Bytes::from_static(b"fghij")])
                .await
                .unwrap();
        }
        disk.crash(Keep::Random);
        (disk.trace(), content(&disk).await)
    }
    assert_eq!(run(3).await, run(3).await);
    assert_ne!(run(3).await.1, run(4).await.1);
    assert!(run(5).await.1.starts_with(b"0123456789"), "what was synced stays");
}

#[tokio::test]
async fn a_full_disk_takes_what_fits_and_says_so() {
    let disk = MemoryDisk::new(9);
    let file = file_with(&disk, "12345").await;
    disk.set_capacity_bytes(8);
    assert_eq!(disk.available_bytes(Path::new("/data")).await.unwrap(), 3);
    let full = file.write_at(5, vec![Bytes::from_static(b"6789")]).await.unwrap_err();
    assert!(matches!(full, DiskError::OutOfSpace { .. }), "{full}");
    assert!(file.length().await.unwrap() <= 8);
    disk.set_capacity_bytes(100);
    file.write_at(5, vec![Bytes::from_static(b"6789")]).await.unwrap();
    assert_eq!(content(&disk).await, "123456789");
}

/// The same calls on any disk.
async fn exercise(disk: &dyn Disk, root: &Path) {
    let dir = root.join("a/b");
    create_dir_synced(disk, &dir).await.unwrap();
    let path = dir.join("file");
    let missing = disk.open(&path, OpenMode::ReadWrite).await.err();
    assert_eq!(missing, Some(DiskError::NotFound { path: path.clone() }));
    let file = disk.open(&path, OpenMode::CreateNew).await.unwrap();
    assert!(matches!(
        disk.open(&path, OpenMode::CreateNew).await.err(),
        Some(DiskError::AlreadyExists { .. })
    ));
    let parts: Vec<Bytes> = (0..3000_u32).map(|n| Bytes::copy_from_slice(&n.to_le_bytes())).collect();
    file.write_and_sync(0, parts).await.unwrap();
    assert_eq!(file.length().await.unwrap(), 12_000);
    assert_eq!(file.read_at(8, 4).await.unwrap(), &2_u32.to_le_bytes()[..]);
    assert_eq!(file.read_at(11_998, 100).await.unwrap().len(), 2);
    file.set_len(6).await.unwrap();
    file.sync_data().await.unwrap();
    let reader = disk.open(&path, OpenMode::Read).await.unwrap();
    assert!(reader.write_at(0, vec![Bytes::from_static(b"x")]).await.is_err());

    replace_file(disk, &dir.join("state"), Bytes::from_static(b"one")).await.unwrap();
    replace_file(disk, &dir.join("state"), Bytes::from_static(b"2")).await.unwrap();
    assert_eq!(read_file(disk, &dir.join("state")).await.unwrap(), "2");
    let names: Vec<String> = disk.list(&dir).await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["file", "state"]);

    let lock = disk.lock(&dir.join("LOCK")).await.unwrap();
    let refused = disk.lock(&dir.join("LOCK")).await.unwrap_err();
    assert!(matches!(refused, DiskError::Locked { .. }), "{refused}");
    drop(lock);
    disk.lock(&dir.join("LOCK")).await.unwrap();

    assert!(disk.available_bytes(&dir).await.unwrap() > 0);
    disk.remove_file(&path).await.unwrap();
    assert!(!disk.exists(&path).await.unwrap());
    disk.remove_dir_all(&root.join("a")).await.unwrap();
    assert!(!disk.exists(&dir).await.unwrap());
}

#[tokio::test]
async fn both_disks_answer_alike() {
    exercise(&MemoryDisk::new(2), Path::new("/root")).await;
    let dir = tempfile::tempdir().unwrap();
    exercise(&OsDisk::new(), dir.path()).await;
}

/// Linux has nothing to sync behind these and says so: a call that left the sync out would succeed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_os_disk_hands_every_sync_to_the_kernel() {
    let disk = OsDisk::new();
    let failed = |outcome: Result<(), DiskError>| match outcome {
        Err(DiskError::Failed { operation, .. }) => operation,
        other => panic!("unexpected {other:?}"),
    };
    let file = disk.open(Path::new("/dev/null"), OpenMode::ReadWrite).await.unwrap();
    let part = || vec![Bytes::from_static(b"x")];
    file.write_at(0, part()).await.unwrap();
    assert_eq!(failed(file.sync_data().await), "fdatasync");
    assert_eq!(failed(file.write_and_sync(0, part()).await), "fdatasync");
    disk.list(Path::new("/proc/self")).await.unwrap();
    assert_eq!(failed(disk.sync_dir(Path::new("/proc/self")).await), "sync directory");
}

#[tokio::test]
async fn the_os_lock_names_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    let _lock = disk.lock(&dir.path().join("LOCK")).await.unwrap();
    let refused = disk.lock(&dir.path().join("LOCK")).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
}

#[tokio::test]
async fn a_flipped_bit_stays_flipped_and_makes_nothing_durable() {
    let disk = MemoryDisk::new(3);
    let path = Path::new("/a");
    let file = disk.open(path, OpenMode::CreateNew).await.unwrap();
    disk.sync_dir(Path::new("/")).await.unwrap();
    file.write_and_sync(0, vec![Bytes::from_static(b"aaaa")]).await.unwrap();
    file.write_at(2, vec![Bytes::from_static(b"bbbb")]).await.unwrap();
    assert!(disk.flip(path, 1, 0) && disk.flip(path, 3, 0));
    assert!(!disk.flip(path, 6, 0) && !disk.flip(Path::new("/b"), 0, 0));
    assert_eq!(disk.files(), vec![(path.to_owned(), b"a`bcbb".to_vec())]);
    disk.crash(Keep::Nothing);
    assert_eq!(disk.files(), vec![(path.to_owned(), b"a`a`".to_vec())]);
    assert!(disk.flip(path, 1, 0) && disk.flip(path, 3, 0), "it can be healed");
    assert_eq!(disk.files()[0].1, b"aaaa");
}
