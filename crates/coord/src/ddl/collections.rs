//! Collections: create, drop, rename, alter, flush.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_catalog::{CollectionEntry, LoadState, PartitionEntry, SchemaVersion};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::message::Header;
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody, DropCollectionBody};
use cinclus_types::{CollectionId, CollectionSchema, PChannel, PartitionId, Tick, VChannel};

use super::planner::edit_properties;
use super::{CatalogEdit, Plan, PlannedMessage, Planner};

/// The part of a collection's description that makes two creations "the same".
fn same(entry: &CollectionEntry, schema: &CollectionSchema, shards: u32) -> bool {
    let existing = entry.schema();
    existing.fields == schema.fields
        && existing.dynamic == schema.dynamic
        && entry.vchannels.len() == shards as usize
}

impl Planner<'_> {
    pub(super) fn create_collection(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::CreateCollection { database, name, schema, shards, partitions, consistency, properties } =
            ddl
        else {
            return Err(DdlError::Invalid("not a creation of a collection".to_owned()));
        };
        let database = self.database(database)?;
        let shards = (*shards).max(1);
        if shards > self.config.shards_max {
            let max = self.config.shards_max;
            return Err(DdlError::Invalid(format!("maximum shards's number should be limited to {max}")));
        }
        if let Some(existing) = self.view.by_name(database.id, name) {
            if same(existing, schema, shards) {
                return Ok(Plan::default());
            }
            return Err(DdlError::CollectionExists(name.clone()));
        }
        if self.view.alias(database.id, name).is_some() {
            return Err(DdlError::CollectionNamedAsAlias(name.clone()));
        }
        if self.view.all_collections().count() >= self.config.collections_max {
            let max = self.config.collections_max;
            return Err(DdlError::LimitExceeded(format!(
                "exceeded the limit number of collections[limit={max}]"
            )));
        }
        self.fits_database(database)?;
        self.partitions_fit(name, partitions.len())?;
        let id = CollectionId(self.next_id());
        let partitions: Vec<PartitionEntry> = partitions
            .iter()
            .map(|name| PartitionEntry {
                id: PartitionId(self.next_id()),
                name: name.clone(),
                created: Tick::ZERO,
            })
            .collect();
        let vchannels = self.spread(id, shards);
        let entry = CollectionEntry {
            id,
            database: database.id,
            name: name.clone(),
            schemas: vec![SchemaVersion { from: Tick::ZERO, schema: Arc::new(schema.clone()) }],
            partitions,
            vchannels: vchannels.clone(),
            consistency: *consistency,
            properties: properties.clone(),
            indexes: Vec::new(),
            load: LoadState::Released,
            created: Tick::ZERO,
            updated: Tick::ZERO,
        };
        let header = Header::CreateCollection {
            collection: id,
            partitions: entry.partitions.iter().map(|partition| partition.id).collect(),
            database: database.id,
        };
        let body = CreateCollectionBody {
            database_name: database.name.clone(),
            collection_name: name.clone(),
            database: database.id,
            collection: id,
            partitions: entry.partitions.iter().map(|p| (p.id, p.name.clone())).collect(),
            vchannels,
            schema: schema.clone(),
            properties: properties.clone(),
            consistency: *consistency,
        };
        let shards = entry.vchannels.clone();
        Ok(self.in_all(&shards, header, body.encode(), CatalogEdit::collection(entry)))
    }

    /// VChannels in the logs that hold the fewest.
    fn spread(&self, collection: CollectionId, shards: u32) -> Vec<VChannel> {
        let mut load: BTreeMap<&PChannel, usize> =
            self.channels.iter().map(|(channel, on_their_way)| (channel, *on_their_way)).collect();
        for entry in self.view.all_collections() {
            for vchannel in &entry.vchannels {
                if let Some(count) = load.get_mut(&vchannel.pchannel()) {
                    *count += 1;
                }
            }
        }
        let mut by_load: Vec<(usize, &PChannel)> =
            load.into_iter().map(|(channel, count)| (count, channel)).collect();
        by_load.sort_unstable();
        (0..shards)
            .zip(by_load.iter().cycle())
            .map(|(shard, (_, log))| log.shard(collection, shard))
            .collect()
    }

    pub(super) fn drop_collection(&mut self, database: &str, name: &str) -> Result<Plan, DdlError> {
        let database = self.database(database)?;
        if self.view.alias(database.id, name).is_some() {
            return Err(DdlError::IsAlias(format!("cannot drop the collection via alias = {name}")));
        }
        let Some(entry) = self.view.by_name(database.id, name) else { return Ok(Plan::default()) };
        let header = Header::DropCollection { collection: entry.id, database: database.id };
        let body = DropCollectionBody {
            database_name: database.name.clone(),
            collection_name: name.to_owned(),
            database: database.id,
            collection: entry.id,
        };
        let aliases = self.view.aliases_of(entry.id);
        let edit = CatalogEdit {
            delete_collections: vec![entry.id],
            delete_aliases: aliases.iter().map(|alias| (database.id, (*alias).to_owned())).collect(),
            ..CatalogEdit::default()
        };
        Ok(self.in_all(&entry.vchannels, header, body.encode(), edit))
    }

    pub(super) fn rename_collection(
        &mut self,
        (database, name): (&str, &str),
        (new_database, new_name): (&str, &str),
    ) -> Result<Plan, DdlError> {
        let from = self.database(database)?;
        let to = if new_database.is_empty() { from } else { self.database(new_database)? };
        if self.view.alias(from.id, name).is_some() {
            let text = format!("unsupported use an alias to rename collection, alias:{name}");
            return Err(DdlError::IsAlias(text));
        }
        let (_, entry) = self.collection(database, name)?;
        if from.id == to.id && name == new_name {
            let text = format!(
                "collection name or database name should be different, database: {}, collection: {name}",
                from.name
            );
            return Err(DdlError::Invalid(text));
        }
        if self.view.alias(to.id, new_name).is_some() {
            return Err(DdlError::RenamedToAlias(new_name.to_owned()));
        }
        if self.view.resolve(to.id, new_name).is_some() {
            return Err(DdlError::NameTaken { database: to.name.clone(), name: new_name.to_owned() });
        }
        if from.id != to.id && !self.view.aliases_of(entry.id).is_empty() {
            let text = "fail to rename db name, must drop all aliases of this collection before rename";
            return Err(DdlError::Invalid(text.to_owned()));
        }
        let mut changed = CollectionEntry::clone(entry);
        (changed.database, changed.name) = (to.id, new_name.to_owned());
        let body = AlterCollectionBody {
            database: Some((to.id, to.name.clone())),
            collection_name: Some(new_name.to_owned()),
            ..AlterCollectionBody::default()
        };
        Ok(self.altered(changed, &body))
    }

    pub(super) fn alter_collection(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::AlterCollection { database, name, set, remove, description, consistency } = ddl else {
            return Err(DdlError::Invalid("not a change of a collection".to_owned()));
        };
        let (_, entry) = self.collection(database, name)?;
        let mut changed = CollectionEntry::clone(entry);
        edit_properties(&mut changed.properties, set, remove);
        changed.consistency = consistency.unwrap_or(changed.consistency);
        if let Some(text) = description {
            let mut schema = CollectionSchema::clone(changed.schema());
            schema.description.clone_from(text);
            if let Some(last) = changed.schemas.last_mut() {
                last.schema = Arc::new(schema);
            }
        }
        let body = AlterCollectionBody {
            description: description.clone(),
            consistency: *consistency,
            properties: Some(changed.properties.clone()),
            ..AlterCollectionBody::default()
        };
        Ok(self.altered(changed, &body))
    }

    pub(super) fn alter_field(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::AlterField { database, name, field, set, remove } = ddl else {
            return Err(DdlError::Invalid("not a change of a field".to_owned()));
        };
        let (_, entry) = self.collection(database, name)?;
        let mut schema = CollectionSchema::clone(entry.schema());
        let found = schema.fields.iter_mut().find(|known| known.name == *field);
        let found = found.ok_or_else(|| DdlError::FieldNotFound(field.clone()))?;
        let mut set = set.clone();
        // Milvus' clients change the description of a field by this name.
        if let Some(text) = set.remove("field.description") {
            found.description = text;
        }
        edit_properties(&mut found.type_params, &set, remove);
        schema.version += 1;
        let body = AlterCollectionBody { schema: Some(schema.clone()), ..AlterCollectionBody::default() };
        let mut changed = CollectionEntry::clone(entry);
        changed.schemas.push(SchemaVersion { from: Tick::ZERO, schema: Arc::new(schema) });
        Ok(self.altered(changed, &body))
    }

    fn altered(&self, changed: CollectionEntry, body: &AlterCollectionBody) -> Plan {
        let header = Header::AlterCollection {
            database: changed.database,
            collection: changed.id,
            update_mask: body.update_mask(),
            segments: Vec::new(),
        };
        let shards = changed.vchannels.clone();
        self.in_all(&shards, header, body.encode(), CatalogEdit::collection(changed))
    }

    pub(super) fn flush(&mut self, database: &str, collection: &str) -> Result<Plan, DdlError> {
        let (_, entry) = self.collection(database, collection)?;
        let header =
            Header::ManualFlush { collection: entry.id, flush_tick: Tick::ZERO, segments: Vec::new() };
        let vchannels = entry.vchannels.clone();
        let message = PlannedMessage { vchannels, header, payload: bytes::Bytes::new() };
        Ok(Plan { message: Some(message), edit: CatalogEdit::default() })
    }
}
