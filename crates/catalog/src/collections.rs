//! Databases, collections, aliases: read from a snapshot, changed by the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cinclus_env::Env;
use cinclus_meta::{Change, CommitOutcome, Condition, DynMetaStore, Entry, MetaError, Revision, Txn, Write};
use cinclus_types::{CollectionId, DatabaseId, Tick, VChannel};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::keys::{self, CollectionsKey};
use crate::mirror::{Image, Mirror, parts};
use crate::{AliasEntry, CatalogError, CollectionEntry, DatabaseEntry};

/// The database that always exists.
const DEFAULT_DATABASE: &str = "default";
const DEFAULT_DATABASE_ID: DatabaseId = DatabaseId(1);
/// How often a change is sent whose answers get lost.
const ATTEMPTS: usize = 3;

/// Everything at one revision.
#[derive(Clone, Debug, Default)]
pub struct CollectionsView {
    databases: BTreeMap<DatabaseId, Arc<DatabaseEntry>>,
    database_names: BTreeMap<String, DatabaseId>,
    collections: BTreeMap<CollectionId, Arc<CollectionEntry>>,
    names: BTreeMap<(DatabaseId, String), CollectionId>,
    aliases: BTreeMap<(DatabaseId, String), AliasEntry>,
    vchannels: FxHashMap<VChannel, CollectionId>,
    revisions: BTreeMap<String, Revision>,
}

impl CollectionsView {
    /// The database of that name; an empty name means `default`.
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Arc<DatabaseEntry>> {
        let name = if name.is_empty() { DEFAULT_DATABASE } else { name };
        self.databases.get(self.database_names.get(name)?)
    }

    /// The database of that id.
    #[must_use]
    pub fn database_by_id(&self, id: DatabaseId) -> Option<&Arc<DatabaseEntry>> {
        self.databases.get(&id)
    }

    /// All databases.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<DatabaseEntry>> {
        self.databases.values()
    }

    /// The collection of that id.
    #[must_use]
    pub fn collection(&self, id: CollectionId) -> Option<&Arc<CollectionEntry>> {
        self.collections.get(&id)
    }

    /// The collection of that name or alias.
    #[must_use]
    pub fn resolve(&self, database: DatabaseId, name: &str) -> Option<&Arc<CollectionEntry>> {
        self.by_name(database, name)
            .or_else(|| self.alias(database, name).and_then(|alias| self.collections.get(&alias.collection)))
    }

    /// The collection of that name; an alias does not count.
    #[must_use]
    pub fn by_name(&self, database: DatabaseId, name: &str) -> Option<&Arc<CollectionEntry>> {
        self.collections.get(self.names.get(&(database, name.to_owned()))?)
    }

    /// The collections of a database.
    pub fn collections(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<CollectionEntry>> {
        self.collections.values().filter(move |collection| collection.database == database)
    }

    /// The collections of all databases.
    pub fn all_collections(&self) -> impl Iterator<Item = &Arc<CollectionEntry>> {
        self.collections.values()
    }

    /// The collection that a VChannel is a shard of.
    #[must_use]
    pub fn by_vchannel(&self, vchannel: &VChannel) -> Option<&Arc<CollectionEntry>> {
        self.collections.get(self.vchannels.get(vchannel)?)
    }

    /// The alias of that name.
    #[must_use]
    pub fn alias(&self, database: DatabaseId, name: &str) -> Option<&AliasEntry> {
        self.aliases.get(&(database, name.to_owned()))
    }

    /// The aliases of a collection.
    #[must_use]
    pub fn aliases_of(&self, collection: CollectionId) -> Vec<&str> {
        self.aliases.values().filter(|a| a.collection == collection).map(|a| a.name.as_str()).collect()
    }

    /// The aliases of a database.
    pub fn aliases(&self, database: DatabaseId) -> impl Iterator<Item = &AliasEntry> {
        self.aliases.values().filter(move |alias| alias.database == database)
    }

    fn apply(&mut self, key: &str, entry: Option<&Entry>) -> Result<(), CatalogError> {
        let Some(parsed) = CollectionsKey::parse(key) else {
            return Err(CatalogError::Corrupt { key: key.to_owned(), reason: "an unknown key".to_owned() });
        };
        match entry {
            Some(entry) => drop(self.revisions.insert(key.to_owned(), entry.modified)),
            None => drop(self.revisions.remove(key)),
        }
        match parsed {
            CollectionsKey::Database(id) => {
                if let Some(old) = self.databases.remove(&id) {
                    unname(&mut self.database_names, &old.name, id);
                }
                if let Some(entry) = entry {
                    let database: DatabaseEntry = keys::decode(key, &entry.value)?;
                    self.database_names.insert(database.name.clone(), id);
                    self.databases.insert(id, Arc::new(database));
                }
            }
            CollectionsKey::Collection(id) => {
                self.forget_collection(id);
                if let Some(entry) = entry {
                    self.remember_collection(keys::decode(key, &entry.value)?);
                }
            }
            CollectionsKey::Alias(database, name) => {
                self.aliases.remove(&(database, name.clone()));
                if let Some(entry) = entry {
                    self.aliases.insert((database, name), keys::decode(key, &entry.value)?);
                }
            }
        }
        Ok(())
    }

    fn forget_collection(&mut self, id: CollectionId) {
        if let Some(old) = self.collections.remove(&id) {
            unname(&mut self.names, &(old.database, old.name.clone()), id);
            for vchannel in &old.vchannels {
                self.vchannels.remove(vchannel);
            }
        }
    }

    fn remember_collection(&mut self, collection: CollectionEntry) {
        let id = collection.id;
        self.names.insert((collection.database, collection.name.clone()), id);
        self.vchannels.extend(collection.vchannels.iter().map(|vchannel| (vchannel.clone(), id)));
        self.collections.insert(id, Arc::new(collection));
    }
}

/// Takes a name away, unless an entry earlier in the same commit has it now.
fn unname<K: Ord, V: PartialEq>(names: &mut BTreeMap<K, V>, name: &K, owner: V) {
    if names.get(name) == Some(&owner) {
        names.remove(name);
    }
}

#[derive(Default)]
struct CollectionsImage(ArcSwap<CollectionsView>);

impl Image for CollectionsImage {
    fn change(&self, changes: &[Change]) -> Result<(), CatalogError> {
        let mut view = CollectionsView::clone(&self.0.load());
        for change in changes {
            let (key, entry) = parts(change);
            view.apply(key, entry)?;
        }
        self.0.store(Arc::new(view));
        Ok(())
    }

    fn replace(&self, entries: &[Entry]) -> Result<(), CatalogError> {
        let mut view = CollectionsView::default();
        for entry in entries {
            view.apply(&entry.key, Some(entry))?;
        }
        self.0.store(Arc::new(view));
        Ok(())
    }
}

/// Entries to put and to delete in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogChange {
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
    /// Writes of the caller's own that belong to the same transaction.
    pub extra: Vec<Write>,
    /// What must hold beside: conditions of the caller's own.
    pub requires: Vec<Condition>,
}

impl CatalogChange {
    fn puts(&self) -> Vec<(String, bytes::Bytes)> {
        let collections = self.put_collections.iter().map(|e| (keys::collection(e.id), keys::encode(e)));
        let databases = self.put_databases.iter().map(|e| (keys::database(e.id), keys::encode(e)));
        let aliases = self.put_aliases.iter().map(|e| (keys::alias(e.database, &e.name), keys::encode(e)));
        collections.chain(databases).chain(aliases).collect()
    }

    fn deletes(&self) -> Vec<String> {
        let collections = self.delete_collections.iter().map(|id| keys::collection(*id));
        let databases = self.delete_databases.iter().map(|id| keys::database(*id));
        let aliases = self.delete_aliases.iter().map(|(database, name)| keys::alias(*database, name));
        collections.chain(databases).chain(aliases).collect()
    }

    /// That each entry to put or delete is still the one that `view` shows.
    #[must_use]
    pub fn unchanged_since(&self, view: &CollectionsView) -> Vec<Condition> {
        let keys = self.puts().into_iter().map(|(key, _)| key).chain(self.deletes());
        let unchanged = |key: String| match view.revisions.get(&key) {
            Some(revision) => Condition::ModifiedAt(key, *revision),
            None => Condition::Absent(key),
        };
        keys.map(unchanged).collect()
    }

    fn txn(&self, view: &CollectionsView) -> Txn {
        let mut txn = Txn { conditions: self.unchanged_since(view), writes: Vec::new() };
        for (key, value) in self.puts() {
            txn = txn.put(key, value);
        }
        for key in self.deletes() {
            txn = txn.delete(key);
        }
        txn.writes.extend(self.extra.iter().cloned());
        txn.conditions.extend(self.requires.iter().cloned());
        txn
    }

    /// Whether a commit under the conditions of `view` changes any entry, so that watches are told of it.
    fn is_told(&self, view: &CollectionsView) -> bool {
        !self.puts().is_empty() || self.deletes().iter().any(|key| view.revisions.contains_key(key))
    }

    /// Whether a view shows the change.
    fn is_in(&self, view: &CollectionsView) -> bool {
        self.put_collections.iter().all(|e| view.collection(e.id).is_some_and(|seen| **seen == *e))
            && self.put_databases.iter().all(|e| view.database_by_id(e.id).is_some_and(|seen| **seen == *e))
            && self.put_aliases.iter().all(|e| view.alias(e.database, &e.name) == Some(e))
            && self.deletes().iter().all(|key| !view.revisions.contains_key(key))
    }
}

/// Databases, collections and aliases. Cheap to clone.
#[derive(Clone)]
pub struct Collections {
    meta: DynMetaStore,
    mirror: Arc<Mirror<CollectionsImage>>,
}

impl Collections {
    /// Reads what is there, makes the database `default` if it is missing, and follows changes.
    ///
    /// # Errors
    /// If the store does not answer or an entry cannot be read.
    pub async fn open(meta: DynMetaStore, env: &Env) -> Result<Collections, CatalogError> {
        let mirror = Mirror::open(meta.clone(), keys::COLLECTIONS, CollectionsImage::default(), env).await?;
        let collections = Collections { meta, mirror };
        if collections.view().database(DEFAULT_DATABASE).is_none() {
            let name = DEFAULT_DATABASE.to_owned();
            let created = Tick::from_unix_ms(env.clock.unix_ms());
            let entry = DatabaseEntry { id: DEFAULT_DATABASE_ID, name, properties: BTreeMap::new(), created };
            let change = CatalogChange { put_databases: vec![entry], ..CatalogChange::default() };
            match collections.update(change).await {
                // Another process was faster.
                Ok(()) | Err(CatalogError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(collections)
    }

    /// What is known at this moment.
    #[must_use]
    pub fn view(&self) -> Arc<CollectionsView> {
        self.mirror.image.0.load_full()
    }

    /// Told of each change of the view.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.mirror.revisions()
    }

    /// Makes a change; the view shows it when this returns. A change whose answer was lost is looked up.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] if an entry is not the one that [`view`](Self::view) shows: nothing
    /// happened, and the view is fresh. Otherwise what the store says.
    pub async fn update(&self, change: CatalogChange) -> Result<(), CatalogError> {
        let view = self.view();
        // Made once: sent again after a lost answer it never overwrites what others did in between.
        let (txn, told) = (change.txn(&view), change.is_told(&view));
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.meta.commit(txn.clone()).await {
                Ok(CommitOutcome::Committed(revision)) => {
                    if told {
                        self.mirror.wait_for(revision).await;
                    }
                    return Ok(());
                }
                Ok(CommitOutcome::Conflict(_)) => {
                    return match self.holds(&change).await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(CatalogError::Conflict("entries were changed".to_owned())),
                        Err(error) => Err(still_unknown(error, lost)),
                    };
                }
                Err(MetaError::Unknown(reason)) => {
                    lost = Some(reason);
                    if self.holds(&change).await.map_err(|error| still_unknown(error, lost.clone()))? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(still_unknown(error.into(), lost)),
            }
        }
        Err(MetaError::Unknown(lost.unwrap_or_default()).into())
    }

    /// Reads everything again, and says whether all of a change is there.
    async fn holds(&self, change: &CatalogChange) -> Result<bool, CatalogError> {
        self.mirror.refresh().await?;
        if !change.is_in(&self.view()) {
            return Ok(false);
        }
        for write in &change.extra {
            let holds = match write {
                Write::Put { key, value, .. } => {
                    self.meta.get(key).await?.is_some_and(|entry| entry.value == *value)
                }
                Write::Delete(key) => self.meta.get(key).await?.is_none(),
                Write::DeletePrefix(prefix) => self.meta.scan(prefix).await?.1.is_empty(),
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// An error behind a lost answer: the change may still have happened.
fn still_unknown(error: CatalogError, lost: Option<String>) -> CatalogError {
    match lost {
        Some(reason) => MetaError::Unknown(format!("{reason}; then {error}")).into(),
        None => error,
    }
}
