//! The commands on a data directory that was really written.
#![expect(clippy::disallowed_methods, reason = "the test damages files, and waits for nothing but them")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cinclus_env::Env;
use cinclus_log_storage::woodpecker::roll::RollPolicy;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{LogStorage, OpenOptions, Record};
use cinclus_meta::{DynMetaStore, EmbeddedMetaStore};
use cinclus_types::message::{Draft, Header, LastConfirmed, Placement};
use cinclus_types::{CollectionId, MessageId, PChannel, Term, Tick, VChannel};

use super::args::{BlockName, InspectArgs, PlaceArgs, RepairArgs, VerifyArgs};
use super::{inspect, repair, verify};

const CHANNEL: &str = "by-dev-rootcoord-dml_0";

fn delete(tick: u64) -> Record {
    let header = Header::Delete { collection: CollectionId(7), rows: 1 };
    let draft = Draft::new(VChannel::new(format!("{CHANNEL}_7v0")), header, Bytes::from(vec![1; 1000]));
    let encoded = draft.stamp(Tick(tick), Term(1), LastConfirmed::Own).place(Placement::Nowhere).encode();
    Record { payload: encoded.payload, properties: encoded.properties }
}

/// Writes messages with these ticks, each in a block of its own, four to a segment.
async fn write(dir: &Path, ticks: impl IntoIterator<Item = u64>) {
    let env = Env::os();
    std::fs::create_dir_all(dir.join("meta")).unwrap();
    std::fs::write(dir.join("FORMAT"), "1\n").unwrap();
    let meta = EmbeddedMetaStore::open(&dir.join("meta"), &cinclus_meta::Config::default(), &env).await;
    let meta: DynMetaStore = Arc::new(meta.unwrap());
    let roll = RollPolicy { bytes_max: 3500, age_max: Duration::from_secs(600) };
    let config = LocalConfig { roll, ..LocalConfig::new(dir.join("wal")) };
    let storage = WoodpeckerLocal::open(config, env.clone(), meta).await.unwrap();
    let channel = PChannel::new(CHANNEL);
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let mut writer = storage.open_writer(&channel, options).await.unwrap();
    for tick in ticks {
        writer.append(vec![delete(tick)]).await.unwrap();
    }
    writer.close().await.unwrap();
    drop(storage);
    env.tasks.join(&*env.clock, Duration::from_secs(10)).await.unwrap();
}

fn place(dir: &Path) -> PlaceArgs {
    PlaceArgs { dir: dir.to_owned(), channel: None }
}

async fn verified(dir: &Path) -> (Result<(), String>, String) {
    let mut out = Vec::new();
    let done = verify::verify(&VerifyArgs { place: place(dir) }, &mut out).await;
    (done.map_err(|error| error.to_string()), String::from_utf8(out).unwrap())
}

fn segment_file(dir: &Path, segment: u64) -> PathBuf {
    let logs: Vec<PathBuf> =
        std::fs::read_dir(dir.join("wal")).unwrap().map(|log| log.unwrap().path()).collect();
    let log = logs.into_iter().find(|path| path.is_dir()).unwrap();
    log.join(segment.to_string()).join("data.log")
}

/// Turns over one byte in the middle of the second block of a segment.
fn damage(dir: &Path, segment: u64) {
    let file = segment_file(dir, segment);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1900] ^= 1;
    std::fs::write(&file, bytes).unwrap();
}

#[tokio::test]
async fn a_whole_log_is_listed_down_to_its_messages() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100..110).await;
    let (done, text) = verified(dir.path()).await;
    assert_eq!(done, Ok(()), "{text}");
    assert!(text.contains("10 messages, every checksum right"), "{text}");
    let mut out = Vec::new();
    let args = InspectArgs { place: place(dir.path()), segment: None, blocks: false, messages: true };
    inspect::inspect(&args, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(&format!("{CHANNEL} · log ")), "{text}");
    assert_eq!(text.matches("Delete { collection: CollectionId(7), rows: 1 }").count(), 10, "{text}");
    assert_eq!(text.matches("    block ").count(), 10, "{text}");
    assert!(
        text.contains("tick 109 (1970-01-01T00:00:00.000Z), term 1, by-dev-rootcoord-dml_0_7v0, 1000 bytes")
    );
}

#[tokio::test]
async fn one_channel_or_one_segment_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100..110).await;
    let mut args = InspectArgs { place: place(dir.path()), segment: Some(1), blocks: true, messages: false };
    args.place.channel = Some(CHANNEL.to_owned());
    let mut out = Vec::new();
    inspect::inspect(&args, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("  segment 1 · ") && !text.contains("  segment 0 · "), "{text}");
    args.place.channel = Some("nobody".to_owned());
    let error = inspect::inspect(&args, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("nobody") && error.contains(CHANNEL), "{error}");
}

#[tokio::test]
async fn a_damaged_block_is_named_and_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 100..110).await;
    damage(dir.path(), 1);
    let (done, text) = verified(dir.path()).await;
    assert!(done.unwrap_err().contains("1 findings"), "{text}");
    assert!(text.contains("DAMAGED from block 1/1 on"), "{text}");
    assert!(text.contains("--drop-after 1/1"), "{text}");

    let mut args = RepairArgs {
        dir: dir.path().to_owned(),
        channel: CHANNEL.to_owned(),
        drop_after: BlockName { segment: 1, block: 0 },
        yes: true,
    };
    let error = repair::repair(&args, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("the first bad block of segment 1 is 1"), "{error}");

    args.drop_after.block = 1;
    args.yes = false;
    let before = std::fs::read(segment_file(dir.path(), 1)).unwrap();
    let mut out = Vec::new();
    repair::repair(&args, &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("would be lost: segment 1 from block 1 on, entries 1 to 3"), "{text}");
    assert!(text.contains("would be lost: segment 2 from block 0 on"), "{text}");
    assert_eq!(std::fs::read(segment_file(dir.path(), 1)).unwrap(), before, "nothing was changed");

    args.yes = true;
    repair::repair(&args, &mut Vec::new()).await.unwrap();
    let (done, text) = verified(dir.path()).await;
    assert_eq!(done, Ok(()), "{text}");
    assert!(text.contains("5 messages"), "{text}");
}

#[tokio::test]
async fn ticks_that_do_not_grow_are_found() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), [100, 101, 102, 103, 103, 104]).await;
    let (done, text) = verified(dir.path()).await;
    assert!(done.is_err());
    assert!(text.contains("WRONG entry 1/0: tick 103 stands behind tick 103"), "{text}");
}

#[tokio::test]
async fn a_directory_without_logs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (done, _) = verified(dir.path()).await;
    assert!(done.unwrap_err().contains("holds no logs"));
    let (done, _) = verified(&dir.path().join("missing")).await;
    assert!(done.unwrap_err().contains("there is no directory"));
}
