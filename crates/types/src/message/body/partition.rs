//! The body of messages about partitions.

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use super::meta::base;
use crate::proto::common::MsgType;
use crate::proto::msg::{CreatePartitionRequest, DropPartitionRequest};
use crate::{CollectionId, DatabaseId, PartitionId};

/// The body of CreatePartition and DropPartition (`msg.CreatePartitionRequest`,
/// `msg.DropPartitionRequest`: two messages of the same form).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionBody {
    /// The database.
    pub database: DatabaseId,
    /// Its name.
    pub database_name: String,
    /// The collection.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
    /// The partition.
    pub partition: PartitionId,
    /// Its name.
    pub partition_name: String,
}

impl PartitionBody {
    /// The payload of CreatePartition.
    #[must_use]
    pub fn encode_create(&self) -> Bytes {
        self.request(MsgType::CreatePartition).encode_to_vec().into()
    }

    /// The payload of DropPartition.
    #[must_use]
    pub fn encode_drop(&self) -> Bytes {
        let request = self.request(MsgType::DropPartition);
        let request = DropPartitionRequest {
            base: request.base,
            db_name: request.db_name,
            collection_name: request.collection_name,
            partition_name: request.partition_name,
            db_id: request.db_id,
            collection_id: request.collection_id,
            partition_id: request.partition_id,
        };
        request.encode_to_vec().into()
    }

    fn request(&self, msg_type: MsgType) -> CreatePartitionRequest {
        CreatePartitionRequest {
            base: base(msg_type),
            db_name: self.database_name.clone(),
            collection_name: self.collection_name.clone(),
            partition_name: self.partition_name.clone(),
            db_id: self.database.0,
            collection_id: self.collection.0,
            partition_id: self.partition.0,
        }
    }

    /// Reads a payload of either.
    ///
    /// # Errors
    /// It is no such body.
    pub fn decode(payload: &Bytes) -> Result<PartitionBody, BodyError> {
        let request = CreatePartitionRequest::decode(payload.clone())
            .map_err(BodyError::wire("CreatePartitionRequest or DropPartitionRequest"))?;
        Ok(PartitionBody {
            database: DatabaseId(request.db_id),
            database_name: request.db_name,
            collection: CollectionId(request.collection_id),
            collection_name: request.collection_name,
            partition: PartitionId(request.partition_id),
            partition_name: request.partition_name,
        })
    }
}
