//! Reads a file front to back in large pieces.

use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::disk::{DiskError, DiskFile};

/// A piece of a file that moves forward.
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    /// Nothing is read from here on, for example because it is not durable yet.
    limit: u64,
    ahead: usize,
    start: u64,
    bytes: Bytes,
}

impl Window {
    pub(super) fn new(file: Arc<dyn DiskFile>, limit: u64, ahead: usize) -> Window {
        Window { file, limit, ahead, start: 0, bytes: Bytes::new() }
    }

    pub(super) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Moves the limit when more of the file may be read.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// The bytes from `offset` on, `want` of them or all up to the limit if that is nearer.
    pub(super) async fn at(&mut self, offset: u64, want: usize) -> Result<Bytes, DiskError> {
        let available = self.limit.saturating_sub(offset);
        let want = want.min(usize::try_from(available).unwrap_or(usize::MAX));
        if let Some(bytes) = self.held(offset, want) {
            return Ok(bytes);
        }
        let len = want.max(self.ahead).min(usize::try_from(available).unwrap_or(usize::MAX));
        self.bytes = self.file.read_at(offset, len).await?;
        self.start = offset;
        Ok(self.bytes.slice(..want.min(self.bytes.len())))
    }

    fn held(&self, offset: u64, want: usize) -> Option<Bytes> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        (skip.checked_add(want)? <= self.bytes.len()).then(|| self.bytes.slice(skip..skip + want))
    }
}
