//! Logs as objects: Woodpecker's layout for an object storage, which it calls `minio`. No disk is needed.
//!
//! The names and contents of the objects are on the page of `objects`; the metadata is that of
//! [`metadata`](super::metadata).
//!
//! **Appending without a timer.** `pipe` puts each block with one conditional put. A batch that finds no put
//! in flight goes out at once; what comes meanwhile goes together into the next block, which goes out when
//! it is full, beside the others, or when no put is in flight any more. Acks come in order: a block counts
//! when every earlier one is there.
//!
//! **Rolling.** A segment that has reached its size, age or number of blocks is left as soon as `keeper` has
//! noted the next one in the metadata; while that is away, it grows on. The first block of the next segment
//! waits until all blocks of the left one are there, and its acks wait for the left one's footer. The blocks
//! behind it wait for nothing: without the first they do not count. So only the last segment with acknowledged
//! records can be without a footer.
//!
//! **One writer.** An open raises our fence key, then puts a fence object at the next block of every active
//! segment (`recover`), gives each its footer, and starts a new segment. A writer whose put meets another
//! object is fenced.
//!
//! **Afterwards** (`janitor`) completed segments are merged into larger blocks (`compact`), and truncated ones
//! are removed (`collect`). Fences stay for ever.
//!
//! **Reading.** In the process of the writer a reader knows what is durable and asks nobody. Elsewhere it
//! asks for the next block, and at the end for the metadata; and it is registered there (`registration`).

mod ahead;
mod block;
mod channel;
mod collect;
mod compact;
mod config;
mod footer;
mod janitor;
mod keeper;
mod objects;
mod pipe;
mod reader;
mod recover;
mod registration;
mod scan;
mod segment;
mod shared;
mod storage;
mod writer;

pub use config::ObjectsConfig;
pub use storage::WoodpeckerObjects;
