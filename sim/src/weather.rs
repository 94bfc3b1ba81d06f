//! How often what goes wrong.

use std::time::Duration;

/// Chances go from 0 to 1; the default is that nothing goes wrong and nothing takes time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// A commit of metadata that does not reach the store.
    pub meta_before: f64,
    /// A commit that is done, and whose answer is lost.
    pub meta_lost: f64,
    /// A read of metadata that fails.
    pub meta_read: f64,
    /// A commit that comes to be when nobody waits for it any more.
    pub meta_late: f64,
    /// The longest that metadata takes.
    pub meta_delay: Duration,
    /// A write or removal of an object that does not reach the store.
    pub object_before: f64,
    /// One that is done, and whose answer is lost.
    pub object_lost: f64,
    /// A write or removal that comes to be late, whatever became of its sender.
    pub object_late: f64,
    /// A read of an object that fails.
    pub object_read: f64,
    /// The longest that an object takes.
    pub object_delay: Duration,
    /// The longest that a worker takes to begin.
    pub worker_delay: Duration,
    /// A call that does not arrive.
    pub call_lost: f64,
    /// A call that arrives, and whose answer does not.
    pub answer_lost: f64,
    /// A call that arrives twice.
    pub call_repeated: f64,
    /// A call that arrives when nobody waits for its answer any more.
    pub call_late: f64,
    /// The longest that a call, and an answer, is on its way.
    pub call_delay: Duration,
}
