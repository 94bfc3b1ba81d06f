//! The seam to this machine: everything that is not deterministic, as plain values that are handed in.
//!
//! Invariant A1: only this crate touches the clock, randomness, disk and threads of the operating
//! system. Everybody else gets an [`Env`] (or the one part they need) and can therefore be run by a
//! test with a [`MemoryDisk`](disk::MemoryDisk) that tears writes, a clock that stands still and a seed
//! that decides every random number.
//!
//! | part | what | real | test |
//! | --- | --- | --- | --- |
//! | [`clock`] | wall time, time that also runs in suspend, sleeping | [`OsClock`] | [`ManualClock`], [`TokioClock`] |
//! | [`ticks`] | ranges of ticks from the TSO | the coordinator's client | [`LocalTicks`] |
//! | [`random`] | numbers | [`Random::from_os`] | [`Random::seeded`] |
//! | [`disk`] | files, directories, syncs, locks | [`OsDisk`](disk::OsDisk) | [`MemoryDisk`](disk::MemoryDisk) |
//! | [`tasks`] | named tasks and threads that are joined | the tokio runtime | the same, single-threaded |
//! | [`compute`] | a bounded pool for work that burns CPU | threads | inline |
//! | [`telemetry`] | metrics | one registry per process | one registry per test |
//! | [`memory`] | the budget of memory | half of the machine's | without a limit |
//! | [`mutation`] | lines that are broken on purpose | none | one at a time, in the simulator |

#![allow(clippy::disallowed_methods, reason = "this crate is where they belong (A1)")]

pub mod clock;
pub mod compute;
pub mod disk;
mod env;
pub mod memory;
pub mod mutation;
pub mod random;
pub mod tasks;
pub mod telemetry;
pub mod ticks;

pub use clock::{Clock, DynClock, ManualClock, OsClock, TimedOut, TokioClock, timeout};
pub use compute::{Cancelled, Compute};
pub use disk::{Disk, DiskError, DiskFile, DynDisk};
pub use env::Env;
pub use memory::{MemoryBudget, MemoryFull, MemoryHeld, MemoryPart};
pub use mutation::mutated;
pub use random::Random;
pub use tasks::{PanicPolicy, TaskGroup, TaskHandle};
pub use telemetry::Telemetry;
pub use ticks::{DynTickSource, LocalTicks, TickError, TickSource};
