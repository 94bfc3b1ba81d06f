//! Measures the storage on objects against the object store below it: `cargo run --release -p
//! cinclus-log-storage --example object_bench`. The store is in memory; each call takes a given time more, and
//! each byte that is put is read once, as a socket would. Rounds of both are interleaved.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::collections::VecDeque;
use std::fmt::{Debug, Display, Formatter};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::Env;
use cinclus_log_storage::woodpecker::{ObjectsConfig, WoodpeckerObjects};
use cinclus_log_storage::{AppendAck, LogStorage, LogWriter, OpenOptions, Record};
use cinclus_meta::MemoryMetaStore;
use cinclus_types::{MessageId, PChannel, Term};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

const ROUNDS: usize = 5;
const SOCKET: usize = 64 << 10;
const DEPTH: usize = 32;
const BLOCK: usize = 4 << 20;
const TOTAL: usize = 4 << 30;
const READ: usize = 1 << 30;

/// A store of which every call takes `delay_ms`. It keeps small objects, and large ones if it is told so.
struct Slow {
    inner: InMemory,
    delay_ms: AtomicU64,
    keep: bool,
    read: AtomicU64,
}

impl Slow {
    fn new(keep: bool) -> Arc<Slow> {
        let (delay_ms, read) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Slow { inner: InMemory::new(), delay_ms, keep, read })
    }

    async fn wait(&self) {
        let span = Duration::from_millis(self.delay_ms.load(Ordering::Relaxed));
        if !span.is_zero() {
            tokio::time::sleep(span).await;
        }
    }
}

impl Debug for Slow {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("slow")
    }
}

impl Display for Slow {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("slow")
    }
}

#[async_trait]
impl ObjectStore for Slow {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut socket = vec![0_u8; SOCKET];
        for chunk in payload.iter().flat_map(|part| part.chunks(SOCKET)) {
            socket[..chunk.len()].copy_from_slice(chunk);
            self.read.fetch_add(u64::from(socket[chunk.len() / 2]), Ordering::Relaxed);
        }
        self.wait().await;
        let small = payload.content_length() < 64 << 10;
        let kept = if self.keep || small { payload } else { PutPayload::new() };
        self.inner.put_opts(path, kept, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.wait().await;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for delay_ms in [10, 50, 100] {
        println!("{delay_ms} ms for each call");
        runtime.block_on(lone_appends(delay_ms));
        runtime.block_on(bandwidth(delay_ms));
        runtime.block_on(reading(delay_ms));
    }
}

async fn open(store: Arc<Slow>) -> (WoodpeckerObjects, Box<dyn LogWriter>, PChannel) {
    let env = Env::os();
    let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
    let mut config = ObjectsConfig::new("bench");
    (config.block_bytes_max, config.uploads_max, config.compact_bytes_max) = (BLOCK as u64, DEPTH, 0);
    let storage = WoodpeckerObjects::open(config, store, env, Arc::new(meta)).await.unwrap();
    let channel = PChannel::new("bench");
    let options = OpenOptions { term: Term(1), acknowledged: MessageId::EARLIEST };
    let writer = storage.open_writer(&channel, options).await.unwrap();
    (storage, writer, channel)
}

async fn create(store: &Slow, name: String, bytes: Bytes) {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&Path::from(name), bytes.into(), options).await.unwrap();
}

async fn lone_appends(delay_ms: u64) {
    const COUNT: usize = 40;
    let store = Slow::new(false);
    let (_storage, mut writer, _) = open(store.clone()).await;
    store.delay_ms.store(delay_ms, Ordering::Relaxed);
    let content = Bytes::from(vec![7_u8; 1024]);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (mut plain, mut ours) = (Vec::new(), Vec::new());
        for at in 0..COUNT {
            let start = Instant::now();
            create(&store, format!("plain/{round}/{at}"), content.clone()).await;
            plain.push(start.elapsed());
            let start = Instant::now();
            writer.append(vec![Record::new(content.clone(), Vec::new())]).await.unwrap();
            ours.push(start.elapsed());
        }
        plain.sort();
        ours.sort();
        ratios.push(ours[COUNT / 2].as_secs_f64() / plain[COUNT / 2].as_secs_f64());
    }
    println!("  lone append of 1 KiB, p50 ÷ one put: {}", shown(&mut ratios));
}

async fn bandwidth(delay_ms: u64) {
    let content = Bytes::from(vec![7_u8; BLOCK]);
    // Four of them fill a block.
    let batch = vec![Record::new(content.slice(..BLOCK / 4 - 64), Vec::new())];
    let mut ratios = Vec::new();
    let mut speeds = (0.0, 0.0);
    for _ in 0..ROUNDS {
        let store = Slow::new(false);
        let (_storage, mut writer, _) = open(store.clone()).await;
        store.delay_ms.store(delay_ms, Ordering::Relaxed);
        let start = Instant::now();
        let puts = (0..TOTAL / BLOCK).map(|at| {
            let (store, content) = (store.clone(), content.clone());
            tokio::spawn(async move { create(&store, format!("plain/{at}"), content).await })
        });
        stream::iter(puts).buffer_unordered(DEPTH).for_each(async |done| done.unwrap()).await;
        let plain = TOTAL as f64 / start.elapsed().as_secs_f64() / 1e6;
        let start = Instant::now();
        let mut waiting: VecDeque<AppendAck> = VecDeque::new();
        for _ in 0..TOTAL / BLOCK * 4 {
            if waiting.len() == DEPTH * 4 * 2 {
                waiting.pop_front().unwrap().await.unwrap();
            }
            waiting.push_back(writer.append(batch.clone()));
        }
        for ack in waiting {
            ack.await.unwrap();
        }
        let ours = TOTAL as f64 / start.elapsed().as_secs_f64() / 1e6;
        speeds = (plain, ours);
        ratios.push(ours / plain);
    }
    println!(
        "  4 GiB, {DEPTH} uploads of 4 MiB at once, over sixteen ends of segments, MB/s ÷ plain parallel puts: {} (last: {:.0} and {:.0} MB/s)",
        shown(&mut ratios),
        speeds.1,
        speeds.0
    );
}

async fn reading(delay_ms: u64) {
    let store = Slow::new(true);
    let (storage, mut writer, channel) = open(store.clone()).await;
    let record = Record::new(vec![7_u8; (64 << 10) - 64], Vec::new());
    for _ in 0..READ / (1 << 20) {
        writer.append(vec![record.clone(); 16]).await.unwrap();
    }
    writer.close().await.unwrap();
    store.delay_ms.store(delay_ms, Ordering::Relaxed);
    let folder = Path::from("bench/1");
    let mut blocks = Vec::new();
    let mut found = store.list(Some(&folder));
    while let Some(meta) = found.next().await {
        blocks.push(meta.unwrap().location);
    }
    let at_once = ObjectsConfig::new("bench").read_ahead_bytes as usize / (1 << 20);
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let gets = blocks.iter().map(|path| {
            let (store, path) = (store.clone(), path.clone());
            tokio::spawn(async move { store.get(&path).await.unwrap().bytes().await.unwrap().len() })
        });
        stream::iter(gets).buffer_unordered(at_once).for_each(async |done| assert!(done.unwrap() > 0)).await;
        let plain = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut reader = storage.read(&channel, MessageId::EARLIEST).await.unwrap();
        let mut records = 0;
        loop {
            let batch = reader.next_batch().await.unwrap();
            if batch.is_empty() {
                break;
            }
            records += batch.len();
        }
        assert_eq!(records, READ / (1 << 20) * 16);
        ratios.push(plain / start.elapsed().as_secs_f64());
    }
    println!(
        "  catch-up over {} blocks of 1 MiB, speed ÷ plain gets, {at_once} at once: {}",
        blocks.len(),
        shown(&mut ratios)
    );
}

/// The median, and all of them.
fn shown(ratios: &mut [f64]) -> String {
    ratios.sort_by(f64::total_cmp);
    let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    format!("{:.3} of [{}]", ratios[ratios.len() / 2], all.join(", "))
}
