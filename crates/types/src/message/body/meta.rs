//! What version 1 bodies repeat for foreign readers.

use crate::proto::common::{MsgBase, MsgType};
use crate::{CollectionId, DatabaseId, PartitionId, VChannel};

/// Whose rows a body holds. Cinclus itself reads this from the header; Milvus' readers want it here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyMeta {
    /// The VChannel that the message is for.
    pub vchannel: VChannel,
    /// The database.
    pub database: DatabaseId,
    /// Its name.
    pub database_name: String,
    /// The collection.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
    /// The partition; for deletes `None` is all of them.
    pub partition: Option<PartitionId>,
    /// Its name, empty for all.
    pub partition_name: String,
}

/// Milvus' number for "all partitions".
pub(crate) const ALL_PARTITIONS: i64 = -1;

/// The head of a version 1 body. Readers take the tick from the message, so none is here.
pub(crate) fn base(msg_type: MsgType) -> Option<MsgBase> {
    Some(MsgBase { msg_type: msg_type.into(), ..Default::default() })
}
