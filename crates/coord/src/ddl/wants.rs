//! The locks that a change needs.

use cinclus_catalog::CollectionsView;
use cinclus_rpc::Ddl;

use crate::locks::{Resource, Want};

/// The locks that a change needs: its database shared and its name exclusive; changes of databases, and
/// changes that make or free a name, take the database alone. An alias stands for its collection.
#[must_use]
pub fn wants(ddl: &Ddl, view: &CollectionsView) -> Vec<Want> {
    match ddl {
        Ddl::CreateCollection { database, .. }
        | Ddl::DropCollection { database, .. }
        | Ddl::PutAlias { database, .. }
        | Ddl::DropAlias { database, .. } => vec![whole(database)],
        Ddl::RenameCollection { database, new_database, .. } => {
            let target = if new_database.is_empty() { database } else { new_database };
            vec![whole(database), whole(target)]
        }
        Ddl::CreateDatabase { name, .. } | Ddl::DropDatabase { name } | Ddl::AlterDatabase { name, .. } => {
            vec![Want { resource: Resource::Cluster, exclusive: true }, whole(name)]
        }
        Ddl::AlterCollection { database, name: collection, .. }
        | Ddl::AlterField { database, name: collection, .. }
        | Ddl::CreatePartition { database, collection, .. }
        | Ddl::DropPartition { database, collection, .. }
        | Ddl::CreateIndex { database, collection, .. }
        | Ddl::AlterIndex { database, collection, .. }
        | Ddl::DropIndex { database, collection, .. }
        | Ddl::Load { database, collection, .. }
        | Ddl::Release { database, collection, .. }
        | Ddl::Flush { database, collection } => {
            let real = view.database(database).and_then(|entry| view.resolve(entry.id, collection));
            let name = real.map_or_else(|| collection.clone(), |entry| entry.name.clone());
            let database = named(database);
            vec![
                Want { resource: Resource::Database(database.clone()), exclusive: false },
                Want { resource: Resource::Name(database, name), exclusive: true },
            ]
        }
    }
}

fn whole(database: &str) -> Want {
    Want { resource: Resource::Database(named(database)), exclusive: true }
}

fn named(database: &str) -> String {
    if database.is_empty() { "default".to_owned() } else { database.to_owned() }
}
