//! The TSO, as a source of ticks.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_env::{TickError, TickSource};
use cinclus_rpc::CoordApi;
use cinclus_types::TickRange;

/// Asks the coordinator for ticks.
#[derive(Clone)]
pub struct CoordTicks(pub Arc<dyn CoordApi>);

#[async_trait]
impl TickSource for CoordTicks {
    async fn grant(&self, count: u32) -> Result<TickRange, TickError> {
        if count == 0 {
            return Err(TickError::Empty);
        }
        self.0.ticks(count).await.map_err(|error| TickError::Unavailable(error.to_string()))
    }
}
