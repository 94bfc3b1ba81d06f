//! The locks that a change needs.

use cinclus_catalog::CollectionsView;
use cinclus_rpc::Ddl;

use crate::locks::{Resource, Want};

/// The locks that a change needs: its databases shared and every name that it makes, frees or changes
/// exclusive; changes of databases take the database alone. Collections and aliases have their names from
/// one set. A change of an alias locks the collections that it leads away from and to as well: so nobody
/// who reached a collection by an alias finds it changed, and a collection's aliases stay while it is locked.
#[must_use]
pub fn wants(ddl: &Ddl, view: &CollectionsView) -> Vec<Want> {
    let mut wants = match ddl {
        Ddl::CreateDatabase { name, .. } | Ddl::DropDatabase { name } | Ddl::AlterDatabase { name, .. } => {
            let database = Want { resource: Resource::Database(named(name)), exclusive: true };
            vec![Want { resource: Resource::Cluster, exclusive: true }, database]
        }
        Ddl::CreateCollection { database, name, .. } | Ddl::DropCollection { database, name } => {
            names(database, &[name])
        }
        Ddl::RenameCollection { database, name, new_database, new_name } => {
            let target = if new_database.is_empty() { database } else { new_database };
            [names(database, &[name]), names(target, &[new_name])].concat()
        }
        Ddl::PutAlias { database, alias, collection, .. } => {
            names(database, &[alias, &real(view, database, alias), collection])
        }
        Ddl::DropAlias { database, alias } => names(database, &[alias, &real(view, database, alias)]),
        Ddl::AlterCollection { database, name: collection, .. }
        | Ddl::AlterField { database, name: collection, .. }
        | Ddl::CreatePartition { database, collection, .. }
        | Ddl::DropPartition { database, collection, .. }
        | Ddl::CreateIndex { database, collection, .. }
        | Ddl::AlterIndex { database, collection, .. }
        | Ddl::DropIndex { database, collection, .. }
        | Ddl::Load { database, collection, .. }
        | Ddl::Release { database, collection, .. }
        | Ddl::Flush { database, collection } => names(database, &[&real(view, database, collection)]),
    };
    wants.sort();
    wants.dedup();
    wants
}

/// A database shared, and names in it.
fn names(database: &str, names: &[&str]) -> Vec<Want> {
    let database = named(database);
    let name = |name: &&str| {
        let resource = Resource::Name(database.clone(), (*name).to_owned());
        Want { resource, exclusive: true }
    };
    let shared = Want { resource: Resource::Database(database.clone()), exclusive: false };
    names.iter().map(name).chain([shared]).collect()
}

/// The collection's own name; the given one if there is no collection.
fn real(view: &CollectionsView, database: &str, name: &str) -> String {
    let collection = view.database(database).and_then(|entry| view.resolve(entry.id, name));
    collection.map_or_else(|| name.to_owned(), |entry| entry.name.clone())
}

fn named(database: &str) -> String {
    if database.is_empty() { "default".to_owned() } else { database.to_owned() }
}
