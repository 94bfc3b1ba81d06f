//! One reader of a log of this node.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::Telemetry;
use cinclus_env::telemetry::Gauge;
use cinclus_rpc::{ConsumeError, Deliveries, Delivery};
use cinclus_wal::{ScanError, Scanner};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ending::Ending;

/// Counts the subscriptions of a node.
pub(crate) struct Subscriptions {
    places: Arc<Semaphore>,
    limit: usize,
    open: Gauge,
}

impl Subscriptions {
    pub(crate) fn new(limit: usize, telemetry: &Telemetry) -> Subscriptions {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let open = telemetry.gauge("cinclus_subscriptions", "Readers that follow logs of this node.", &[]);
        Subscriptions { places: Arc::new(Semaphore::new(limit)), limit, open }
    }

    /// Lets one more reader in, if there is a place.
    pub(super) fn open(&self, scanner: Scanner, ending: Ending) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ConsumeError::TooMany { limit: self.limit })?;
        self.open.inc();
        Ok(Box::new(Subscription { scanner, ending, open: self.open.clone(), _place: place }))
    }
}

/// A reader, and its place among those of the node. Nothing is read for it unless it asks.
struct Subscription {
    scanner: Scanner,
    ending: Ending,
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Subscription {
    fn failed(&self, error: ScanError) -> ConsumeError {
        match error {
            ScanError::Truncated { earliest } => ConsumeError::Truncated { earliest },
            ScanError::Corrupt(reason) => ConsumeError::Corrupt(self.ending.named(&reason)),
            // A log that its pump cannot read is closed for everybody.
            ScanError::Closed(reason) => match self.ending.corruption() {
                Some(corrupt) => ConsumeError::Corrupt(self.ending.named(&corrupt)),
                None => ConsumeError::Closed(reason),
            },
        }
    }
}

#[async_trait]
impl Deliveries for Subscription {
    async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        self.scanner.next().await.map_err(|error| self.failed(error))
    }

    async fn next_together(&mut self, bytes: usize) -> Result<Vec<Delivery>, ConsumeError> {
        self.scanner.next_together(bytes as u64).await.map_err(|error| self.failed(error))
    }
}
