//! Ids. All are 64-bit numbers from the one allocator (the TSO), each with a type of its own.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A database.
    DatabaseId;
    /// A collection.
    CollectionId;
    /// A partition of a collection.
    PartitionId;
    /// A segment: rows of one partition in one VChannel.
    SegmentId;
    /// A field of a schema. User fields start at 100; 0 is the row id, 1 the timestamp.
    FieldId;
    /// An index of a field.
    IndexId;
    /// A transaction in one VChannel.
    TxnId;
    /// A broadcast: one message to many VChannels.
    BroadcastId;
    /// A process that takes part: unique for each start.
    NodeId;
    /// How often the ownership of a PChannel changed. Starts at 1, never repeats (C1).
    Term;
}

impl FieldId {
    /// The hidden row id.
    pub const ROW_ID: FieldId = FieldId(0);
    /// The hidden timestamp.
    pub const TIMESTAMP: FieldId = FieldId(1);
    /// The first id of a user's field.
    pub const FIRST_USER: FieldId = FieldId(100);
}
