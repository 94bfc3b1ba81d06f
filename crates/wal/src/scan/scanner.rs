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
    /// Why nothing comes behind what was given.
    failed: Option<ScanError>,
}

impl Scanner {
    pub(crate) fn new(shared: Arc<Shared>, from: ScanFrom, filter: ScanFilter) -> Scanner {
        let news = shared.news.subscribe();
        Scanner { cursor: Cursor::new(shared.clone(), from, filter), shared, news, failed: None }
    }

    /// The next delivery; waits for one. Nothing is lost when the future is dropped half way.
    ///
    /// # Errors
    /// See [`ScanError`]. What was acknowledged before a close is delivered before the error.
    pub async fn next(&mut self) -> Result<Delivery, ScanError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            // What happens from here on wakes the wait below.
            self.news.borrow_and_update();
            let closed = self.shared.closed();
            match self.cursor.step().await {
                Ok(Step::Delivered(delivery)) => return Ok(delivery),
                Ok(Step::StorageEnd | Step::TailEnd) => {}
                // What lies behind a record that cannot be read is not read either.
                Err(error) => return Err(self.failed.insert(error).clone()),
            }
            if let Some(closed) = closed {
                return Err(ScanError::Closed(closed.to_string()));
            }
            if self.news.changed().await.is_err() {
                return Err(ScanError::Closed("the log was let go of".to_owned()));
            }
        }
    }
    /// The next delivery, and those behind it that were read already, until so many bytes of log went into them.
    /// Whoever drops the future half way loses what it took.
    ///
    /// # Errors
    /// As of [`Scanner::next`]; what was read before the error is given before it.
    pub async fn next_together(&mut self, bytes: u64) -> Result<Vec<Delivery>, ScanError> {
        let mut together = vec![self.next().await?];
        let mut taken = together[0].log_bytes;
        while taken < bytes {
            match self.cursor.at_hand() {
                Ok(Some(delivery)) => {
                    taken += delivery.log_bytes;
                    together.push(delivery);
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(together)
    }
}
