//! A log as its clients use it: appends, transactions of several calls, subscriptions.
//!
//! [`LogApi`] is what the owner of a log does; a subscription is a [`Deliveries`], from which its reader pulls
//! one [`Delivery`] after the other.

pub mod api;
pub mod delivery;
pub mod error;
pub mod scan;

pub use api::{Deliveries, LogApi};
pub use delivery::{Delivery, DeliveryKind, TxnEnds};
pub use error::ConsumeError;
pub use scan::{ScanFilter, ScanFrom, Subscription};
