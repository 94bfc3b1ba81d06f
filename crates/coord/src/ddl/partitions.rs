//! Partitions: create and drop.

use cinclus_catalog::{CollectionEntry, LoadState, PartitionEntry};
use cinclus_rpc::DdlError;
use cinclus_types::message::Header;
use cinclus_types::message::body::PartitionBody;
use cinclus_types::{PartitionId, Tick};

use super::{CatalogEdit, Plan, Planner};

/// The partition that every collection has.
const DEFAULT_PARTITION: &str = "_default";

impl Planner<'_> {
    pub(super) fn create_partition(
        &mut self,
        database: &str,
        collection: &str,
        partition: &str,
    ) -> Result<Plan, DdlError> {
        let (database, entry) = self.collection(database, collection)?;
        if entry.partition(partition).is_some() {
            return Ok(Plan::default());
        }
        if entry.schema().fields.iter().any(|field| field.partition_key) {
            let text = "disable create partition if partition key mode is used";
            return Err(DdlError::Invalid(text.to_owned()));
        }
        if entry.partitions.len() >= self.config.partitions_max {
            let text = format!(
                "partition number ({}) exceeds max configuration ({}), collection: {}",
                entry.partitions.len(),
                self.config.partitions_max,
                entry.name
            );
            return Err(DdlError::LimitExceeded(text));
        }
        let id = PartitionId(self.next_id());
        let header = Header::CreatePartition { collection: entry.id, partition: id };
        let body = PartitionBody {
            database_name: database.name.clone(),
            collection_name: entry.name.clone(),
            partition_name: partition.to_owned(),
            database: database.id,
            collection: entry.id,
            partition: id,
        };
        let messages = self.to_all(&entry.vchannels, &header, &body.encode_create());
        let mut changed = CollectionEntry::clone(entry);
        changed.partitions.push(PartitionEntry { id, name: partition.to_owned(), created: Tick::ZERO });
        Ok(Plan { messages, edit: CatalogEdit::collection(changed) })
    }

    pub(super) fn drop_partition(
        &mut self,
        database: &str,
        collection: &str,
        partition: &str,
    ) -> Result<Plan, DdlError> {
        let (database, entry) = self.collection(database, collection)?;
        if partition == DEFAULT_PARTITION {
            return Err(DdlError::Invalid("default partition cannot be deleted".to_owned()));
        }
        let Some(found) = entry.partition(partition) else { return Ok(Plan::default()) };
        if entry.is_partition_loaded(found.id) {
            return Err(DdlError::PartitionLoaded(found.id));
        }
        let header = Header::DropPartition { collection: entry.id, partition: found.id };
        let body = PartitionBody {
            database_name: database.name.clone(),
            collection_name: entry.name.clone(),
            partition_name: partition.to_owned(),
            database: database.id,
            collection: entry.id,
            partition: found.id,
        };
        let messages = self.to_all(&entry.vchannels, &header, &body.encode_drop());
        let mut changed = CollectionEntry::clone(entry);
        changed.partitions.retain(|known| known.id != found.id);
        if let LoadState::Loaded { partitions: Some(loaded), .. } = &mut changed.load {
            loaded.retain(|known| *known != found.id);
        }
        Ok(Plan { messages, edit: CatalogEdit::collection(changed) })
    }
}
