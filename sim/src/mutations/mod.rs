//! The house broken on purpose, to prove that the checkers can see.
//!
//! A run with a mutation is a test of the simulator: some seed among the first few must find it, and name the
//! invariant. Some mutations stand at a seam, as a store or a network that does not keep its rules. The others are
//! single lines of the house at an invariant that ask [`cinclus_env::mutated`] for the name of the mutation; they are
//! there only if the simulator is built with its feature `mutations`.

pub mod calls;
pub mod disk;
pub mod log;
pub mod meta;
pub mod objects;
pub mod ticks;

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
    /// A proxy that takes a write that comes again for another one.
    ProxyForgetsRequests,
    /// A log storage whose records are read otherwise than before.
    ChangesRecords,
    /// An object storage whose puts have no conditions.
    CreatesOver,
    /// One that keeps only a half of what is put late.
    TearsLatePuts,
    /// A metadata store that forgets the conditions of commits that are late.
    LateCommitsWithoutConditions,
    /// A network that says of a call that is late that it did not happen.
    DeniesLateCalls,
    /// A disk that lies about syncs of the file of the metadata.
    LyingMeta,
    /// A line: an iterator reads each page anew.
    IteratorReadsAnew,
    /// A line: a writer that goes on with ticks from before it was opened; and a source that kept some.
    StaleTicks,
    /// A line: an owner says that it knows everything up to a tick, and does not ask the storage whether it still is
    /// the owner.
    MovesFrontierUnproved,
    /// A line: the acknowledgements of a block are given before it is synced.
    AcksBeforeSync,
    /// A line: a request that is known by its key is stored again.
    ForgetsKeys,
    /// A line: tsafe runs ahead of what is applied.
    ReadsBeforeApplied,
    /// A line: the checkpoint is committed before the state.
    CheckpointBeforeState,
    /// A line: checkpoints are committed whoever claimed the log meanwhile.
    CommitsUnclaimed,
    /// A line: a log forgets one record more than it may.
    TruncatesMore,
    /// A line: rows are placed into a segment that is not there.
    PlacesElsewhere,
    /// A line: a checkpoint lies behind the begin of an open transaction.
    ResumesBehindBegins,
    /// A line: a segment is closed while open transactions have rows in it.
    FlushesUnderTransactions,
    /// A line: a change of what exists that closes segments leaves transactions open.
    DdlKeepsTransactions,
    /// A line: the locks of the coordinator exclude nobody.
    LocksExcludeNobody,
    /// A line: a segment is read as growing and as sealed.
    ReadsSegmentsTwice,
    /// A line: deletes hide rows of their own tick.
    DeletesHideTheirOwn,
    /// A line: nothing counts as log that is to be replayed.
    CountsNoBacklog,
    /// A line: what open transactions hold does not count as log that is to be replayed.
    CountsNothingHeld,
    /// A line: rows are let in whether there is memory or not.
    AdmitsAnyMemory,
    /// A line: the write-ahead buffers let go of nothing.
    BufferGrows,
    /// A line: blocks of logs and segment files are read without a look at their checksums.
    BelievesBytes,
}

impl Mutation {
    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Mutation> {
        Mutation::all().into_iter().map(|(mutation, ..)| mutation).find(|one| format!("{one:?}") == name)
    }

    /// All of them that this build can make, with the kind of run that finds it, and the invariants of which it breaks
    /// at least one.
    #[must_use]
    pub fn all() -> Vec<(Mutation, Scenario, &'static [&'static str])> {
        let lines = if cfg!(feature = "mutations") { Mutation::lines() } else { Vec::new() };
        Mutation::seams().into_iter().chain(lines).collect()
    }

    /// Those at the seams.
    #[must_use]
    pub fn seams() -> Vec<(Mutation, Scenario, &'static [&'static str])> {
        use Scenario::{Cluster, Files, Objects, Readers, Rivals, Standalone};
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
            (Mutation::ChangesRecords, Standalone, &["L5"]),
            (Mutation::ProxyForgetsRequests, Standalone, &["W2"]),
            (Mutation::CreatesOver, Rivals, &["W2", "W3", "C1", "C2", "L5"]),
            (Mutation::TearsLatePuts, Objects, &["availability", "convergence"]),
            (Mutation::LateCommitsWithoutConditions, Cluster, &["W2", "W6", "C1"]),
            (Mutation::DeniesLateCalls, Cluster, &["W2"]),
            (Mutation::LyingMeta, Files, &["W2", "W6", "C1", "C2"]),
        ]
    }

    /// Those that break a line of the house.
    #[must_use]
    pub fn lines() -> Vec<(Mutation, Scenario, &'static [&'static str])> {
        use Scenario::{Cluster, Decay, Files, Readers, Standalone};
        vec![
            (Mutation::StaleTicks, Cluster, &["W1"]),
            (Mutation::MovesFrontierUnproved, Cluster, &["Q1"]),
            (Mutation::MovesFrontierUnproved, Readers, &["W4"]),
            (Mutation::AcksBeforeSync, Standalone, &["W2"]),
            (Mutation::ForgetsKeys, Cluster, &["W2", "C2"]),
            (Mutation::ReadsBeforeApplied, Cluster, &["Q1"]),
            (Mutation::CheckpointBeforeState, Standalone, &["Q1"]),
            (Mutation::CommitsUnclaimed, Cluster, &["W6"]),
            (Mutation::TruncatesMore, Standalone, &["W7"]),
            (Mutation::PlacesElsewhere, Standalone, &["W8"]),
            (Mutation::ResumesBehindBegins, Readers, &["W10"]),
            (Mutation::FlushesUnderTransactions, Readers, &["W11"]),
            (Mutation::DdlKeepsTransactions, Readers, &["W11"]),
            (Mutation::LocksExcludeNobody, Cluster, &["C2"]),
            (Mutation::ReadsSegmentsTwice, Standalone, &["Q1"]),
            (Mutation::DeletesHideTheirOwn, Standalone, &["Q1"]),
            (Mutation::CountsNoBacklog, Standalone, &["recovery bound"]),
            (Mutation::CountsNothingHeld, Files, &["recovery bound"]),
            (Mutation::AdmitsAnyMemory, Standalone, &["memory"]),
            (Mutation::BufferGrows, Standalone, &["memory"]),
            (Mutation::IteratorReadsAnew, Standalone, &["Q1", "Q3"]),
            (Mutation::BelievesBytes, Decay, &["L5", "Q1", "W2"]),
        ]
    }
}
