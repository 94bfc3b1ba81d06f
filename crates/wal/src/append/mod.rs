//! The append path of one PChannel.
//!
//! One task owns it and is reached by a bounded queue. What is small waits in it while a batch is at the
//! storage; then it takes all that wait through the stages, in this order, and sends them to the storage in
//! one call. What is large goes at once; acks come back in order while later batches are under way:
//!
//! 1. [`admit`]: size, room, shape, duplicates, collection, partition and schema version. What is
//!    refused here left no trace.
//! 2. [`stamp`]: tick, term, last confirmed id.
//! 3. [`place`]: the segment of rows; CreateSegment before and Flush after, when needed.
//! 4. store: encoded and handed to the log storage, never awaited here.
//! 5. publish: on the ack, in order: write-ahead buffer, frontier, answers.
//!
//! A failed append ends the session with the storage, nothing else: the task opens the storage again,
//! which fences what it sent before, waits until the feed has read to the end, and goes on from
//! the recovered state.

pub mod admit;
pub(crate) mod batch;
mod gathered;
mod pace;
pub mod place;
#[cfg(test)]
mod place_tests;
pub(crate) mod publish;
pub(crate) mod request;
mod requests;
pub(crate) mod session;
pub(crate) mod space;
pub mod stamp;
mod ticks_asked;
pub(crate) mod writer;
