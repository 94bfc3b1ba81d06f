//! What the coordinator does for the others.

use async_trait::async_trait;
use cinclus_types::{Advice, AssignmentView, TickRange};
use tokio::sync::watch;

use crate::{Ddl, DdlDone, DdlError};

/// Why the coordinator could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordError {
    /// It cannot be reached, or is not ready.
    #[error("the coordinator is not available: {0}")]
    Unavailable(String),
    /// The clock jumped ahead by more than the TSO follows.
    #[error("the clock is ahead of the last timestamp by more than allowed: {0}")]
    ClockJump(String),
}

impl CoordError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            CoordError::Unavailable(_) | CoordError::ClockJump(_) => Advice::Retry,
        }
    }
}

/// The coordinator.
#[async_trait]
pub trait CoordApi: Send + Sync + 'static {
    /// Grants a run of ticks; also the source of ids. Ticks only grow, over restarts too.
    async fn ticks(&self, count: u32) -> Result<TickRange, CoordError>;

    /// As [`CoordApi::ticks`], for a request that may come again: whoever names it gets the ticks that the first
    /// call got, after restarts too. Names are forgotten after some minutes. A `count` that differs from the
    /// first one's is not looked at.
    async fn ticks_of(&self, request: &str, count: u32) -> Result<TickRange, CoordError>;

    /// Carries out a change of databases, collections, partitions, aliases, indexes or load states.
    /// When it returns the change is durable, in every log that it concerns, and visible in the catalog.
    async fn ddl(&self, ddl: Ddl) -> Result<DdlDone, DdlError>;

    /// Follows which node serves which log.
    fn assignments(&self) -> watch::Receiver<AssignmentView>;
}
