//! Which worker holds which sealed segment.

use std::sync::Arc;

use cinclus_rpc::WorkerApi;
use cinclus_types::SegmentId;

/// The workers that a delegator may use.
pub trait Workers: Send + Sync + 'static {
    /// The worker that a segment is placed on.
    fn of(&self, segment: SegmentId) -> Arc<dyn WorkerApi>;
}

/// Every segment is on the one worker of this process.
#[derive(Clone)]
pub struct OneWorker(pub Arc<dyn WorkerApi>);

impl Workers for OneWorker {
    fn of(&self, _segment: SegmentId) -> Arc<dyn WorkerApi> {
        self.0.clone()
    }
}
