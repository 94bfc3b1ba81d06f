//! The body of a delete: primary keys.

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use super::meta::{ALL_PARTITIONS, BodyMeta, base};
use crate::convert::{keys_from_wire, keys_to_wire};
use crate::proto::common::MsgType;
use crate::proto::msg::DeleteRequest;
use crate::{Keys, PartitionId};

const NAME: &str = "DeleteRequest";

/// The body of a delete, `msg.DeleteRequest`. Its timestamps are zeros, as in an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteBody {
    /// Rows are gone from this partition only; `None` is all of them.
    pub partition: Option<PartitionId>,
    /// The keys of the rows.
    pub keys: Keys,
}

impl DeleteBody {
    /// The payload; the partition is the one in `meta`.
    #[must_use]
    pub fn encode(meta: &BodyMeta, keys: Keys) -> Bytes {
        let rows = keys.len();
        let request = DeleteRequest {
            base: base(MsgType::Delete),
            shard_name: meta.vchannel.name().to_owned(),
            db_name: meta.database_name.clone(),
            collection_name: meta.collection_name.clone(),
            partition_name: meta.partition_name.clone(),
            db_id: meta.database.0,
            collection_id: meta.collection.0,
            partition_id: meta.partition.map_or(ALL_PARTITIONS, |partition| partition.0),
            timestamps: vec![0; rows],
            num_rows: rows as i64,
            primary_keys: Some(keys_to_wire(keys)),
            ..Default::default()
        };
        request.encode_to_vec().into()
    }

    /// The keys of a payload.
    ///
    /// # Errors
    /// The payload is no delete by keys.
    pub fn decode(payload: &Bytes) -> Result<DeleteBody, BodyError> {
        let request = DeleteRequest::decode(payload.clone()).map_err(BodyError::wire(NAME))?;
        if !request.serialized_expr_plan.is_empty() {
            return Err(BodyError::ByFilter);
        }
        let keys = match request.primary_keys {
            Some(ids) => keys_from_wire(ids)?,
            // Milvus' form before 2.0.
            None if !request.int64_primary_keys.is_empty() => Keys::Int64(request.int64_primary_keys),
            None => return Err(BodyError::Missing { body: NAME, part: "primary keys" }),
        };
        if i64::try_from(keys.len()) != Ok(request.num_rows) {
            return Err(BodyError::KeyCount { rows: request.num_rows, found: keys.len() });
        }
        let partition = (request.partition_id > 0).then_some(PartitionId(request.partition_id));
        Ok(DeleteBody { partition, keys })
    }
}
