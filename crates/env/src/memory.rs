//! One budget of memory for the process, with named parts.
//!
//! The budget counts what the parts say that they hold; it measures nothing. Who takes in more on request
//! asks first ([`MemoryPart::reserve`]); what has to be taken in (a log that is replayed) is only counted
//! ([`MemoryPart::hold`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::{Gauge, Telemetry};

/// The limit on a machine that does not say how much memory it has, in bytes.
const UNKNOWN_MACHINE_LIMIT: u64 = 4 << 30;

/// The budget has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory limit exceeded: need {need} bytes, used {used} of {limit}")]
pub struct MemoryFull {
    /// Bytes that were asked for.
    pub need: u64,
    /// Bytes in use.
    pub used: u64,
    /// The budget.
    pub limit: u64,
}

/// The budget of a process. Clones are the same budget.
#[derive(Clone)]
pub struct MemoryBudget {
    total: Arc<Total>,
}

struct Total {
    limit: AtomicU64,
    used: AtomicU64,
}

/// A named part of the budget. Clones are the same part.
#[derive(Clone)]
pub struct MemoryPart {
    total: Arc<Total>,
    gauge: Gauge,
}

/// Bytes of a part; dropping it gives them back.
pub struct MemoryHeld {
    part: MemoryPart,
    bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> MemoryBudget {
        MemoryBudget { total: Arc::new(Total { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }) }
    }

    /// A budget without a limit.
    #[must_use]
    pub fn unlimited() -> MemoryBudget {
        MemoryBudget::new(u64::MAX)
    }

    /// Half of this machine's memory, or of what its control group allows.
    #[must_use]
    pub fn of_machine() -> MemoryBudget {
        let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| machine_bytes(&text));
        let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let group = group.and_then(|text| text.trim().parse::<u64>().ok());
        let bytes = [machine, group].into_iter().flatten().min();
        MemoryBudget::new(bytes.map_or(UNKNOWN_MACHINE_LIMIT, |bytes| bytes / 2))
    }

    /// The most that may be reserved, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.total.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. What is held already stays.
    pub fn set_limit(&self, limit: u64) {
        self.total.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes that all parts hold.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.total.used.load(Ordering::Relaxed)
    }

    /// A part; parts of one name share a gauge, `cinclus_memory_used_bytes`.
    #[must_use]
    pub fn part(&self, name: &str, telemetry: &Telemetry) -> MemoryPart {
        let limit = telemetry.gauge("cinclus_memory_limit_bytes", "The memory budget.", &[]);
        limit.set(i64::try_from(self.limit()).unwrap_or(i64::MAX));
        let help = "Memory in use, by part of the budget.";
        let gauge = telemetry.gauge("cinclus_memory_used_bytes", help, &[("part", name)]);
        MemoryPart { total: self.total.clone(), gauge }
    }
}

impl MemoryPart {
    /// Takes room for so many bytes.
    ///
    /// # Errors
    /// [`MemoryFull`] if they do not fit: nothing was taken.
    pub fn reserve(&self, bytes: u64) -> Result<MemoryHeld, MemoryFull> {
        let limit = self.total.limit.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= limit);
        match self.total.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => {
                self.gauge.inc_by(bytes.cast_signed());
                Ok(MemoryHeld { part: self.clone(), bytes: AtomicU64::new(bytes) })
            }
            Err(used) => Err(MemoryFull { need: bytes, used, limit }),
        }
    }

    /// Counts bytes that are there, whether they fit or not.
    #[must_use]
    pub fn hold(&self, bytes: u64) -> MemoryHeld {
        let held = MemoryHeld { part: self.clone(), bytes: AtomicU64::new(0) };
        held.add(bytes);
        held
    }
}

impl MemoryHeld {
    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts more bytes, whether they fit or not.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.part.count(0, bytes);
    }

    /// Counts this many bytes from now on, whether they fit or not.
    pub fn set(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.part.count(before, bytes);
    }
}

impl MemoryPart {
    fn count(&self, before: u64, after: u64) {
        if after >= before {
            self.total.used.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.total.used.fetch_sub(before - after, Ordering::Relaxed);
        }
        self.gauge.inc_by(after.cast_signed() - before.cast_signed());
    }
}

impl Drop for MemoryHeld {
    fn drop(&mut self) {
        self.part.count(*self.bytes.get_mut(), 0);
    }
}

/// The bytes that `/proc/meminfo` says the machine has.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_need_use_and_limit() {
        let (budget, telemetry) = (MemoryBudget::new(100), Telemetry::new());
        let (growing, sealed) = (budget.part("growing", &telemetry), budget.part("sealed", &telemetry));
        let rows = growing.reserve(60).unwrap();
        let full = MemoryFull { need: 50, used: 60, limit: 100 };
        assert_eq!(sealed.reserve(50).err(), Some(full));
        rows.set(30);
        let loaded = sealed.reserve(50).unwrap();
        let replayed = growing.hold(40);
        assert_eq!((budget.used(), replayed.bytes()), (120, 40));
        assert!(telemetry.render().contains("cinclus_memory_used_bytes{part=\"growing\"} 70"));
        drop((rows, loaded, replayed));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(machine_bytes("MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16 << 10));
        assert_eq!(machine_bytes("nothing"), None);
        assert!(MemoryBudget::of_machine().limit() > 1 << 20);
    }
}
