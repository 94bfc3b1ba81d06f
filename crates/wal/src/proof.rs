//! How an owner knows that it still is one.

/// What proves that no later owner was acknowledging: when a tick was picked for a Strong read (Q3), and below a tick
/// that the frontier moves to without a record (W4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnershipProof {
    /// A lock that nobody else can have as long as this process lives, as that on a data directory. Costs
    /// nothing.
    Lock,
    /// The ticks come from an oracle of this process, and the one of a later owner begins above all of them: what it
    /// acknowledged lies above every tick of this one. That costs the frontier nothing; a Strong read still needs a
    /// stored TimeTick.
    OwnTicks,
    /// A TimeTick that the log's storage takes after the tick was picked, one for all who wait. Costs an append.
    TimeTick,
}

impl OwnershipProof {
    /// Whether the frontier may move to a fresh tick that no record in the log reaches.
    #[must_use]
    pub fn covers_fresh_ticks(self) -> bool {
        match self {
            OwnershipProof::Lock | OwnershipProof::OwnTicks => true,
            OwnershipProof::TimeTick => false,
        }
    }
}
