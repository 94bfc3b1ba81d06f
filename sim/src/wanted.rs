//! The collections that clients work with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::Collections;
use cinclus_client::Client;
use cinclus_env::{DynClock, Env};
use cinclus_rpc::{CoordApi, Ddl};
use cinclus_types::{Advice, ConsistencyLevel};
use parking_lot::Mutex;

use crate::shard::{Shard, schema};
use crate::world::World;

/// What there must be, and who is asked for it.
pub struct Wanted {
    coord: Arc<dyn CoordApi>,
    client: Client,
    clock: DynClock,
    collections: u64,
    shards: u32,
    refusals: Mutex<Vec<String>>,
}

/// The change that makes a collection.
#[must_use]
pub fn create(name: &str, shards: u32) -> Ddl {
    Ddl::CreateCollection {
        database: String::new(),
        name: name.to_owned(),
        schema: schema(name),
        shards,
        partitions: vec!["_default".to_owned(), "other".to_owned()],
        consistency: ConsistencyLevel::Strong,
        properties: BTreeMap::new(),
    }
}

/// The change that gives its vectors an index.
#[must_use]
pub fn index(name: &str) -> Ddl {
    let params = [("index_type", "FLAT"), ("metric_type", "L2")];
    Ddl::CreateIndex {
        database: String::new(),
        collection: name.to_owned(),
        field: "vector".to_owned(),
        name: "vector".to_owned(),
        params: params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

/// The change that loads it.
#[must_use]
pub fn load(name: &str) -> Ddl {
    let (database, collection) = (String::new(), name.to_owned());
    Ddl::Load { database, collection, partitions: None, replicas: 1, fields: Vec::new() }
}

/// The name of a collection that clients work with.
#[must_use]
pub fn name(number: u64) -> String {
    format!("c{number}")
}

impl Wanted {
    /// Those of a plan.
    #[must_use]
    pub fn of(world: &World, coord: Arc<dyn CoordApi>, client: Client, env: &Env) -> Wanted {
        let (collections, shards) = (world.plan.collections, world.plan.shards);
        Wanted { coord, client, clock: env.clock.clone(), collections, shards, refusals: Mutex::default() }
    }

    /// What was refused although it must not be.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.refusals.lock().clone()
    }

    /// Makes the collections that are not there, loads those that are not loaded, and waits until all are served.
    pub async fn settle(&self, catalog: &Collections) -> Vec<Shard> {
        for number in 0..self.collections {
            let name = name(number);
            for ddl in [create(&name, self.shards), index(&name), load(&name)] {
                self.until_done(&ddl).await;
            }
        }
        let view = catalog.view();
        let wanted = |name: &str| (0..self.collections).any(|number| self::name(number) == name);
        let entries = view.all_collections().filter(|entry| wanted(&entry.name));
        let mut shards: Vec<Shard> = entries.flat_map(Shard::all_of).collect();
        shards.sort_by(|one, other| one.vchannel.cmp(&other.vchannel));
        for shard in &shards {
            while !self.client.statistics(&shard.vchannel).await.is_ok_and(|statistics| statistics.serving) {
                self.clock.sleep(Duration::from_millis(10)).await;
            }
        }
        shards
    }

    /// Repeats a change until it is done, as one that is done already is a success.
    async fn until_done(&self, ddl: &Ddl) {
        loop {
            match self.coord.ddl(ddl.clone()).await {
                Ok(_) => return,
                Err(error) if error.advice() == Advice::Reject => {
                    self.refusals.lock().push(format!("{ddl:?} was refused: {error}"));
                    return;
                }
                Err(_) => self.clock.sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
