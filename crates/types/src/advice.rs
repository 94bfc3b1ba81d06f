//! What a caller should do with an error.

/// Every public error of Cinclus answers `advice()` with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing happened; the same call may work later.
    Retry,
    /// Nothing happened; the channel is served elsewhere: ask the assignment view again.
    Reroute,
    /// The call can never work as it is.
    Reject,
    /// It may have happened; repeat it only with an idempotency key.
    Unknown,
}
