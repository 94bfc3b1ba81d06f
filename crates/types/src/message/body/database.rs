//! The body of messages about databases.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use super::error::BodyError;
use crate::convert::schema::{map, pairs};
use crate::proto::messages::{AlterDatabaseMessageBody, CreateDatabaseMessageBody};

/// The body of CreateDatabase and AlterDatabase (`messages.CreateDatabaseMessageBody`,
/// `messages.AlterDatabaseMessageBody`: the same form, as far as Cinclus uses it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseBody {
    /// All properties as they are from now on.
    pub properties: BTreeMap<String, String>,
}

impl DatabaseBody {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        CreateDatabaseMessageBody { properties: pairs(&self.properties) }.encode_to_vec().into()
    }

    /// Reads a payload of either.
    ///
    /// # Errors
    /// It is no such body.
    pub fn decode(payload: &Bytes) -> Result<DatabaseBody, BodyError> {
        let body = AlterDatabaseMessageBody::decode(payload.clone())
            .map_err(BodyError::wire("CreateDatabaseMessageBody or AlterDatabaseMessageBody"))?;
        Ok(DatabaseBody { properties: map(body.properties) })
    }
}
