//! The calls between the roles: traits, and the words that only calls need.
//!
//! The roles never import each other (A3): the coordinator, the nodes, the workers and the proxy know
//! these traits only. In one process a call is a method call; over machines the same traits are spoken
//! over gRPC.

pub mod append;
pub mod coord;
pub mod ddl;
pub mod grpc;
pub mod log;
pub mod merge;
pub mod node;
pub mod read;
pub mod worker;

pub use append::{AppendError, Appended, RollbackCause};
pub use coord::{CoordApi, CoordError};
pub use ddl::{Ddl, DdlDone, DdlError};
pub use log::{
    ConsumeError, Deliveries, Delivery, DeliveryKind, LogApi, ScanFilter, ScanFrom, Subscription, TxnEnds,
};
pub use merge::{compare_hits, keep_hits, keep_rows, merge_answers, merge_hits, take_of_group};
pub use node::{ChannelStatus, NodeApi, NodeError, ShardStatistics};
pub use read::{
    Freshness, Hits, QueryAnswer, QueryPlan, RangeBounds, ReadError, SearchAnswer, SearchPlan, ShardQuery,
    ShardRead, ShardSearch,
};
pub use worker::{SegmentLoad, SegmentsRead, WorkerApi, WorkerError};
