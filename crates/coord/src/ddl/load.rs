//! Load states: which collections and partitions are searched.

use bytes::Bytes;
use cinclus_catalog::{CollectionEntry, LoadState};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::PartitionId;
use cinclus_types::message::Header;

use super::{CatalogEdit, Plan, Planner};

impl Planner<'_> {
    pub(super) fn load(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::Load { database, collection, partitions, replicas, fields } = ddl else {
            return Err(DdlError::Invalid("not a load".to_owned()));
        };
        let (database, entry) = self.collection(database, collection)?;
        let bare = entry.schema().vector_fields().filter(|field| entry.index_of(field.id).is_none());
        let bare: Vec<&str> = bare.map(|field| field.name.as_str()).collect();
        if !bare.is_empty() {
            let (collection, fields) = (entry.name.clone(), bare.join(" "));
            return Err(DdlError::NoVectorIndex { collection, fields });
        }
        if *replicas > self.config.replicas_max {
            return Err(DdlError::TooFewNodes { nodes: self.config.replicas_max, replicas: *replicas });
        }
        if partitions.as_ref().is_some_and(Vec::is_empty) {
            return Err(DdlError::NothingToLoad);
        }
        let asked = partitions.as_deref().map(|names| partition_ids(entry, names)).transpose()?;
        let mut load_fields = Vec::with_capacity(fields.len());
        for name in fields {
            let field = entry.schema().field(name).ok_or_else(|| DdlError::FieldNotFound(name.clone()))?;
            load_fields.push(field.id);
        }
        let partitions = match (&entry.load, asked) {
            (LoadState::Loaded { partitions: None, .. }, _) | (_, None) => None,
            (LoadState::Loaded { partitions: Some(loaded), .. }, Some(mut asked)) => {
                asked.extend(loaded.iter().copied());
                asked.sort_unstable();
                asked.dedup();
                Some(asked)
            }
            (LoadState::Released, Some(mut asked)) => {
                asked.sort_unstable();
                asked.dedup();
                Some(asked)
            }
        };
        let load = LoadState::Loaded { partitions, fields: load_fields, replicas: (*replicas).max(1) };
        if entry.load == load {
            return Ok(Plan::default());
        }
        Ok(self.loaded(database.id, CollectionEntry { load, ..CollectionEntry::clone(entry) }))
    }

    pub(super) fn release(
        &mut self,
        database: &str,
        collection: &str,
        partitions: Option<&[String]>,
    ) -> Result<Plan, DdlError> {
        let (database, entry) = self.collection(database, collection)?;
        if partitions.is_some_and(<[String]>::is_empty) {
            return Err(DdlError::NothingToRelease);
        }
        let released = partitions.map(|names| partition_ids(entry, names)).transpose()?;
        let LoadState::Loaded { partitions: loaded, fields, replicas } = &entry.load else {
            return Ok(Plan::default());
        };
        let load = match released {
            None => LoadState::Released,
            Some(released) => {
                let all = || entry.partitions.iter().map(|partition| partition.id).collect();
                let mut left: Vec<PartitionId> = loaded.clone().unwrap_or_else(all);
                left.retain(|id| !released.contains(id));
                if left.is_empty() {
                    LoadState::Released
                } else {
                    LoadState::Loaded { partitions: Some(left), fields: fields.clone(), replicas: *replicas }
                }
            }
        };
        if entry.load == load {
            return Ok(Plan::default());
        }
        Ok(self.loaded(database.id, CollectionEntry { load, ..CollectionEntry::clone(entry) }))
    }

    fn loaded(&self, database: cinclus_types::DatabaseId, changed: CollectionEntry) -> Plan {
        let header = match &changed.load {
            LoadState::Released => Header::DropLoadConfig { database, collection: changed.id },
            LoadState::Loaded { partitions, fields, replicas } => Header::AlterLoadConfig {
                database,
                collection: changed.id,
                partitions: partitions
                    .clone()
                    .unwrap_or_else(|| changed.partitions.iter().map(|partition| partition.id).collect()),
                load_fields: fields.clone(),
                replicas: *replicas as i32,
            },
        };
        self.in_control(header, Bytes::new(), CatalogEdit::collection(changed))
    }
}

fn partition_ids(entry: &CollectionEntry, names: &[String]) -> Result<Vec<PartitionId>, DdlError> {
    let id = |name: &String| {
        let partition = entry.partition(name);
        partition.map(|found| found.id).ok_or_else(|| DdlError::PartitionNotFound(name.clone()))
    };
    names.iter().map(id).collect()
}
