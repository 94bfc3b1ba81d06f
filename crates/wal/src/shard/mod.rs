//! What a PChannel holds: collections, partitions, growing segments, remembered requests.
//!
//! [`ShardState`] is one pure state machine with two instances (DESIGN §1.4). The writer's *live*
//! instance stands at the write frontier: it refuses what cannot be applied and places rows. The feed's
//! *recovered* instance stands at the read frontier: it is what a checkpoint keeps. Both apply the same
//! messages, and because placements are in the messages, neither decides anything when it applies.

pub mod assigner;
pub mod dedup;
pub mod effect;
pub mod seal_policy;
pub mod state;

pub use assigner::{Assignment, SegmentAssigner};
pub use dedup::{Answer, Dedup, DedupKey, DedupLimits, closed_segments};
pub use effect::Effect;
pub use seal_policy::{SealPolicy, SealReason};
pub use state::{GrowingSegment, Seal, Shard, ShardState};
