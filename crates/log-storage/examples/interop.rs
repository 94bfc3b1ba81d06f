//! One side of the runs on the page `docs/interop.md`: logs in the bucket or folder, and the etcd, that Woodpecker uses
//! too.
//!
//! ```text
//! cargo run -p cinclus-log-storage --features services --example interop -- COMMAND LOG ARGUMENTS
//!
//! write LOG WHO COUNT SIZE   appends records and closes the log
//! hold LOG WHO COUNT SIZE    appends records and goes on running until it is killed
//! pour LOG WHO SIZE          appends records until it is fenced
//! read LOG [ID]              reads up to the end, from the first record or the one with that id on
//! truncate LOG ID            lets go of everything below that record
//! ```
//!
//! Ids are `segment/entry`. Every record that is acked or read is one line: its id, the payload and the properties,
//! in hex. `CINCLUS_TEST_SEAWEEDFS_ADDRESS` and `CINCLUS_TEST_ETCD_ADDRESS` are `host:port` of the two servers,
//! `INTEROP_SEGMENT_BYTES` is the size at which segments end. With `INTEROP_LOCAL_ROOT` the logs are files in that
//! folder, and there is no bucket.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that a person runs: a panic is its error"
)]

use std::fmt::Write;
use std::sync::Arc;

use cinclus_env::{Env, OsClock};
use cinclus_log_storage::woodpecker::{LocalConfig, ObjectsConfig, WoodpeckerLocal, WoodpeckerObjects};
use cinclus_log_storage::{DynLogStorage, LogError, OpenOptions, Record};
use cinclus_meta::{DynMetaStore, EtcdConfig, EtcdMetaStore};
use cinclus_types::{MessageId, PChannel, Term};
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;

const BUCKET: &str = "interop";
const ROOT: &str = "files/wp";
const PREFIX: &str = "interop/woodpecker";
const LOCAL_PREFIX: &str = "interop-local/woodpecker";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let env = Env::os();
    let storage = storage(&env).await;
    match arguments[..] {
        ["write", log, who, count, size] => write(&storage, log, who, [count, size], false).await,
        ["hold", log, who, count, size] => write(&storage, log, who, [count, size], true).await,
        ["pour", log, who, size] => pour(&storage, log, who, size.parse().unwrap()).await,
        ["read", log] => read(&storage, log, None).await,
        ["read", log, from] => read(&storage, log, Some(id(from))).await,
        ["truncate", log, upto] => storage.truncate(&PChannel::new(log), id(upto)).await.unwrap(),
        _ => panic!("see the page of this program"),
    }
    drop(storage);
    env.tasks.join(&OsClock, std::time::Duration::from_secs(10)).await.unwrap();
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

async fn storage(env: &Env) -> DynLogStorage {
    let endpoints = vec![variable("CINCLUS_TEST_ETCD_ADDRESS")];
    let etcd = EtcdConfig { endpoints, ..EtcdConfig::default() };
    let meta = Arc::new(EtcdMetaStore::open(&etcd, env.clock.clone()).await.unwrap());
    match std::env::var("INTEROP_LOCAL_ROOT") {
        Ok(root) => files(root, meta, env).await,
        Err(_) => objects(meta, env).await,
    }
}

fn segment_bytes(bytes: &mut u64) {
    if let Ok(wanted) = std::env::var("INTEROP_SEGMENT_BYTES") {
        *bytes = wanted.parse().unwrap();
    }
}

async fn files(root: String, meta: DynMetaStore, env: &Env) -> DynLogStorage {
    let mut config = LocalConfig::new(root);
    LOCAL_PREFIX.clone_into(&mut config.metadata_prefix);
    segment_bytes(&mut config.roll.bytes_max);
    Arc::new(WoodpeckerLocal::open(config, env.clone(), meta).await.unwrap())
}

async fn objects(meta: DynMetaStore, env: &Env) -> DynLogStorage {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = format!("http://{}", variable("CINCLUS_TEST_SEAWEEDFS_ADDRESS"));
    reqwest::Client::new().put(format!("{endpoint}/{BUCKET}")).send().await.unwrap();
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id("cinclus")
        .with_secret_access_key("of no importance here")
        .with_client_options(ClientOptions::new().with_allow_http(true));
    let mut config = ObjectsConfig::new(ROOT);
    PREFIX.clone_into(&mut config.metadata_prefix);
    segment_bytes(&mut config.roll.bytes_max);
    let store = Arc::new(store.build().unwrap());
    Arc::new(WoodpeckerObjects::open(config, store, env.clone(), meta).await.unwrap())
}

fn id(text: &str) -> MessageId {
    let (segment, entry) = text.split_once('/').unwrap();
    MessageId::from_parts(0, segment.parse().unwrap(), entry.parse().unwrap())
}

/// Record `number` of a writer: of every shape, and not the same as any other.
fn record(who: &str, number: usize, size: usize) -> Record {
    let mut payload = format!("{who} {number} ").into_bytes();
    payload.extend((0..number * 7919 % size).map(|at| (number + at) as u8));
    let properties = match number % 4 {
        0 => vec![],
        1 => vec![("n".to_owned(), number.to_string())],
        _ => vec![("who".to_owned(), who.to_owned()), ("Amsel \u{fc}".to_owned(), "\n".repeat(number % 5))],
    };
    // One without bytes, which must have properties.
    Record::new(if number % 16 == 7 { Vec::new() } else { payload }, properties)
}

fn show(id: MessageId, record: &Record) {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut line = format!("{}/{} {}", id.segment(), id.entry(), hex(&record.payload));
    for (name, value) in record.properties.iter() {
        write!(line, " {}={}", hex(name.as_bytes()), hex(value.as_bytes())).unwrap();
    }
    println!("{line}");
}

async fn write(storage: &DynLogStorage, log: &str, who: &str, numbers: [&str; 2], hold: bool) {
    let [count, size] = numbers.map(|number| number.parse().unwrap());
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let mut writer = storage.open_writer(&PChannel::new(log), options).await.unwrap();
    let records: Vec<Record> = (0..count).map(|number| record(who, number, size)).collect();
    // Not all at once: they shall be in many blocks.
    for some in records.chunks(8) {
        let acks: Vec<_> = some.iter().map(|record| writer.append(vec![record.clone()])).collect();
        for (ack, record) in acks.into_iter().zip(some) {
            show(ack.await.unwrap()[0], record);
        }
    }
    if hold {
        std::future::pending::<()>().await;
    }
    writer.close().await.unwrap();
}

async fn pour(storage: &DynLogStorage, log: &str, who: &str, size: usize) {
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let mut writer = storage.open_writer(&PChannel::new(log), options).await.unwrap();
    for number in 0.. {
        let record = record(who, number, size);
        match writer.append(vec![record.clone()]).await {
            Ok(ids) => show(ids[0], &record),
            Err(error) => return eprintln!("after {number} records: {error}"),
        }
    }
}

async fn read(storage: &DynLogStorage, log: &str, from: Option<MessageId>) {
    let channel = PChannel::new(log);
    let from = match from {
        Some(from) => from,
        None => storage.earliest(&channel).await.unwrap(),
    };
    let mut reader = match storage.read(&channel, from).await {
        Err(error @ LogError::Truncated { .. }) => return println!("{error}"),
        other => other.unwrap(),
    };
    while let Some(found) = reader.next().await.unwrap() {
        show(found.id, &found.record);
    }
}
