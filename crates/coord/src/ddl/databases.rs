//! Databases.

use std::collections::BTreeMap;

use cinclus_catalog::DatabaseEntry;
use cinclus_rpc::DdlError;
use cinclus_types::message::Header;
use cinclus_types::message::body::DatabaseBody;
use cinclus_types::{DatabaseId, Tick};

use super::planner::edit_properties;
use super::{CatalogEdit, Plan, Planner};

/// The property that bounds the collections of a database.
const MAX_COLLECTIONS: &str = "database.max.collections";
/// The database that always exists.
const DEFAULT_DATABASE: &str = "default";

impl Planner<'_> {
    pub(super) fn create_database(
        &mut self,
        name: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Plan, DdlError> {
        if self.view.database(name).is_some() {
            return Err(DdlError::DatabaseExists(name.to_owned()));
        }
        let count = self.view.databases().count();
        if count >= self.config.databases_max {
            let text = format!(
                "database number ({count}) exceeds max configuration ({})",
                self.config.databases_max
            );
            return Err(DdlError::LimitExceeded(text));
        }
        let id = DatabaseId(self.next_id());
        let (name, properties) = (name.to_owned(), properties.clone());
        let header = Header::CreateDatabase { name: name.clone(), database: id };
        let body = DatabaseBody { properties: properties.clone() }.encode();
        let entry = DatabaseEntry { id, name, properties, created: Tick::ZERO };
        let edit = CatalogEdit { put_databases: vec![entry], ..CatalogEdit::default() };
        Ok(self.in_control(header, body, edit))
    }

    /// Refuses one more collection than the database may have.
    pub(super) fn fits_database(&self, database: &DatabaseEntry) -> Result<(), DdlError> {
        let Some(text) = database.properties.get(MAX_COLLECTIONS).filter(|text| !text.is_empty()) else {
            return Ok(());
        };
        let max: usize = text.trim().parse().map_err(|_| {
            DdlError::Invalid(format!("parse value of property fail, key:{MAX_COLLECTIONS}, value:{text}"))
        })?;
        if self.view.collections(database.id).count() < max {
            return Ok(());
        }
        let name = &database.name;
        Err(DdlError::LimitExceeded(format!(
            "exceeded the limit number of collections[dbName={name}][limit={max}]"
        )))
    }

    pub(super) fn drop_database(&mut self, name: &str) -> Result<Plan, DdlError> {
        if name.is_empty() || name == DEFAULT_DATABASE {
            return Err(DdlError::Invalid("can not drop default database".to_owned()));
        }
        let entry = self.database(name)?;
        if self.view.collections(entry.id).next().is_some() {
            return Err(DdlError::DatabaseNotEmpty(name.to_owned()));
        }
        let header = Header::DropDatabase { name: name.to_owned(), database: entry.id };
        let edit = CatalogEdit { delete_databases: vec![entry.id], ..CatalogEdit::default() };
        Ok(self.in_control(header, bytes::Bytes::new(), edit))
    }

    pub(super) fn alter_database(
        &mut self,
        name: &str,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<Plan, DdlError> {
        let mut changed = DatabaseEntry::clone(self.database(name)?);
        edit_properties(&mut changed.properties, set, remove);
        let header = Header::AlterDatabase { name: changed.name.clone(), database: changed.id };
        let body = DatabaseBody { properties: changed.properties.clone() }.encode();
        let edit = CatalogEdit { put_databases: vec![changed], ..CatalogEdit::default() };
        Ok(self.in_control(header, body, edit))
    }
}
