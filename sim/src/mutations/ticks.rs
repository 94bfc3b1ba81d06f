//! A source of ticks that grants what it got earlier.

use async_trait::async_trait;
use cinclus_env::{DynTickSource, TickError, TickSource};
use cinclus_types::TickRange;
use parking_lot::Mutex;

/// Keeps each range until the next is asked for.
pub struct StaleTicks {
    /// The source itself.
    pub inner: DynTickSource,
    /// What it granted last.
    pub kept: Mutex<Option<TickRange>>,
}

#[async_trait]
impl TickSource for StaleTicks {
    async fn grant(&self, count: u32) -> Result<TickRange, TickError> {
        let fresh = self.inner.grant(count).await?;
        Ok(self.kept.lock().replace(fresh).unwrap_or(fresh))
    }
}
