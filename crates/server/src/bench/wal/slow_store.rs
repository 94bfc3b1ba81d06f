//! An object store in memory of which every call takes a while.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Bytes that are handed to a socket at once.
const SOCKET: usize = 64 << 10;
/// Objects of less than this are kept whatever happens: the log reads some of its own.
const SMALL: usize = 64 << 10;

/// Each put and get takes `latency` more than its work; each byte that is put is copied once, as a socket would.
#[derive(Debug)]
pub(super) struct SlowStore {
    inner: InMemory,
    latency_ms: AtomicU64,
    keeps_all: bool,
    /// What was copied: so that the copy is made.
    copied: AtomicU64,
}

impl SlowStore {
    /// A store that takes no time yet. If not `keeps_all`, only the names of large objects are kept.
    pub(super) fn new(keeps_all: bool) -> Arc<SlowStore> {
        let (latency_ms, copied) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(SlowStore { inner: InMemory::new(), latency_ms, keeps_all, copied })
    }

    /// How long each call takes from now on.
    pub(super) fn set_latency(&self, milliseconds: u64) {
        self.latency_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// Creates an object, as the log does it.
    pub(super) async fn create(&self, name: String, bytes: Bytes) -> Result<()> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.put_opts(&Path::from(name), bytes.into(), options).await.map(|_| ())
    }

    async fn wait(&self) {
        let latency = Duration::from_millis(self.latency_ms.load(Ordering::Relaxed));
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
    }
}

impl fmt::Display for SlowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slow")
    }
}

#[async_trait]
impl ObjectStore for SlowStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mut socket = vec![0_u8; SOCKET];
        for chunk in payload.iter().flat_map(|part| part.chunks(SOCKET)) {
            socket[..chunk.len()].copy_from_slice(chunk);
            self.copied.fetch_add(u64::from(socket[chunk.len() / 2]), Ordering::Relaxed);
        }
        self.wait().await;
        let keep = self.keeps_all || payload.content_length() < SMALL;
        self.inner.put_opts(path, if keep { payload } else { PutPayload::new() }, options).await
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
        self.wait().await;
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
