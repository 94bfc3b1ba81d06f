//! What outlives processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cinclus_env::disk::MemoryDisk;
use cinclus_env::{Env, Random};
use cinclus_log_storage::DynLogStorage;
use cinclus_meta::{DynMetaStore, MemoryMetaStore};
use cinclus_types::SegmentEntry;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parking_lot::Mutex;

use crate::archive::Archive;
use crate::checkers::Finding;
use crate::checkers::readers::Read;
use crate::handed_on::AllHandedOn;
use crate::history::History;
use crate::mutations::Mutation;
use crate::mutations::log::MutantLog;
use crate::place::Place;
use crate::plan::Plan;
use crate::proxied::AllPending;
use crate::scrolls::AllScrolls;
use crate::stores::checkpoints::{Checkpoints, ObservedMeta};
use crate::stores::late::Late;
use crate::stores::observed::Writers;
use crate::tally::Tally;
use crate::trace::Trace;

/// Stores, and what is known of the run so far.
pub struct World {
    /// Decides everything.
    pub seed: u64,
    /// The root of all chance.
    pub random: Random,
    /// The shape of the run.
    pub plan: Plan,
    /// Has the logs and objects of a standalone server.
    pub disk: MemoryDisk,
    /// Has everything of a server without a disk.
    pub objects: Arc<dyn ObjectStore>,
    place: Mutex<Place>,
    sessions: AtomicBool,
    lies: AtomicBool,
    /// What is committed here is durable at once.
    pub meta: DynMetaStore,
    /// What happened.
    pub trace: Trace,
    /// How often.
    pub tally: Tally,
    /// What clients know.
    pub history: History,
    /// What logs held.
    pub archive: Archive,
    /// The checkpoints of logs.
    pub checkpoints: Checkpoints,
    /// Who was acknowledged.
    pub writers: Writers,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
    /// Whether no change of what exists was under way when the run ended.
    pub drained: Mutex<bool>,
    /// Transactions that later lives go on with.
    pub handed_on: AllHandedOn,
    /// What clients of the proxy send again.
    pub pending: AllPending,
    /// What is on its way to the object storage.
    pub late: Late,
    /// Iterators that are not at their end.
    pub scrolls: AllScrolls,
    /// What readers of a log were given.
    pub reads: Mutex<Vec<Read>>,
    /// The segments in the catalog at the end.
    pub segments: Mutex<Vec<SegmentEntry>>,
    /// What was wrong while it ran.
    pub findings: Mutex<Vec<Finding>>,
    /// The calendar, in Unix milliseconds, and the number of the life.
    pub past: Mutex<Past>,
    _runtime: tokio::runtime::Runtime,
}

/// What lives leave behind beside the stores.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// How many there were.
    pub lives: u64,
    /// The calendar, in Unix milliseconds.
    pub unix_ms: u64,
}

/// Whether a seed decides everything: the order in which tokio wakes those who wait for the same thing can be
/// seeded only if it is built with `--cfg tokio_unstable`, as `cargo xtask sim` does.
pub const REPEATABLE: bool = cfg!(tokio_unstable);

/// A runtime of one thread whose time runs only while everybody waits.
///
/// # Panics
/// If the operating system refuses: there is nothing to simulate with then.
#[must_use]
pub fn runtime(seed: u64) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build().expect("a runtime without input and output needs nothing of the system")
}

impl World {
    /// The empty world of a seed; `keep_trace` keeps the lines of the trace.
    #[must_use]
    pub fn new(seed: u64, keep_trace: bool) -> World {
        let random = Random::seeded(seed);
        let runtime = runtime(seed);
        let guard = runtime.enter();
        let env = Env::test(seed);
        let meta = MemoryMetaStore::new(&cinclus_meta::Config::default(), env.clock.clone(), &env.tasks);
        drop(guard);
        let checkpoints = Checkpoints::default();
        let meta = ObservedMeta { inner: Arc::new(meta), checkpoints: checkpoints.clone() };
        let disk = MemoryDisk::new(random.fork("disk").seed());
        World {
            seed,
            plan: Plan::draw(&random),
            random,
            disk,
            objects: Arc::new(InMemory::new()),
            place: Mutex::new(Place::Disk),
            sessions: AtomicBool::new(false),
            lies: AtomicBool::new(false),
            meta: Arc::new(meta),
            trace: Trace::new(keep_trace),
            tally: Tally::default(),
            history: History::default(),
            archive: Archive::default(),
            checkpoints,
            writers: Writers::default(),
            mutation: None,
            drained: Mutex::default(),
            handed_on: AllHandedOn::default(),
            pending: AllPending::default(),
            late: Late::default(),
            scrolls: AllScrolls::default(),
            reads: Mutex::default(),
            segments: Mutex::default(),
            findings: Mutex::default(),
            past: Mutex::new(Past { lives: 0, unix_ms: Env::TEST_UNIX_MS }),
            _runtime: runtime,
        }
    }

    /// A log storage, broken if it is to be.
    #[must_use]
    pub fn mutated(&self, logs: &DynLogStorage) -> DynLogStorage {
        let Some(mutation) = self.mutation else { return logs.clone() };
        Arc::new(MutantLog::new(logs.clone(), mutation, self.archive.clone()))
    }

    /// Where servers have their data.
    #[must_use]
    pub fn place(&self) -> Place {
        *self.place.lock()
    }

    /// Decides where servers have their data.
    pub fn set_place(&self, place: Place) {
        *self.place.lock() = place;
    }

    /// Whether clients write transactions of several calls.
    #[must_use]
    pub fn sessions(&self) -> bool {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Lets clients write transactions of several calls.
    pub fn let_sessions(&self) {
        self.sessions.store(true, Ordering::Relaxed);
    }

    /// Whether the disk says "synced" of what is not. Then the power must not go.
    #[must_use]
    pub fn lies(&self) -> bool {
        self.lies.load(Ordering::Relaxed)
    }

    /// Lets the disk lie.
    pub fn let_lie(&self) {
        self.lies.store(true, Ordering::Relaxed);
    }

    /// Keeps what the catalog says of segments at the end.
    ///
    /// # Errors
    /// An entry that cannot be read.
    pub async fn keep_segments(&self, meta: &DynMetaStore) -> anyhow::Result<()> {
        let (_, entries) = meta.scan("segments/segment/").await?;
        for entry in entries {
            self.segments.lock().push(cinclus_catalog::keys::decode(&entry.key, &entry.value)?);
        }
        Ok(())
    }

    /// Notes something that is wrong.
    pub fn find(&self, finding: Finding) {
        self.findings.lock().push(finding);
    }
}
