//! A PChannel that is served as a node serves it: a Wal, and a feed that is read all the time.

use bytes::Bytes;
use cinclus_catalog::Segments;
use cinclus_env::LocalTicks;
use cinclus_types::message::{Draft, Header};
use cinclus_types::{CollectionId, DatabaseId, PChannel, PartitionId, Term, VChannel};
use cinclus_wal::{Wal, WalConfig, WalParts};

use super::files::Files;

use std::sync::Arc;

/// The partition of every collection here.
const PARTITION: PartitionId = PartitionId(1);

/// What all Wals of one storage share.
pub(super) struct Serving {
    parts: WalParts,
    config: WalConfig,
}

impl Serving {
    /// Serves the logs of a storage.
    pub(super) async fn of(files: &Files) -> anyhow::Result<Serving> {
        let env = files.env.clone();
        let segments = Segments::open(files.meta.clone(), &env).await?;
        let ticks = Arc::new(LocalTicks::new(env.clock.clone()));
        let parts = WalParts { storage: files.storage.clone(), segments, ticks, env };
        Ok(Serving { parts, config: WalConfig::default() })
    }

    /// Opens a PChannel, has its feed read from now on, and waits until appends are served.
    pub(super) async fn open(&self, channel: PChannel) -> anyhow::Result<Wal> {
        let (wal, mut feed) =
            cinclus_wal::open(self.parts.clone(), self.config.clone(), channel, Term(1)).await?;
        self.parts.env.tasks.spawn("feed", async move { while feed.next().await.is_ok() {} });
        wal.ready().await?;
        Ok(wal)
    }

    /// As [`Serving::open`], with a collection that takes inserts.
    pub(super) async fn open_with_collection(&self) -> anyhow::Result<(Wal, VChannel)> {
        let wal = self.open(PChannel::numbered("bench", 0)).await?;
        let vchannel = wal.channel().shard(CollectionId(1), 0);
        wal.append(vec![create_collection(&vchannel, CollectionId(1))]).await?;
        Ok((wal, vchannel))
    }
}

/// A collection with one partition.
pub(super) fn create_collection(vchannel: &VChannel, collection: CollectionId) -> Draft {
    let header =
        Header::CreateCollection { collection, partitions: vec![PARTITION], database: DatabaseId(1) };
    Draft::new(vchannel.clone(), header, Bytes::new())
}

/// An insert of one row of these bytes into the first collection.
pub(super) fn insert(vchannel: &VChannel, row: Bytes) -> Draft {
    let header = Header::Insert {
        collection: CollectionId(1),
        partition: PARTITION,
        rows: 1,
        binary_size: row.len() as u64,
        segment: None,
        schema_version: 0,
    };
    Draft::new(vchannel.clone(), header, row)
}
