//! Brings the shards of a log to the state at its checkpoint: what the pump then applies comes after it.

use std::sync::Arc;

use cinclus_query::Delegator;
use cinclus_rpc::NodeError;
use cinclus_segment::{FileError, SealedLoader, Segment};
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
    // Another owner's last commit is in the store before it is in every view.
    let fresh = parts.segments.refresh().await;
    fresh.map_err(|error| NodeError::Unavailable(error.to_string()))?;
    let mut growing = Vec::new();
    for (vchannel, id) in at.shards {
        let known = parts.segments.view(&vchannel);
        let Some(schema) = schema_of(parts, &vchannel, id, &known.vchannel)? else {
            // Its drop is in the log behind the checkpoint; nothing of it is read any more.
            tracing::debug!(%vchannel, collection = %id, "a shard of a dropped collection");
            continue;
        };
        let delegator = Arc::new(Delegator::new(vchannel, id, schema.clone(), parts.delegator(channel)));
        let entries = known.segments.values().filter(|s| s.state == SegmentState::Growing);
        growing
            .extend(entries.map(|s| (delegator.clone(), s.clone(), known.vchannel.clone(), schema.clone())));
        channel.shards.insert(delegator);
    }
    // One for all: the segments of a shard need the same delete files.
    let loader = &SealedLoader::new(parts.objects.clone(), parts.env.compute.clone());
    let loads = growing.into_iter().map(|(delegator, entry, deletes, schema)| async move {
        let segment = load(loader, entry, deletes, schema).await?;
        Ok::<_, NodeError>((delegator, segment))
    });
    let mut loads = stream::iter(loads).buffer_unordered(PARALLEL_LOADS);
    while let Some((delegator, segment)) = loads.try_next().await? {
        delegator.adopt(segment);
    }
    channel.tsafe.advance(at.tick);
    Ok(())
}

/// The schema of a shard: the catalog's, or, if the creation of the collection is not finished yet, the one
/// that was persisted with the rows. `None` if the collection was dropped.
fn schema_of(
    parts: &NodeParts,
    vchannel: &VChannel,
    id: CollectionId,
    entry: &VChannelEntry,
) -> Result<Option<Arc<CollectionSchema>>, NodeError> {
    if let Some(collection) = parts.collections.view().collection(id) {
        return Ok(Some(collection.schema().clone()));
    }
    let Some(text) = &entry.schema else { return Ok(None) };
    match serde_json::from_str(text) {
        Ok(schema) => Ok(Some(Arc::new(schema))),
        Err(error) => Err(NodeError::Corrupt {
            channel: vchannel.pchannel(),
            reason: format!("the schema persisted for {vchannel}: {error}"),
        }),
    }
}

async fn load(
    loader: &SealedLoader,
    entry: Arc<SegmentEntry>,
    deletes: VChannelEntry,
    schema: Arc<CollectionSchema>,
) -> Result<Arc<Segment>, NodeError> {
    let loaded = loader.load(&entry, &deletes, schema).await;
    loaded.map(Arc::new).map_err(|error| match error {
        FileError::Corrupt { .. } | FileError::Newer { .. } => {
            NodeError::Corrupt { channel: entry.vchannel.pchannel(), reason: error.to_string() }
        }
        FileError::Missing { .. }
        | FileError::Exists { .. }
        | FileError::Misfit { .. }
        | FileError::Nothing { .. }
        | FileError::Store { .. }
        | FileError::Segment(_) => NodeError::Unavailable(error.to_string()),
    })
}
