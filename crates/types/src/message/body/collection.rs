//! Bodies of messages about collections.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use super::meta::base;
use crate::convert::schema::{map, pairs};
use crate::convert::{schema_from_wire, schema_to_wire};
use crate::proto::common::MsgType;
use crate::proto::messages::{AlterCollectionMessageBody, AlterCollectionMessageUpdates};
use crate::proto::msg::{CreateCollectionRequest, DropCollectionRequest};
use crate::{CollectionId, CollectionSchema, ConsistencyLevel, DatabaseId, PartitionId, VChannel};

/// Milvus keeps the consistency level among the schema's properties on its way through the log.
const CONSISTENCY_PROPERTY: &str = "consistency_level";

/// The body of CreateCollection, `msg.CreateCollectionRequest`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateCollectionBody {
    /// The database.
    pub database: DatabaseId,
    /// Its name.
    pub database_name: String,
    /// The collection.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
    /// Its schema.
    pub schema: CollectionSchema,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// Its level for reads that name none.
    pub consistency: ConsistencyLevel,
    /// Its shards in order.
    pub vchannels: Vec<VChannel>,
    /// Its first partitions, by id and name.
    pub partitions: Vec<(PartitionId, String)>,
}

impl CreateCollectionBody {
    const NAME: &str = "CreateCollectionRequest";

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut properties = self.properties.clone();
        properties.insert(CONSISTENCY_PROPERTY.to_owned(), self.consistency.number().to_string());
        let mut schema = schema_to_wire(&self.schema);
        schema.properties = pairs(&properties);
        schema.db_name.clone_from(&self.database_name);
        let request = CreateCollectionRequest {
            base: base(MsgType::CreateCollection),
            db_name: self.database_name.clone(),
            collection_name: self.collection_name.clone(),
            db_id: self.database.0,
            collection_id: self.collection.0,
            virtual_channel_names: self.vchannels.iter().map(|channel| channel.name().to_owned()).collect(),
            physical_channel_names: self.vchannels.iter().map(|c| c.pchannel().name().to_owned()).collect(),
            partition_i_ds: self.partitions.iter().map(|(id, _)| id.0).collect(),
            partition_names: self.partitions.iter().map(|(_, name)| name.clone()).collect(),
            collection_schema: Some(schema),
            ..Default::default()
        };
        request.encode_to_vec().into()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// It is no such body, or its schema uses what is not served.
    pub fn decode(payload: &Bytes) -> Result<CreateCollectionBody, BodyError> {
        let request =
            CreateCollectionRequest::decode(payload.clone()).map_err(BodyError::wire(Self::NAME))?;
        let missing = BodyError::Missing { body: Self::NAME, part: "collection_schema" };
        let wire = request.collection_schema.ok_or(missing)?;
        let schema = schema_from_wire(&wire)?;
        let mut properties = map(wire.properties);
        let level = properties.remove(CONSISTENCY_PROPERTY).and_then(|text| text.parse().ok());
        let ids = request.partition_i_ds.into_iter().map(PartitionId);
        Ok(CreateCollectionBody {
            database: DatabaseId(request.db_id),
            database_name: request.db_name,
            collection: CollectionId(request.collection_id),
            collection_name: request.collection_name,
            schema,
            properties,
            consistency: level.and_then(ConsistencyLevel::from_number).unwrap_or_default(),
            vchannels: request.virtual_channel_names.into_iter().map(VChannel::new).collect(),
            partitions: ids.zip(request.partition_names).collect(),
        })
    }
}

/// The body of DropCollection, `msg.DropCollectionRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCollectionBody {
    /// The database.
    pub database: DatabaseId,
    /// Its name.
    pub database_name: String,
    /// The collection.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
}

impl DropCollectionBody {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let request = DropCollectionRequest {
            base: base(MsgType::DropCollection),
            db_name: self.database_name.clone(),
            collection_name: self.collection_name.clone(),
            db_id: self.database.0,
            collection_id: self.collection.0,
        };
        request.encode_to_vec().into()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// It is no such body.
    pub fn decode(payload: &Bytes) -> Result<DropCollectionBody, BodyError> {
        let request = DropCollectionRequest::decode(payload.clone())
            .map_err(BodyError::wire("DropCollectionRequest"))?;
        Ok(DropCollectionBody {
            database: DatabaseId(request.db_id),
            database_name: request.db_name,
            collection: CollectionId(request.collection_id),
            collection_name: request.collection_name,
        })
    }
}

/// The body of AlterCollection, `messages.AlterCollectionMessageBody`: what is `Some` changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlterCollectionBody {
    /// The new database and its name.
    pub database: Option<(DatabaseId, String)>,
    /// The new name.
    pub collection_name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new schema.
    pub schema: Option<CollectionSchema>,
    /// The new level for reads that name none.
    pub consistency: Option<ConsistencyLevel>,
    /// All properties as they are from now on.
    pub properties: Option<BTreeMap<String, String>>,
}

/// The paths of the update mask in the header.
mod mask {
    pub(super) const DATABASE: &str = "db";
    pub(super) const NAME: &str = "collection_name";
    pub(super) const DESCRIPTION: &str = "description";
    pub(super) const SCHEMA: &str = "schema";
    pub(super) const CONSISTENCY: &str = "consistency_level";
    pub(super) const PROPERTIES: &str = "properties";
}

impl AlterCollectionBody {
    const NAME: &str = "AlterCollectionMessageBody";

    /// What the header's update mask must say of this body.
    #[must_use]
    pub fn update_mask(&self) -> Vec<String> {
        let parts = [
            (mask::DATABASE, self.database.is_some()),
            (mask::NAME, self.collection_name.is_some()),
            (mask::DESCRIPTION, self.description.is_some()),
            (mask::SCHEMA, self.schema.is_some()),
            (mask::CONSISTENCY, self.consistency.is_some()),
            (mask::PROPERTIES, self.properties.is_some()),
        ];
        parts.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect()
    }

    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (database, database_name) = self.database.clone().unwrap_or_default();
        let updates = AlterCollectionMessageUpdates {
            db_id: database.0,
            db_name: database_name,
            collection_name: self.collection_name.clone().unwrap_or_default(),
            description: self.description.clone().unwrap_or_default(),
            schema: self.schema.as_ref().map(schema_to_wire),
            consistency_level: self.consistency.unwrap_or(ConsistencyLevel::Strong).number(),
            properties: self.properties.as_ref().map(pairs).unwrap_or_default(),
            alter_load_config: None,
        };
        AlterCollectionMessageBody { updates: Some(updates) }.encode_to_vec().into()
    }

    /// Reads a payload; the header's update mask says which of its parts hold.
    ///
    /// # Errors
    /// It is no such body, or its schema uses what is not served.
    pub fn decode(payload: &Bytes, update_mask: &[String]) -> Result<AlterCollectionBody, BodyError> {
        let body =
            AlterCollectionMessageBody::decode(payload.clone()).map_err(BodyError::wire(Self::NAME))?;
        let updates = body.updates.ok_or(BodyError::Missing { body: Self::NAME, part: "updates" })?;
        let holds = |path: &str| update_mask.iter().any(|given| given == path);
        let missing = BodyError::Missing { body: Self::NAME, part: "schema" };
        let schema = match updates.schema {
            Some(schema) if holds(mask::SCHEMA) => Some(schema_from_wire(&schema)?),
            None if holds(mask::SCHEMA) => return Err(missing),
            _not_changed => None,
        };
        let level = ConsistencyLevel::from_number(updates.consistency_level);
        Ok(AlterCollectionBody {
            database: holds(mask::DATABASE).then_some((DatabaseId(updates.db_id), updates.db_name)),
            collection_name: holds(mask::NAME).then_some(updates.collection_name),
            description: holds(mask::DESCRIPTION).then_some(updates.description),
            schema,
            consistency: level.filter(|_| holds(mask::CONSISTENCY)),
            properties: holds(mask::PROPERTIES).then(|| map(updates.properties)),
        })
    }
}
