//! Reading a PChannel in order.
//!
//! A reader first reads the storage (catch-up), and follows the write-ahead buffer (tail) as soon as
//! the buffer holds everything from its position on. When it falls behind what the buffer keeps, or the
//! writer was opened again, it reads the storage again from exactly the next record: no gap, no repeat.
//! Transactions are delivered whole, at their commit. A reader whose own records are all read is told
//! how far time has come by a TimeTick at the published frontier.

mod beginning;
pub mod catch_up;
pub mod cursor;
pub mod feed;
pub mod scanner;

pub use cinclus_rpc::{Delivery, DeliveryKind, ScanFilter, ScanFrom};
pub use feed::Feed;
pub use scanner::Scanner;
