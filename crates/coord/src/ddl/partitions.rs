//! Partitions: create and drop.

use cinclus_catalog::{CollectionEntry, PartitionEntry};
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
        self.partitions_fit(&entry.name, entry.partitions.len() + 1)?;
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
        let mut changed = CollectionEntry::clone(entry);
        changed.partitions.push(PartitionEntry { id, name: partition.to_owned(), created: Tick::ZERO });
        let edit = CatalogEdit::collection(changed);
        Ok(self.in_all(&entry.vchannels, header, body.encode_create(), edit))
    }

    /// Whether a collection may have so many partitions.
    pub(super) fn partitions_fit(&self, collection: &str, count: usize) -> Result<(), DdlError> {
        let max = self.config.partitions_max;
        if count <= max {
            return Ok(());
        }
        let text =
            format!("partition number ({count}) exceeds max configuration ({max}), collection: {collection}");
        Err(DdlError::LimitExceeded(text))
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
        let mut changed = CollectionEntry::clone(entry);
        changed.partitions.retain(|known| known.id != found.id);
        let edit = CatalogEdit::collection(changed);
        Ok(self.in_all(&entry.vchannels, header, body.encode_drop(), edit))
    }
}
