//! Brings the shards of a log to the state at its checkpoint: what the pump then applies comes after it.

use std::sync::Arc;

use cinclus_query::Delegator;
use cinclus_rpc::NodeError;
use cinclus_segment::load_segment;
use cinclus_types::SegmentState;
use cinclus_wal::Feed;
use futures::{StreamExt, TryStreamExt, stream};

use crate::channel::Channel;
use crate::host::NodeParts;

/// Segments that are read at once.
const PARALLEL_LOADS: usize = 4;

/// Makes a delegator for each shard at the checkpoint, with the growing segments that it had.
pub(crate) async fn restore(parts: &NodeParts, channel: &Channel, feed: &Feed) -> Result<(), NodeError> {
    let collections = parts.collections.view();
    for (vchannel, shard) in feed.recovered().shards() {
        let Some(collection) = collections.collection(shard.collection) else {
            // Its drop is in the log behind the checkpoint; nothing of it is read any more.
            tracing::debug!(%vchannel, collection = %shard.collection, "a shard of a dropped collection");
            continue;
        };
        let delegator =
            Delegator::new(vchannel.clone(), shard.collection, collection.schema().clone(), parts.delegator(channel));
        let known = parts.segments.view(vchannel);
        let growing = known.segments.values().filter(|segment| segment.state == SegmentState::Growing);
        let loads = growing.map(|entry| {
            let schema = collection.schema();
            let known = known.clone();
            async move {
                let segment = load_segment(&parts.objects, &parts.env, entry, &known.vchannel, schema)
                    .await
                    .map_err(|error| NodeError::Unavailable(error.to_string()))?;
                segment.set_persisted(segment.rows());
                Ok::<_, NodeError>(Arc::new(segment))
            }
        });
        let segments: Vec<_> = stream::iter(loads).buffer_unordered(PARALLEL_LOADS).try_collect().await?;
        for segment in segments {
            delegator.adopt(segment);
        }
        channel.shards.insert(Arc::new(delegator));
    }
    channel.tsafe.advance(feed.replayed_from().tick);
    Ok(())
}
