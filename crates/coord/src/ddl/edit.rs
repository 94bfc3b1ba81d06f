//! What a change does to the catalog once it is in the logs.

use cinclus_catalog::{AliasEntry, CatalogChange, CollectionEntry, DatabaseEntry};
use cinclus_types::{CollectionId, DatabaseId, Tick};
use serde::{Deserialize, Serialize};

/// Entries to put and to delete. Ticks that are zero in a put entry become the tick of the change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CatalogEdit {
    /// Collections to create or replace.
    pub put_collections: Vec<CollectionEntry>,
    /// Collections to delete.
    pub delete_collections: Vec<CollectionId>,
    /// Databases to create or replace.
    pub put_databases: Vec<DatabaseEntry>,
    /// Databases to delete.
    pub delete_databases: Vec<DatabaseId>,
    /// Aliases to create or replace.
    pub put_aliases: Vec<AliasEntry>,
    /// Aliases to delete.
    pub delete_aliases: Vec<(DatabaseId, String)>,
}

impl CatalogEdit {
    /// An edit that replaces one collection.
    #[must_use]
    pub fn collection(entry: CollectionEntry) -> CatalogEdit {
        CatalogEdit { put_collections: vec![entry], ..CatalogEdit::default() }
    }

    /// The edit as a transaction of the catalog.
    #[must_use]
    pub fn into_change(self) -> CatalogChange {
        CatalogChange {
            put_collections: self.put_collections,
            delete_collections: self.delete_collections,
            put_databases: self.put_databases,
            delete_databases: self.delete_databases,
            put_aliases: self.put_aliases,
            delete_aliases: self.delete_aliases,
            ..CatalogChange::default()
        }
    }

    /// The edit with the tick of the change in every place that waits for it.
    #[must_use]
    pub fn at(mut self, tick: Tick) -> CatalogEdit {
        let fill = |slot: &mut Tick| {
            if *slot == Tick::ZERO {
                *slot = tick;
            }
        };
        for collection in &mut self.put_collections {
            fill(&mut collection.created);
            collection.updated = tick;
            collection.schemas.iter_mut().for_each(|version| fill(&mut version.from));
            collection.partitions.iter_mut().for_each(|partition| fill(&mut partition.created));
            collection.indexes.iter_mut().for_each(|index| fill(&mut index.created));
        }
        self.put_databases.iter_mut().for_each(|database| fill(&mut database.created));
        self
    }
}
