//! Which fault comes when: all of it follows from one seed.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::outside::rows::Noise;

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FaultKind {
    /// kill -9, and started again.
    Kill,
    /// SIGSTOP for a while, then SIGCONT.
    Pause,
    /// SIGTERM, and started again when it has ended.
    Stop,
    /// The disk is full for a while; every other time kill -9 and a start in between. Needs --small-disk.
    Disk,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultKind::Kill => "kill",
            FaultKind::Pause => "pause",
            FaultKind::Stop => "stop",
            FaultKind::Disk => "disk",
        })
    }
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is done.
    pub(super) kind: FaultKind,
    /// How long the load has run before.
    pub(super) after: Duration,
    /// How long a pause or a full disk lasts.
    pub(super) span: Duration,
    /// Whether the server is killed while the disk is full.
    pub(super) killed: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, after, span, killed } = self;
        write!(f, "after {:.2} s {kind}", after.as_secs_f64())?;
        match kind {
            FaultKind::Kill | FaultKind::Stop => Ok(()),
            FaultKind::Pause => write!(f, " for {:.2} s", span.as_secs_f64()),
            FaultKind::Disk if *killed => {
                write!(f, " full for {:.2} s, killed meanwhile", span.as_secs_f64())
            }
            FaultKind::Disk => write!(f, " full for {:.2} s", span.as_secs_f64()),
        }
    }
}

/// The faults, one after the other, without an end.
pub(super) struct Plan {
    chance: Noise,
    kinds: Vec<FaultKind>,
    left: Vec<FaultKind>,
}

impl Plan {
    /// A plan of faults of these kinds, of which there is one at least.
    pub(super) fn new(seed: u64, kinds: &[FaultKind]) -> Plan {
        let mut kinds = kinds.to_vec();
        kinds.sort();
        kinds.dedup();
        Plan { chance: Noise::new(seed), kinds, left: Vec::new() }
    }

    /// The next. Each kind comes once before any comes again.
    pub(super) fn next(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        let kind = self.left.swap_remove(self.chance.below(self.left.len() as u64) as usize);
        let mut millis = |from: u64, to: u64| Duration::from_millis(from + self.chance.below(to - from));
        // A load that has hardly begun is hit, too.
        let (after, span) = (millis(50, 1500), millis(100, 2000));
        Fault { kind, after, span, killed: self.chance.below(2) == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FaultKind; 4] = [FaultKind::Kill, FaultKind::Pause, FaultKind::Stop, FaultKind::Disk];

    fn faults(seed: u64, count: usize) -> Vec<Fault> {
        let mut plan = Plan::new(seed, &ALL);
        (0..count).map(|_| plan.next()).collect()
    }

    #[test]
    fn a_seed_decides_all() {
        assert_eq!(faults(7, 100), faults(7, 100));
        assert_ne!(faults(7, 100), faults(8, 100));
    }

    #[test]
    fn each_kind_comes_before_any_comes_again() {
        for four in faults(3, 40).chunks(4) {
            let mut kinds: Vec<FaultKind> = four.iter().map(|fault| fault.kind).collect();
            kinds.sort();
            assert_eq!(kinds, ALL);
        }
        let mut plan = Plan::new(1, &[FaultKind::Pause, FaultKind::Pause]);
        let text = plan.next().to_string();
        assert!(text.starts_with("after ") && text.contains(" s pause for "), "{text}");
    }
}
