//! A reader of a PChannel.

use std::sync::Arc;

use cinclus_rpc::{Delivery, ScanFilter, ScanFrom};
use tokio::sync::watch;

use super::cursor::{Cursor, Step};
use crate::error::ScanError;
use crate::shared::Shared;

/// Reads a PChannel from some point on and follows it.
pub struct Scanner {
    shared: Arc<Shared>,
    cursor: Cursor,
    news: watch::Receiver<u64>,
}

impl Scanner {
    pub(crate) fn new(shared: Arc<Shared>, from: ScanFrom, filter: ScanFilter) -> Scanner {
        let news = shared.news.subscribe();
        Scanner { cursor: Cursor::new(shared.clone(), from, filter), shared, news }
    }

    /// The next delivery; waits for one. Nothing is lost when the future is dropped half way.
    ///
    /// # Errors
    /// See [`ScanError`]. What was acknowledged before a close is delivered before the error.
    pub async fn next(&mut self) -> Result<Delivery, ScanError> {
        loop {
            // What happens from here on wakes the wait below.
            self.news.borrow_and_update();
            let closed = self.shared.closed();
            match self.cursor.step().await? {
                Step::Delivered(delivery) => return Ok(delivery),
                Step::StorageEnd | Step::TailEnd => {}
            }
            if let Some(closed) = closed {
                return Err(ScanError::Closed(closed.to_string()));
            }
            if self.news.changed().await.is_err() {
                return Err(ScanError::Closed("the log was let go of".to_owned()));
            }
        }
    }
}
