//! The catalog is what the control channel says, whatever happens at once and whatever fails.

use std::collections::{BTreeMap, BTreeSet};

use cinclus_catalog::{CollectionsView, LoadState};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::message::Header;
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody, DatabaseBody, PartitionBody};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use proptest::prelude::*;

use crate::fake_node::Logged;
use crate::faults::Fault;
use crate::samples;
use crate::world::World;

#[derive(Debug, Default, PartialEq)]
struct Model {
    databases: BTreeMap<i64, (String, BTreeMap<String, String>)>,
    collections: BTreeMap<i64, Collection>,
    aliases: BTreeMap<(i64, String), i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Collection {
    database: i64,
    name: String,
    properties: BTreeMap<String, String>,
    schema_version: i32,
    partitions: BTreeMap<i64, String>,
    indexes: BTreeSet<i64>,
    /// The loaded partitions as they were when it was loaded; `None`: it is not.
    loaded: Option<BTreeSet<i64>>,
}

impl Model {
    /// What the messages of the control channel make of nothing.
    fn of_log(logs: &[Logged]) -> Model {
        let mut model = Model::default();
        model.databases.insert(1, ("default".to_owned(), BTreeMap::new()));
        for logged in logs.iter().filter(|logged| logged.vchannel.is_control()) {
            model.apply(logged);
        }
        model
    }

    fn apply(&mut self, logged: &Logged) {
        let payload = &logged.draft.payload;
        match &logged.draft.header {
            Header::CreateDatabase { name, database } => {
                let properties = DatabaseBody::decode(payload).unwrap().properties;
                assert!(self.databases.insert(database.0, (name.clone(), properties)).is_none());
            }
            Header::AlterDatabase { database, .. } => {
                let properties = DatabaseBody::decode(payload).unwrap().properties;
                self.databases.get_mut(&database.0).unwrap().1 = properties;
            }
            Header::DropDatabase { database, .. } => {
                assert!(self.collections.values().all(|collection| collection.database != database.0));
                self.databases.remove(&database.0).unwrap();
            }
            Header::CreateCollection { collection, .. } => {
                let body = CreateCollectionBody::decode(payload).unwrap();
                let created = Collection {
                    database: body.database.0,
                    name: body.collection_name,
                    properties: body.properties,
                    partitions: body.partitions.into_iter().map(|(id, name)| (id.0, name)).collect(),
                    ..Collection::default()
                };
                self.check_free(&created);
                self.collections.insert(collection.0, created);
            }
            Header::DropCollection { collection, .. } => {
                self.collections.remove(&collection.0).unwrap();
                self.aliases.retain(|_, target| *target != collection.0);
            }
            Header::AlterCollection { collection, update_mask, .. } => {
                let body = AlterCollectionBody::decode(payload, update_mask).unwrap();
                let mut changed = self.collections.remove(&collection.0).unwrap();
                if let Some(name) = body.collection_name {
                    (changed.name, changed.database) = (name, body.database.unwrap().0.0);
                    self.check_free(&changed);
                }
                changed.properties = body.properties.unwrap_or(changed.properties);
                changed.schema_version = body.schema.map_or(changed.schema_version, |schema| schema.version);
                self.collections.insert(collection.0, changed);
            }
            other => self.apply_part(other, logged),
        }
    }

    fn apply_part(&mut self, header: &Header, logged: &Logged) {
        if let Header::AlterAlias { database, collection, alias, .. } = header {
            assert!(self.collections.contains_key(&collection.0), "an alias of nothing");
            self.aliases.insert((database.0, alias.clone()), collection.0);
            return;
        }
        if let Header::DropAlias { database, alias, .. } = header {
            self.aliases.remove(&(database.0, alias.clone())).unwrap();
            return;
        }
        let id = header.collection().unwrap();
        let collection = self.collections.get_mut(&id.0).unwrap();
        match header {
            Header::CreatePartition { partition, .. } => {
                let body = PartitionBody::decode(&logged.draft.payload).unwrap();
                assert!(collection.partitions.insert(partition.0, body.partition_name).is_none());
            }
            Header::DropPartition { partition, .. } => {
                collection.partitions.remove(&partition.0).unwrap();
            }
            Header::CreateIndex { index, .. } => assert!(collection.indexes.insert(index.0)),
            Header::DropIndex { indexes, .. } => {
                assert!(indexes.iter().all(|index| collection.indexes.remove(&index.0)));
            }
            Header::AlterIndex { indexes, .. } => {
                assert!(indexes.iter().all(|index| collection.indexes.contains(&index.0)));
            }
            Header::AlterLoadConfig { partitions, .. } => {
                collection.loaded = Some(partitions.iter().map(|id| id.0).collect());
            }
            Header::DropLoadConfig { .. } => collection.loaded = None,
            other => panic!("{other:?} in the control channel"),
        }
    }

    /// The database is there, and nothing in it has the name.
    fn check_free(&self, wanted: &Collection) {
        assert!(self.databases.contains_key(&wanted.database), "{wanted:?} in no database");
        let same = |other: &Collection| (other.database, &other.name) == (wanted.database, &wanted.name);
        assert!(!self.collections.values().any(same), "{wanted:?} has the name of another");
        assert!(
            !self.aliases.contains_key(&(wanted.database, wanted.name.clone())),
            "{wanted:?} is an alias"
        );
    }

    fn of_catalog(view: &CollectionsView) -> Model {
        let mut model = Model::default();
        for database in view.databases() {
            let entry = (database.name.clone(), database.properties.clone());
            model.databases.insert(database.id.0, entry);
            for alias in view.aliases(database.id) {
                model.aliases.insert((database.id.0, alias.name.clone()), alias.collection.0);
            }
        }
        for entry in view.all_collections() {
            let partitions: BTreeMap<i64, String> =
                entry.partitions.iter().map(|partition| (partition.id.0, partition.name.clone())).collect();
            let loaded = match &entry.load {
                LoadState::Released => None,
                LoadState::Loaded { partitions: None, .. } => Some(partitions.keys().copied().collect()),
                LoadState::Loaded { partitions: Some(ids), .. } => Some(ids.iter().map(|id| id.0).collect()),
            };
            let collection = Collection {
                database: entry.database.0,
                name: entry.name.clone(),
                properties: entry.properties.clone(),
                schema_version: entry.schema().version,
                partitions,
                indexes: entry.indexes.iter().map(|index| index.id.0).collect(),
                loaded,
            };
            model.collections.insert(entry.id.0, collection);
        }
        model
    }

    /// A load of all partitions is one of those to come, too: what is loaded is then not compared.
    fn without_later_partitions(mut self, view: &CollectionsView) -> Model {
        for (id, collection) in &mut self.collections {
            let entry = view.all_collections().find(|entry| entry.id.0 == *id);
            let all = LoadState::Loaded { partitions: None, fields: vec![], replicas: 1 };
            if entry.is_some_and(|entry| entry.load == all) {
                assert!(collection.loaded.is_some());
                collection.loaded = None;
            }
        }
        self
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["a", "b", "x"])
}

fn database() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["", "", "", "d"])
}

fn ddl() -> impl Strategy<Value = Ddl> {
    prop_oneof![
        4 => (database(), name(), 1_u32..3).prop_map(|(database, name, n)| samples::create_in(database, name, n)),
        2 => (database(), name()).prop_map(|(database, name)| Ddl::DropCollection {
            database: database.to_owned(),
            name: name.to_owned(),
        }),
        2 => (name(), database(), database(), name()).prop_map(|(a, from, to, b)| samples::move_to((a, from), (to, b))),
        1 => name().prop_map(|name| samples::alter(name, &[("k", "v")], &[])),
        1 => name().prop_map(|name| samples::alter_field(name, "title")),
        2 => (name(), name()).prop_map(|(name, partition)| samples::create_partition(name, partition)),
        2 => (name(), name()).prop_map(|(name, partition)| samples::drop_partition(name, partition)),
        2 => (name(), name(), any::<bool>()).prop_map(|(alias, name, alter)| samples::put_alias(alias, name, alter)),
        1 => name().prop_map(|alias| samples::drop_alias("", alias)),
        1 => Just(samples::create_database("d")),
        1 => Just(samples::drop_database("d")),
        1 => database().prop_map(|name| samples::alter_database(name, &[("k", "v")])),
        2 => name().prop_map(|name| samples::create_index(name, "vector", "")),
        1 => name().prop_map(|name| samples::drop_index(name, "vector")),
        2 => name().prop_map(|name| samples::load(name, None)),
        1 => (name(), name()).prop_map(|(name, partition)| samples::load(name, Some(&[partition]))),
        1 => name().prop_map(|name| samples::release(name, None)),
    ]
}

/// Changes that are asked for at once, what goes wrong meanwhile, and the callers that go away soon.
#[derive(Clone, Debug)]
struct Batch {
    ddls: Vec<(Ddl, bool)>,
    fault: Option<(usize, Fault)>,
}

fn batch() -> impl Strategy<Value = Batch> {
    let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::LostBefore, Fault::LostAfter, Fault::Refused];
    let fault = (0_usize..20, proptest::sample::select(faults.to_vec()));
    let ddls = proptest::collection::vec((ddl(), proptest::bool::weighted(0.1)), 1..8);
    (ddls, proptest::option::of(fault)).prop_map(|(ddls, fault)| Batch { ddls, fault })
}

async fn run(batches: Vec<Batch>) {
    let world = World::new();
    let mut process = world.start().await;
    for name in ["a", "b"] {
        process.ddl(&samples::create(name)).await.unwrap();
    }
    for batch in batches {
        if let Some((skip, fault)) = batch.fault {
            world.faults.arm(skip, fault);
        }
        let all = async {
            let mut calls = FuturesUnordered::new();
            for (ddl, leaves) in &batch.ddls {
                let mut call = Box::pin(process.ddl(ddl));
                if *leaves {
                    for _ in 0..5 {
                        if futures::poll!(&mut call).is_ready() {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                } else {
                    calls.push(call);
                }
            }
            while let Some(done) = calls.next().await {
                let refused = matches!(&done, Err(DdlError::Unavailable(_)));
                assert!(!refused || batch.fault.is_some(), "{done:?}");
            }
        };
        let died = tokio::select! {
            biased;
            () = world.faults.crashed() => true,
            () = all => false,
        };
        if died {
            process.kill().await;
            world.faults.disarm();
            process = world.start().await;
        }
        world.faults.disarm();
        world.env.clock.sleep(std::time::Duration::from_secs(60)).await;
        check(&world, &process.collections.view());
    }
    process.kill().await;
}

fn check(world: &World, view: &CollectionsView) {
    let logs = world.node.logs();
    let said = Model::of_log(&logs).without_later_partitions(view);
    assert_eq!(said, Model::of_catalog(view).without_later_partitions(view));
    // Invariant C2: exactly once to each target, and in each shard in the order of the control channel.
    for (having, targets, _) in world.broadcasts().values() {
        assert_eq!(having, targets);
    }
    let mut orders: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for logged in &logs {
        let id = logged.draft.broadcast.as_ref().map_or(0, |broadcast| broadcast.id.0);
        orders.entry(logged.vchannel.name()).or_default().push(id);
    }
    let control =
        logs.iter().find(|logged| logged.vchannel.is_control()).map(|logged| logged.vchannel.name());
    let Some(control) = control.map(|name| orders[name].clone()) else { return };
    for (vchannel, order) in &orders {
        let expected: Vec<i64> = control.iter().copied().filter(|id| order.contains(id)).collect();
        assert_eq!(*order, expected, "{vchannel}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_catalog_is_what_the_log_says(batches in proptest::collection::vec(batch(), 1..8)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(batches));
    }
}
