//! The planners without a coordinator: a catalog, and plans that are put into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_catalog::{CollectionEntry, Collections};
use cinclus_coord::CoordConfig;
use cinclus_coord::ddl::{Plan, Planner};
use cinclus_env::Env;
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::{PChannel, Tick, TickRange, VChannel};

pub(crate) struct Desk {
    pub(crate) collections: Collections,
    pub(crate) config: CoordConfig,
    pub(crate) channels: BTreeMap<PChannel, usize>,
    next: u64,
    _env: Env,
}

impl Desk {
    pub(crate) async fn new() -> Desk {
        let env = Env::test(1);
        let settings = cinclus_meta::Config::default();
        let meta: DynMetaStore = Arc::new(MemoryMetaStore::new(&settings, env.clock.clone(), &env.tasks));
        let collections = Collections::open(meta, &env).await.unwrap();
        let channels = (0..3).map(|index| (PChannel::numbered("log", index), 0)).collect();
        Desk { collections, config: CoordConfig::default(), channels, next: 1_000, _env: env }
    }

    /// With these changes made.
    pub(crate) async fn with(ddls: &[Ddl]) -> Desk {
        let mut desk = Desk::new().await;
        for ddl in ddls {
            desk.apply(ddl).await;
        }
        desk
    }

    pub(crate) fn control(&self) -> VChannel {
        PChannel::numbered("log", 0).control()
    }

    /// What a change comes to.
    pub(crate) fn plan(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let ids = TickRange { first: Tick(self.next), count: Planner::ids_needed(ddl) };
        self.next += 1_000;
        let view = self.collections.view();
        Planner::new(&view, &self.config, self.control(), &self.channels, ids).plan(ddl)
    }

    /// Makes a change.
    pub(crate) async fn apply(&mut self, ddl: &Ddl) {
        let plan = self.plan(ddl).unwrap_or_else(|error| panic!("{ddl:?}: {error}"));
        let change = plan.edit.at(Tick(self.next)).into_change();
        self.collections.update(change).await.unwrap();
    }

    /// The collection of that name in `default`.
    pub(crate) fn entry(&self, name: &str) -> Arc<CollectionEntry> {
        let view = self.collections.view();
        let database = view.database("").unwrap().id;
        view.by_name(database, name).unwrap_or_else(|| panic!("no {name}")).clone()
    }

    /// How a change is judged: the error's text, `nothing to do`, or `done`.
    pub(crate) fn verdict(&mut self, ddl: &Ddl) -> String {
        match self.plan(ddl) {
            Ok(Plan { message: None, edit }) => {
                assert_eq!(edit, Default::default(), "{ddl:?} edits without a message");
                NOTHING.to_owned()
            }
            Ok(Plan { message: Some(_), .. }) => DONE.to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Judges each of these.
    pub(crate) fn judge(&mut self, table: &[(Ddl, &str)]) {
        for (ddl, expected) in table {
            assert_eq!(self.verdict(ddl), *expected, "{ddl:?}");
        }
    }
}

pub(crate) const NOTHING: &str = "nothing to do";
pub(crate) const DONE: &str = "done";
