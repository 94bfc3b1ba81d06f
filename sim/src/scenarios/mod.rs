//! What happens in a run, by kind.

pub mod cluster;
pub mod decay;
pub mod readers;
pub mod rivals;
pub mod standalone;

use crate::place::Place;
use crate::world::World;

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A standalone server on a disk that crashes.
    Standalone,
    /// A standalone server whose logs, metadata and segment files are on an object storage.
    Objects,
    /// As [`Scenario::Objects`], several processes at once that take over from each other.
    Rivals,
    /// As [`Scenario::Standalone`], with its metadata in the embedded store on the same disk.
    Files,
    /// A standalone server, on a disk or on an object storage, whose stored bits flip.
    Decay,
    /// Several nodes on shared stores.
    Cluster,
    /// One log and its readers.
    Readers,
    /// A cluster whose clients also write transactions of several calls.
    Sessions,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 8] = [
        Scenario::Standalone,
        Scenario::Files,
        Scenario::Objects,
        Scenario::Rivals,
        Scenario::Decay,
        Scenario::Cluster,
        Scenario::Readers,
        Scenario::Sessions,
    ];

    /// What commands call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Standalone => "standalone",
            Scenario::Objects => "objects",
            Scenario::Rivals => "rivals",
            Scenario::Files => "files",
            Scenario::Decay => "decay",
            Scenario::Cluster => "cluster",
            Scenario::Readers => "readers",
            Scenario::Sessions => "sessions",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// The counters of checkers that have something to look at in it.
    #[must_use]
    pub fn checks(self) -> &'static [&'static str] {
        match self {
            Scenario::Standalone | Scenario::Files | Scenario::Objects | Scenario::Rivals => &[
                "checked: order",
                "checked: fencing",
                "checked: durability",
                "checked: exactly once",
                "checked: transactions",
                "checked: freshness",
                "checked: reads",
                "checked: broadcasts",
                "checked: linearizability",
                "checked: recovery bound",
                "checked: memory",
                "checked: checkpoints",
                "checked: placements",
                "checked: segments in the catalog",
            ],
            Scenario::Decay => &[
                "checked: order",
                "checked: durability",
                "checked: exactly once",
                "checked: reads",
                "checked: refusals for damage",
                "bits healed",
            ],
            Scenario::Cluster | Scenario::Sessions => &[
                "checked: order",
                "checked: fencing",
                "checked: terms",
                "checked: durability",
                "checked: exactly once",
                "checked: transactions",
                "checked: freshness",
                "checked: reads",
                "checked: convergence",
                "checked: broadcasts",
                "checked: orders of broadcasts",
                "checked: linearizability",
                "checked: checkpoints",
                "checked: checkpoints of readers",
                "checked: deliveries",
                "checked: placements",
                "checked: segments in the catalog",
                "checked: segments of transactions",
            ],
            Scenario::Readers => &[
                "checked: order",
                "checked: fencing",
                "checked: durability",
                "checked: exactly once",
                "checked: transactions",
                "checked: deliveries",
                "checked: checkpoints of readers",
                "checked: placements",
                "checked: segments of transactions",
            ],
        }
    }

    /// Runs it on a world.
    pub(crate) fn run(self, world: &World) {
        match self {
            Scenario::Standalone => standalone::run(world),
            Scenario::Files => {
                world.set_place(Place::Files);
                standalone::run(world);
            }
            Scenario::Objects => {
                world.set_place(Place::Objects);
                standalone::run(world);
            }
            Scenario::Rivals => {
                world.set_place(Place::Objects);
                rivals::run(world);
            }
            Scenario::Decay => decay::run(world),
            Scenario::Cluster => cluster::run(world),
            Scenario::Sessions => {
                world.let_sessions();
                cluster::run(world);
            }
            Scenario::Readers => readers::run(world),
        }
    }
}
