//! The parts together.

use std::sync::Arc;

use crate::clock::{DynClock, OsClock, TokioClock};
use crate::compute::Compute;
use crate::disk::{DynDisk, MemoryDisk, OsDisk};
use crate::memory::MemoryBudget;
use crate::random::Random;
use crate::tasks::{PanicPolicy, TaskGroup};
use crate::telemetry::Telemetry;

/// Everything of this machine that a component may use. Cheap to clone; fields can be replaced one by one.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: DynClock,
    /// Random numbers.
    pub random: Random,
    /// Files.
    pub disk: DynDisk,
    /// Tasks and threads of the whole process.
    pub tasks: TaskGroup,
    /// The pool for work that burns CPU.
    pub compute: Compute,
    /// Metrics.
    pub telemetry: Telemetry,
    /// How much memory may be used.
    pub memory: MemoryBudget,
}

impl Env {
    /// The calendar of a test starts here: 14 November 2023, 22:13:20 UTC.
    pub const TEST_UNIX_MS: u64 = 1_700_000_000_000;

    /// The real machine. A panic of a task ends the process.
    #[must_use]
    pub fn os() -> Env {
        Env {
            clock: Arc::new(OsClock),
            random: Random::from_os(),
            disk: Arc::new(OsDisk::new()),
            tasks: TaskGroup::new(PanicPolicy::Abort),
            compute: Compute::per_core(),
            telemetry: Telemetry::new(),
            memory: MemoryBudget::of_machine(),
        }
    }

    /// A machine for tests, decided by a seed: the tokio runtime's clock (which tests pause), a memory
    /// disk, work inline.
    #[must_use]
    pub fn test(seed: u64) -> Env {
        Env::test_with_disk(seed).0
    }

    /// As [`Env::test`], together with its disk, for tests that crash it.
    #[must_use]
    pub fn test_with_disk(seed: u64) -> (Env, MemoryDisk) {
        let random = Random::seeded(seed);
        let disk = MemoryDisk::new(random.fork("disk").seed());
        let env = Env {
            clock: Arc::new(TokioClock::starting_at(Self::TEST_UNIX_MS)),
            random,
            disk: Arc::new(disk.clone()),
            tasks: TaskGroup::new(PanicPolicy::Propagate),
            compute: Compute::inline(),
            telemetry: Telemetry::new(),
            memory: MemoryBudget::unlimited(),
        };
        (env, disk)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("random", &self.random).finish_non_exhaustive()
    }
}
