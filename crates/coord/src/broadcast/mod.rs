//! One change to many VChannels: all of them, exactly once each, or none.
//!
//! 1. The [`Task`] is persisted: from here on the change will happen, whatever crashes.
//! 2. Its messages are appended; a log that saw the broadcast id before answers with the first result
//!    (Invariant C2), so a repeated step does no harm.
//! 3. In one transaction the catalog shows the change and the task is gone.

pub mod broadcaster;
pub mod task;

pub use broadcaster::Broadcaster;
pub use task::Task;
