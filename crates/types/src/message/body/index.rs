//! The body of messages about indexes.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use crate::convert::schema::{map, pairs};
use crate::proto::messages::{AlterIndexMessageBody, CreateIndexMessageBody, FieldIndex, IndexInfo};
use crate::{CollectionId, FieldId, IndexId, Tick};

/// One index, in the body of CreateIndex (one) and AlterIndex (several).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexBody {
    /// Its collection.
    pub collection: CollectionId,
    /// Its field.
    pub field: FieldId,
    /// Its id.
    pub index: IndexId,
    /// Its name.
    pub name: String,
    /// The type parameters of its field.
    pub type_params: BTreeMap<String, String>,
    /// What is built.
    pub params: BTreeMap<String, String>,
    /// What the user asked for: echoed by describe.
    pub user_params: BTreeMap<String, String>,
    /// Whether the type was left to the server.
    pub auto: bool,
    /// When it was created.
    pub created: Tick,
}

impl IndexBody {
    /// The payload of CreateIndex.
    #[must_use]
    pub fn encode_create(&self) -> Bytes {
        CreateIndexMessageBody { field_index: Some(self.wire()) }.encode_to_vec().into()
    }

    /// The payload of AlterIndex.
    #[must_use]
    pub fn encode_alter(indexes: &[IndexBody]) -> Bytes {
        let field_indexes = indexes.iter().map(IndexBody::wire).collect();
        AlterIndexMessageBody { field_indexes }.encode_to_vec().into()
    }

    /// Reads the payload of CreateIndex.
    ///
    /// # Errors
    /// It is no such body.
    pub fn decode_create(payload: &Bytes) -> Result<IndexBody, BodyError> {
        const NAME: &str = "CreateIndexMessageBody";
        let body = CreateIndexMessageBody::decode(payload.clone()).map_err(BodyError::wire(NAME))?;
        let wire = body.field_index.ok_or(BodyError::Missing { body: NAME, part: "field_index" })?;
        IndexBody::from_wire(wire, NAME)
    }

    /// Reads the payload of AlterIndex.
    ///
    /// # Errors
    /// It is no such body.
    pub fn decode_alter(payload: &Bytes) -> Result<Vec<IndexBody>, BodyError> {
        const NAME: &str = "AlterIndexMessageBody";
        let body = AlterIndexMessageBody::decode(payload.clone()).map_err(BodyError::wire(NAME))?;
        body.field_indexes.into_iter().map(|wire| IndexBody::from_wire(wire, NAME)).collect()
    }

    fn wire(&self) -> FieldIndex {
        let info = IndexInfo {
            collection_id: self.collection.0,
            field_id: self.field.0,
            index_name: self.name.clone(),
            index_id: self.index.0,
            type_params: pairs(&self.type_params),
            index_params: pairs(&self.params),
            is_auto_index: self.auto,
            user_index_params: pairs(&self.user_params),
            ..Default::default()
        };
        FieldIndex { index_info: Some(info), create_time: self.created.0, ..Default::default() }
    }

    fn from_wire(wire: FieldIndex, body: &'static str) -> Result<IndexBody, BodyError> {
        let info = wire.index_info.ok_or(BodyError::Missing { body, part: "index_info" })?;
        Ok(IndexBody {
            collection: CollectionId(info.collection_id),
            field: FieldId(info.field_id),
            index: IndexId(info.index_id),
            name: info.index_name,
            type_params: map(info.type_params),
            params: map(info.index_params),
            user_params: map(info.user_index_params),
            auto: info.is_auto_index,
            created: Tick(wire.create_time),
        })
    }
}
