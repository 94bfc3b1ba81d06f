//! Rows in memory: those of growing segments, and those of sealed ones once their chunks are loaded.
//!
//! A [`Segment`] is a list of blocks. All blocks but the last are closed: no row is added to them, and an
//! insert that is as large as a block becomes one by moving its vectors. The last block, the *tail*,
//! takes small inserts. A reader takes a `View`: two shared pointers, after which it needs no lock. If a
//! reader holds the tail when the next insert comes, the writer goes on with a copy of it, so a reader
//! costs the writer one copy of at most a block, and neither waits for the other's work.
//!
//! | what | where | bytes a row |
//! | --- | --- | --- |
//! | values | `Block`, columns as they came | raw |
//! | effective ticks | [`RowTicks`], one for the block if all rows have the same | 0 or 8 |
//! | the tick of the delete that hides a row | `DeletedAt`, made at the first delete in a block | 0 or 8 |
//! | primary key → its rows, newest first | `KeyIndex`, 64-bit slots; keys are compared in the column | 10 to 20 |
//! | norms for COSINE | `Block`, made at the first such search | 0 or 4 |

mod block;
mod deleted_at;
mod fill;
mod key_index;
mod key_ref;
mod row_run;
mod row_ticks;
mod segment;
mod view;

pub(crate) use block::Block;
pub(crate) use fill::filled;
pub(crate) use key_ref::KeyRef;
pub use row_run::RowRun;
pub use row_ticks::RowTicks;
pub use segment::Segment;
pub(crate) use view::View;
