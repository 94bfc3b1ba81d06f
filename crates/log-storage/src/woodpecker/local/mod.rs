//! Logs as files: Woodpecker's local layout.
//!
//! Under the root there is one directory a log (by its number) and in it one a segment:
//!
//! ```text
//! root/LOCK                     the lock of the process that has the storage open
//! root/<log>/CHANNEL            the PChannel's name, for tools; ours
//! root/<log>/<segment>/data.log Header | {BlockHeader | Data…}… | Index… | Footer
//!                      write.lock  locked by the writer of the segment
//!                      write.fence its existence tells a Woodpecker writer to stop
//! ```
//!
//! **Group commit without a timer.** `pipe` has at most one write with its sync in flight. A batch that
//! finds none goes out at once; what comes meanwhile goes together into the next block. The next one is
//! started on the thread that ended the one before, so a lone append costs two hand-overs and a sync.
//!
//! **Rolling.** The block that makes a segment end is written together with the segment's indexes and
//! footer, under one sync. So whenever a segment has records, every segment before it has its footer; only
//! the last one with records can be unfinished. The next segment's file, directory and metadata are made
//! ready in the background by `keeper`.
//!
//! **Recovery** (`recover`) reads the unfinished segment block by block, cuts a torn tail, writes the
//! footer, and a new segment is started. What is a torn tail and what is damage is decided in `scan`.
//!
//! Who waits on whom: [`LogWriter::append`](crate::LogWriter::append) waits for nobody (its caller bounds
//! what is in flight); readers share one short lock with the writer, for the durable end.

mod active;
mod channel;
mod config;
mod files;
mod index;
pub mod inspect;
mod keeper;
mod one_bit;
mod pipe;
mod reader;
mod recover;
pub mod repair;
mod scan;
mod segment;
mod storage;
mod window;
mod writer;

pub use config::LocalConfig;
pub use storage::WoodpeckerLocal;
