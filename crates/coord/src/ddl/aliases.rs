//! Aliases.

use bytes::Bytes;
use cinclus_catalog::AliasEntry;
use cinclus_rpc::DdlError;
use cinclus_types::message::Header;

use super::{CatalogEdit, Plan, Planner};

impl Planner<'_> {
    pub(super) fn put_alias(
        &mut self,
        database: &str,
        alias: &str,
        collection: &str,
        alter: bool,
    ) -> Result<Plan, DdlError> {
        let database = self.database(database)?;
        if self.view.by_name(database.id, alias).is_some() {
            return Err(DdlError::AliasConflict { database: database.name.clone(), alias: alias.to_owned() });
        }
        let target =
            self.view.by_name(database.id, collection).ok_or_else(|| DdlError::CollectionNotFound {
                database: database.name.clone(),
                collection: collection.to_owned(),
            })?;
        match self.view.alias(database.id, alias) {
            Some(existing) if existing.collection == target.id => return Ok(Plan::default()),
            Some(existing) if !alter => {
                let named = self.view.collection(existing.collection);
                return Err(DdlError::AliasExists {
                    database: database.name.clone(),
                    alias: alias.to_owned(),
                    collection: named.map(|entry| entry.name.clone()).unwrap_or_default(),
                });
            }
            None if alter => {
                let (database, alias) = (database.name.clone(), alias.to_owned());
                return Err(DdlError::AliasNotFound { database, alias });
            }
            Some(_) | None => {}
        }
        let header = Header::AlterAlias {
            database: database.id,
            database_name: database.name.clone(),
            collection: target.id,
            collection_name: target.name.clone(),
            alias: alias.to_owned(),
        };
        let entry = AliasEntry { name: alias.to_owned(), database: database.id, collection: target.id };
        let edit = CatalogEdit { put_aliases: vec![entry], ..CatalogEdit::default() };
        Ok(self.in_control(header, Bytes::new(), edit))
    }

    pub(super) fn drop_alias(&mut self, database: &str, alias: &str) -> Result<Plan, DdlError> {
        let database = self.database(database)?;
        if self.view.alias(database.id, alias).is_none() {
            return Ok(Plan::default());
        }
        let header = Header::DropAlias {
            database: database.id,
            database_name: database.name.clone(),
            alias: alias.to_owned(),
        };
        let edit =
            CatalogEdit { delete_aliases: vec![(database.id, alias.to_owned())], ..CatalogEdit::default() };
        Ok(self.in_control(header, Bytes::new(), edit))
    }
}
