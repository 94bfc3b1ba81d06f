//! Measures the local storage against the disk below it: `cargo run --release -p cinclus-log-storage
//! --example log_bench [DIR]`. Rounds of both are interleaved, so that they meet the same disk.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cinclus_env::Env;
use cinclus_log_storage::woodpecker::{LocalConfig, WoodpeckerLocal};
use cinclus_log_storage::{LogStorage, LogWriter, OpenOptions, Record};
use cinclus_meta::MemoryMetaStore;
use cinclus_types::{MessageId, PChannel, Term};

const ROUNDS: usize = 5;

fn main() {
    let dir = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("log-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(&dir));
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn open(dir: &Path) -> (Arc<WoodpeckerLocal>, Box<dyn LogWriter>, PChannel) {
    let env = Env::os();
    let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
    let storage = WoodpeckerLocal::open(LocalConfig::new(dir.join("wp")), env, Arc::new(meta)).await.unwrap();
    let channel = PChannel::new("bench");
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let writer = storage.open_writer(&channel, options).await.unwrap();
    (Arc::new(storage), writer, channel)
}

async fn run(dir: &Path) {
    let (storage, mut writer, channel) = open(dir).await;
    println!("lone append of 1 KiB against write + fdatasync of the same file growth");
    let base = File::options().create_new(true).write(true).open(dir.join("base")).unwrap();
    let mut offset = 0;
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let plain = base_round(&base, &mut offset, 1024, 300);
        let ours = append_round(&mut *writer, 1024, 300).await;
        ratios.push(ours[0].as_secs_f64() / plain[0].as_secs_f64());
        println!(
            "  round {round}: base p50 {:?} p99 {:?}   log p50 {:?} p99 {:?}",
            plain[0], plain[1], ours[0], ours[1]
        );
    }
    println!("  ratio of p50: {:.2}", median(&mut ratios));

    println!("256 MiB: chunks of 4 MiB with one fdatasync each, against batches of 1 MiB, 16 in flight");
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let plain = base_bandwidth(&base, &mut offset);
        let ours = append_bandwidth(&mut *writer).await;
        ratios.push(ours / plain);
        println!("  round {round}: base {plain:.0} MB/s   log {ours:.0} MB/s");
    }
    println!("  ratio: {:.2}", median(&mut ratios));

    println!("reading all of it, from the page cache as a rule");
    for round in 0..ROUNDS {
        let (records, speed) = read_all(&*storage, &channel).await;
        println!("  round {round}: {records} records, {speed:.0} MB/s");
    }
}

fn base_round(file: &File, offset: &mut u64, bytes: usize, count: usize) -> [Duration; 2] {
    let content = vec![7_u8; bytes];
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        file.write_all_at(&content, *offset).unwrap();
        file.sync_data().unwrap();
        spans.push(start.elapsed());
        *offset += bytes as u64;
    }
    percentiles(spans)
}

async fn append_round(writer: &mut dyn LogWriter, bytes: usize, count: usize) -> [Duration; 2] {
    let record = Record::new(vec![7_u8; bytes], vec![("_t".to_owned(), "7".to_owned())]);
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        writer.append(vec![record.clone()]).await.unwrap();
        spans.push(start.elapsed());
    }
    percentiles(spans)
}

const TOTAL: usize = 256 << 20;

fn base_bandwidth(file: &File, offset: &mut u64) -> f64 {
    let content = vec![7_u8; 4 << 20];
    let start = Instant::now();
    for _ in 0..TOTAL / content.len() {
        file.write_all_at(&content, *offset).unwrap();
        file.sync_data().unwrap();
        *offset += content.len() as u64;
    }
    TOTAL as f64 / start.elapsed().as_secs_f64() / 1e6
}

async fn append_bandwidth(writer: &mut dyn LogWriter) -> f64 {
    let payload = Bytes::from(vec![7_u8; 64 << 10]);
    let batch: Vec<Record> = (0..16).map(|_| Record::new(payload.clone(), Vec::new())).collect();
    let start = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..TOTAL >> 20 {
        if waiting.len() == 16 {
            let ack: cinclus_log_storage::AppendAck = waiting.pop_front().unwrap();
            ack.await.unwrap();
        }
        waiting.push_back(writer.append(batch.clone()));
    }
    for ack in waiting {
        ack.await.unwrap();
    }
    TOTAL as f64 / start.elapsed().as_secs_f64() / 1e6
}

async fn read_all(storage: &dyn LogStorage, channel: &PChannel) -> (usize, f64) {
    let start = Instant::now();
    let mut reader = storage.read(channel, MessageId::EARLIEST).await.unwrap();
    let (mut records, mut bytes) = (0, 0);
    loop {
        let batch = reader.next_batch().await.unwrap();
        if batch.is_empty() {
            break;
        }
        records += batch.len();
        bytes += batch.iter().map(|record| record.record.payload.len()).sum::<usize>();
    }
    (records, bytes as f64 / start.elapsed().as_secs_f64() / 1e6)
}

fn percentiles(mut spans: Vec<Duration>) -> [Duration; 2] {
    spans.sort();
    [spans[spans.len() / 2], spans[spans.len() * 99 / 100]]
}

fn median(ratios: &mut [f64]) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
