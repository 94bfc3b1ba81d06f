//! Ids for rows, from the coordinator, in blocks.

use std::ops::Range;
use std::sync::Arc;

use cinclus_rpc::{CoordApi, CoordError};
use parking_lot::Mutex;

/// A source of row ids: unique for ever, ascending within a request.
pub struct IdBlocks {
    coord: Arc<dyn CoordApi>,
    block: u32,
    rest: Mutex<Range<u64>>,
}

impl IdBlocks {
    /// A source that asks for `block` ids at once.
    #[must_use]
    pub fn new(coord: Arc<dyn CoordApi>, block: u32) -> IdBlocks {
        IdBlocks { coord, block: block.max(1), rest: Mutex::new(0..0) }
    }

    /// Takes `count` ids.
    ///
    /// # Errors
    /// The coordinator did not grant any.
    pub async fn take(&self, count: usize) -> Result<Vec<i64>, CoordError> {
        let mut ids = Vec::with_capacity(count);
        loop {
            let wanted = count - ids.len();
            {
                let mut rest = self.rest.lock();
                let taken = rest.start..rest.end.min(rest.start + wanted as u64);
                rest.start = taken.end;
                ids.extend(taken.map(|id| i64::try_from(id).unwrap_or(i64::MAX)));
            }
            if ids.len() == count {
                return Ok(ids);
            }
            let ask = u32::try_from(count - ids.len()).unwrap_or(u32::MAX).max(self.block);
            let granted = self.coord.ticks(ask).await?;
            // Of two callers that asked at once, the later block is kept and the rest of the earlier lost.
            *self.rest.lock() = granted.first.0..granted.first.0 + u64::from(granted.count);
        }
    }
}
