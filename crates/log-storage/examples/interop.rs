//! One side of the runs on the page `docs/interop.md`: logs in the bucket and the etcd that Woodpecker uses too.
//!
//! ```text
//! cargo run -p cinclus-log-storage --features services --example interop -- COMMAND LOG ARGUMENTS
//!
//! write LOG WHO COUNT SIZE   appends records and closes the log
//! hold LOG WHO COUNT SIZE    appends records and goes on running until it is killed
//! read LOG [ID]              reads up to the end, from the first record or the one with that id on
//! truncate LOG ID            lets go of everything below that record
//! ```
//!
//! Ids are `segment/entry`. Every record that is acked or read is one line: its id, the payload and the properties,
//! in hex. `CINCLUS_TEST_SEAWEEDFS_ADDRESS` and `CINCLUS_TEST_ETCD_ADDRESS` are `host:port` of the two servers,
//! `INTEROP_SEGMENT_BYTES` is the size at which segments end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that a person runs: a panic is its error"
)]

use std::fmt::Write;
use std::sync::Arc;

use cinclus_env::{Env, OsClock};
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_log_storage::{LogError, LogStorage, OpenOptions, Record};
use cinclus_meta::{EtcdConfig, EtcdMetaStore};
use cinclus_types::{MessageId, PChannel, Term};
use object_store::ClientOptions;
use object_store::aws::AmazonS3Builder;

const BUCKET: &str = "interop";
const ROOT: &str = "files/wp";
const PREFIX: &str = "interop/woodpecker";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let env = Env::os();
    let storage = storage(&env).await;
    match arguments[..] {
        ["write", log, who, count, size] => write(&storage, log, who, [count, size], false).await,
        ["hold", log, who, count, size] => write(&storage, log, who, [count, size], true).await,
        ["read", log] => read(&storage, log, None).await,
        ["read", log, from] => read(&storage, log, Some(id(from))).await,
        ["truncate", log, upto] => storage.truncate(&PChannel::new(log), id(upto)).await.unwrap(),
        _ => panic!("see the page of this program"),
    }
    drop(storage);
    env.tasks.join(&OsClock, std::time::Duration::from_secs(10)).await.unwrap();
}

async fn storage(env: &Env) -> WoodpeckerObjects {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let endpoint = format!("http://{}", var("CINCLUS_TEST_SEAWEEDFS_ADDRESS"));
    reqwest::Client::new().put(format!("{endpoint}/{BUCKET}")).send().await.unwrap();
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id("cinclus")
        .with_secret_access_key("of no importance here")
        .with_client_options(ClientOptions::new().with_allow_http(true));
    let etcd = EtcdConfig { endpoints: vec![var("CINCLUS_TEST_ETCD_ADDRESS")], ..EtcdConfig::default() };
    let meta = EtcdMetaStore::open(&etcd, env.clock.clone()).await.unwrap();
    let mut config = ObjectsConfig::new(ROOT);
    PREFIX.clone_into(&mut config.metadata_prefix);
    if let Ok(bytes) = std::env::var("INTEROP_SEGMENT_BYTES") {
        config.roll.bytes_max = bytes.parse().unwrap();
    }
    let store = Arc::new(store.build().unwrap());
    WoodpeckerObjects::open(config, store, env.clone(), Arc::new(meta)).await.unwrap()
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
    for (name, value) in &record.properties {
        write!(line, " {}={}", hex(name.as_bytes()), hex(value.as_bytes())).unwrap();
    }
    println!("{line}");
}

async fn write(storage: &WoodpeckerObjects, log: &str, who: &str, numbers: [&str; 2], hold: bool) {
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

async fn read(storage: &WoodpeckerObjects, log: &str, from: Option<MessageId>) {
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
