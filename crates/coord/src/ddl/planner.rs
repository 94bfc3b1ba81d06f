//! What the pure functions work with and what they answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cinclus_catalog::{CollectionEntry, CollectionsView, DatabaseEntry};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::message::Header;
use cinclus_types::{PChannel, Tick, TickRange, VChannel};

use crate::CoordConfig;
use crate::ddl::CatalogEdit;

/// A message that a change puts into VChannels, the same into each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMessage {
    /// Where, each once.
    pub vchannels: Vec<VChannel>,
    /// What.
    pub header: Header,
    /// Its body.
    pub payload: Bytes,
}

/// What a change comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The message; none: there is nothing to do, and that is a success.
    pub message: Option<PlannedMessage>,
    /// What becomes visible afterwards.
    pub edit: CatalogEdit,
}

/// The state of the world that a change is judged against.
pub struct Planner<'a> {
    pub(crate) view: &'a CollectionsView,
    pub(crate) config: &'a CoordConfig,
    pub(crate) control: VChannel,
    /// The logs that take new shards, with the shards that are on their way there.
    pub(crate) channels: &'a BTreeMap<PChannel, usize>,
    ids: TickRange,
    used: u32,
}

impl<'a> Planner<'a> {
    /// A planner that takes ids from `ids`. New shards go into `channels`, of which each says how many shards
    /// are on their way there beside those that the view shows.
    #[must_use]
    pub fn new(
        view: &'a CollectionsView,
        config: &'a CoordConfig,
        control: VChannel,
        channels: &'a BTreeMap<PChannel, usize>,
        ids: TickRange,
    ) -> Planner<'a> {
        Planner { view, config, control, channels, ids, used: 0 }
    }

    /// Ids that a change needs at most.
    #[must_use]
    pub fn ids_needed(ddl: &Ddl) -> u32 {
        if let Ddl::CreateCollection { partitions, .. } = ddl { 2 + partitions.len() as u32 } else { 1 }
    }

    /// Judges a change.
    ///
    /// # Errors
    /// As [`DdlError`] tells; nothing happens then.
    pub fn plan(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        match ddl {
            Ddl::CreateCollection { .. } => self.create_collection(ddl),
            Ddl::DropCollection { database, name } => self.drop_collection(database, name),
            Ddl::RenameCollection { database, name, new_database, new_name } => {
                self.rename_collection((database, name), (new_database, new_name))
            }
            Ddl::AlterCollection { .. } => self.alter_collection(ddl),
            Ddl::AlterField { .. } => self.alter_field(ddl),
            Ddl::CreatePartition { database, collection, partition } => {
                self.create_partition(database, collection, partition)
            }
            Ddl::DropPartition { database, collection, partition } => {
                self.drop_partition(database, collection, partition)
            }
            Ddl::PutAlias { database, alias, collection, alter } => {
                self.put_alias(database, alias, collection, *alter)
            }
            Ddl::DropAlias { database, alias } => self.drop_alias(database, alias),
            Ddl::CreateDatabase { name, properties } => self.create_database(name, properties),
            Ddl::DropDatabase { name } => self.drop_database(name),
            Ddl::AlterDatabase { name, set, remove } => self.alter_database(name, set, remove),
            Ddl::CreateIndex { .. } => self.create_index(ddl),
            Ddl::AlterIndex { .. } => self.alter_index(ddl),
            Ddl::DropIndex { database, collection, name } => self.drop_index(database, collection, name),
            Ddl::Load { .. } => self.load(ddl),
            Ddl::Release { database, collection, partitions } => {
                self.release(database, collection, partitions.as_deref())
            }
            Ddl::Flush { database, collection } => self.flush(database, collection),
        }
    }

    pub(crate) fn next_id(&mut self) -> i64 {
        assert!(self.used < self.ids.count, "a change takes no more ids than it asked for");
        let id = Tick(self.ids.first.0 + u64::from(self.used));
        self.used += 1;
        id.0 as i64
    }

    pub(crate) fn database(&self, name: &str) -> Result<&'a Arc<DatabaseEntry>, DdlError> {
        self.view.database(name).ok_or_else(|| DdlError::DatabaseNotFound(name.to_owned()))
    }

    /// The collection of a name or alias.
    pub(crate) fn collection(
        &self,
        database: &str,
        name: &str,
    ) -> Result<(&'a Arc<DatabaseEntry>, &'a Arc<CollectionEntry>), DdlError> {
        let entry = self.database(database)?;
        let collection = self.view.resolve(entry.id, name).ok_or_else(|| DdlError::CollectionNotFound {
            database: entry.name.clone(),
            collection: name.to_owned(),
        })?;
        Ok((entry, collection))
    }

    /// A change whose message goes to the control channel only.
    pub(crate) fn in_control(&self, header: Header, payload: impl Into<Bytes>, edit: CatalogEdit) -> Plan {
        let message =
            PlannedMessage { vchannels: vec![self.control.clone()], header, payload: payload.into() };
        Plan { message: Some(message), edit }
    }

    /// A change whose message goes to every VChannel of a collection and, as a copy, to the control channel.
    pub(crate) fn in_all(
        &self,
        shards: &[VChannel],
        header: Header,
        payload: Bytes,
        edit: CatalogEdit,
    ) -> Plan {
        let vchannels = shards.iter().chain([&self.control]).cloned().collect();
        Plan { message: Some(PlannedMessage { vchannels, header, payload }), edit }
    }
}

/// Sets and removes properties.
pub(crate) fn edit_properties(
    properties: &mut BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
    remove: &[String],
) {
    properties.extend(set.iter().map(|(key, value)| (key.clone(), value.clone())));
    properties.retain(|key, _| !remove.contains(key));
}
