//! What must be true of a run, one invariant a file.
//!
//! A checker looks at [`Evidence`]: what clients were told, and what the logs hold, also what was truncated since.
//! It never asks the house. Each says how many things it looked at, so that a checker that saw nothing shows.

pub mod bounds;
pub mod broadcasts;
pub mod checkpoints;
pub mod durability;
pub mod effects;
pub mod evidence;
pub mod exactly_once;
pub mod freshness;
pub mod linearizable;
pub mod memory;
pub mod mvcc;
pub mod order;
pub mod readers;
pub mod segments;
pub mod transactions;

pub use evidence::Evidence;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The invariant or rule.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(invariant: &'static str, text: impl Into<String>) -> Finding {
        Finding { invariant, text: text.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.invariant, self.text)
    }
}

/// All findings of all checkers; counts what was checked into the evidence's tally.
#[must_use]
pub fn check_all(evidence: &Evidence) -> Vec<Finding> {
    let checkers: [fn(&Evidence) -> Vec<Finding>; 8] = [
        order::check,
        durability::check,
        exactly_once::check,
        transactions::check,
        freshness::check,
        mvcc::check,
        broadcasts::check,
        linearizable::check,
    ];
    checkers.iter().flat_map(|check| check(evidence)).collect()
}
