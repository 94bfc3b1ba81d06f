//! Brings the shards of a log to the state at its checkpoint: what the pump then applies comes after it.

use std::sync::Arc;

use cinclus_query::Delegator;
use cinclus_rpc::NodeError;
use cinclus_segment::{SealedLoader, Segment};
use cinclus_types::{
    CollectionId, CollectionSchema, SegmentEntry, SegmentState, Tick, VChannel, VChannelEntry,
};
use cinclus_wal::Feed;
use futures::{StreamExt, TryStreamExt, stream};

use crate::channel::Channel;
use crate::host::NodeParts;

/// Segments that are read at once.
const PARALLEL_LOADS: usize = 4;

/// What the checkpoint says.
pub(crate) struct RestorePoint {
    shards: Vec<(VChannel, CollectionId)>,
    tick: Tick,
}

impl RestorePoint {
    /// Where a feed begins.
    pub(crate) fn of(feed: &Feed) -> RestorePoint {
        let shards = feed.recovered().shards().iter();
        RestorePoint {
            shards: shards.map(|(vchannel, shard)| (vchannel.clone(), shard.collection)).collect(),
            tick: feed.replayed_from().tick,
        }
    }
}

/// Makes a delegator for each shard at the checkpoint, with the growing segments that it had.
pub(crate) async fn restore(parts: &NodeParts, channel: &Channel, at: RestorePoint) -> Result<(), NodeError> {
    let collections = parts.collections.view();
    for (vchannel, id) in at.shards {
        let Some(collection) = collections.collection(id) else {
            // Its drop is in the log behind the checkpoint; nothing of it is read any more.
            tracing::debug!(%vchannel, collection = %id, "a shard of a dropped collection");
            continue;
        };
        let delegator =
            Delegator::new(vchannel.clone(), id, collection.schema().clone(), parts.delegator(channel));
        let known = parts.segments.view(&vchannel);
        let growing: Vec<Arc<SegmentEntry>> =
            known.segments.values().filter(|s| s.state == SegmentState::Growing).cloned().collect();
        let loads = growing
            .into_iter()
            .map(|entry| load(parts.clone(), entry, known.vchannel.clone(), collection.schema().clone()));
        let segments: Vec<_> = stream::iter(loads).buffer_unordered(PARALLEL_LOADS).try_collect().await?;
        for segment in segments {
            delegator.adopt(segment);
        }
        channel.shards.insert(Arc::new(delegator));
    }
    channel.tsafe.advance(at.tick);
    Ok(())
}

async fn load(
    parts: NodeParts,
    entry: Arc<SegmentEntry>,
    deletes: VChannelEntry,
    schema: Arc<CollectionSchema>,
) -> Result<Arc<Segment>, NodeError> {
    let loader = SealedLoader::new(parts.objects.clone(), parts.env.compute.clone());
    let loaded = loader.load(&entry, &deletes, schema).await;
    loaded.map(Arc::new).map_err(|error| NodeError::Unavailable(error.to_string()))
}
