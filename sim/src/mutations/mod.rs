//! The house broken on purpose at its seams, to prove that the checkers can see.
//!
//! A run with a mutation is a test of the simulator: some seed among the first few must find it, and name the
//! invariant.

pub mod calls;
pub mod disk;
pub mod log;
pub mod meta;

use crate::scenarios::Scenario;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A disk that says "synced" before anything is.
    LyingSync,
    /// A log storage whose opening fences nobody.
    NoFence,
    /// A log storage that swaps two records of a batch.
    SwapsWrites,
    /// A log storage that now and then stores another record than it was given.
    Overwrites,
    /// A log storage that puts the commit of a transaction before the last of its bodies.
    TearsTransactions,
    /// A log storage that stores a broadcast twice.
    RepeatsBroadcasts,
    /// A log storage whose readers leave records out.
    SkipsRecords,
    /// A log storage that forgets more than it is told to.
    TruncatesAll,
    /// A metadata store that does not store terms.
    ForgetsTerms,
    /// A network that repeats appends that nobody can tell apart.
    RepeatsAppends,
    /// A worker that does not apply deletes.
    DropsDeletes,
    /// A node that answers Strong reads without proof that it still owns the log.
    StrongWithoutProof,
}

impl Mutation {
    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Mutation> {
        Mutation::all().into_iter().map(|(mutation, ..)| mutation).find(|one| format!("{one:?}") == name)
    }

    /// All of them, with the kind of run that finds it, and the invariants of which it breaks at least one.
    #[must_use]
    pub fn all() -> Vec<(Mutation, Scenario, &'static [&'static str])> {
        use Scenario::{Cluster, Readers, Standalone};
        vec![
            (Mutation::LyingSync, Standalone, &["W2"]),
            (Mutation::NoFence, Cluster, &["W3"]),
            (Mutation::SwapsWrites, Standalone, &["W1"]),
            (Mutation::Overwrites, Standalone, &["W2"]),
            (Mutation::TearsTransactions, Standalone, &["W5"]),
            (Mutation::RepeatsBroadcasts, Standalone, &["C2"]),
            (Mutation::SkipsRecords, Readers, &["W4"]),
            // Invariant W7: who needs what is gone says so, and serves no gap.
            (Mutation::TruncatesAll, Cluster, &["availability", "convergence"]),
            (Mutation::ForgetsTerms, Cluster, &["C1"]),
            (Mutation::RepeatsAppends, Cluster, &["W2"]),
            (Mutation::DropsDeletes, Standalone, &["Q1"]),
            (Mutation::StrongWithoutProof, Cluster, &["Q3"]),
        ]
    }
}
