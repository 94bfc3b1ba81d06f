//! One change to many VChannels: all of them, exactly once each, or none.
//!
//! 1. The [`Task`] is persisted: from here on the change will happen, whatever crashes.
//! 2. Its message is appended to every target; a log that saw the broadcast id before answers with the
//!    first result (Invariant C2), so a repeated step does no harm.
//! 3. In one transaction the catalog shows the change and the task is gone.
//! 4. The logs are told that they may forget the broadcast id. One that does not hear of it forgets it by age.
//!
//! The names that a change is about stay locked from before it is judged until step 3 is done, over
//! restarts too: so what a task does to the catalog still fits when it is done at last.

pub mod broadcaster;
pub mod task;

pub use broadcaster::Broadcaster;
pub use task::Task;
