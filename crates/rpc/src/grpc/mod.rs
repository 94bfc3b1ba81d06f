//! The streaming service over gRPC, on both ends: Milvus' contract, and what of ours it has no room for in
//! fields with numbers from 1000 on.
//!
//! - [`log_service`] serves a [`crate::LogApi`]: `produce` and `consume` are its two kinds of streams.
//! - [`view_service`] tells who owns which log.
//! - [`remote_log`] is a [`crate::LogApi`] at the other end: `producer` and `remote_deliveries` are its
//!   streams. [`remote_view`] follows who owns which log.
//! - `message`, `start`, `error` and `metadata` convert; [`proto`] is generated, except for [`delivered`], which
//!   is what most bytes are sent in; `codec` writes them.
//!
//! A producer's stream begins with the answer `create`; answers come in the order of completion and name their
//! request; `close` is answered when everything before it is. A consumer's stream begins with `create`, then the
//! client says what it wants: one or several consumers, each of a VChannel or of the whole log, and later more of
//! them or fewer. A committed transaction comes as its begin, its bodies and its commit, with nothing
//! in between. TimeTicks come with the published frontier: they are not stored as they are (property `_np`), and
//! their id is where to go on.

mod codec;
mod consume;
mod consumers;
pub mod delivered;
mod error;
pub mod log_service;
mod message;
mod metadata;
mod produce;
mod producer;
#[allow(missing_docs, reason = "generated code")]
pub mod proto;
mod remote_deliveries;
pub mod remote_log;
pub mod remote_view;
mod start;
pub mod view_service;

pub use log_service::LogService;
pub use remote_log::RemoteLog;
pub use remote_view::RemoteView;
pub use view_service::ViewService;

/// Messages may be as large as the log takes; this only keeps nonsense from being allocated.
const MESSAGE_BYTES_MAX: usize = 512 << 20;

/// Bytes that a stream, and a connection, may have under way without an answer from the reader.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// Bytes that are sent to us in one frame: few frames for large messages.
const FRAME_BYTES: u32 = 1 << 20;
