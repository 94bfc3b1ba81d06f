//! What a message is.

use serde::{Deserialize, Serialize};

/// The kind of a message, with Milvus' numbers (`messages.proto`, MessageType).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(i32)]
pub enum Kind {
    /// Everything up to its tick has been said.
    TimeTick = 1,
    /// Rows.
    Insert = 2,
    /// Keys of rows that are gone.
    Delete = 3,
    /// A segment takes no more rows.
    Flush = 4,
    /// A collection exists.
    CreateCollection = 5,
    /// A collection is gone.
    DropCollection = 6,
    /// A partition exists.
    CreatePartition = 7,
    /// A partition is gone.
    DropPartition = 8,
    /// Somebody asked for all rows so far to be persisted.
    ManualFlush = 9,
    /// A segment exists.
    CreateSegment = 10,
    /// A collection's name, schema or properties changed.
    AlterCollection = 13,
    /// A collection is to be loaded, or loaded otherwise.
    AlterLoadConfig = 14,
    /// A collection is to be released.
    DropLoadConfig = 15,
    /// A database exists.
    CreateDatabase = 16,
    /// A database's properties changed.
    AlterDatabase = 17,
    /// A database is gone.
    DropDatabase = 18,
    /// An alias names a collection.
    AlterAlias = 19,
    /// An alias is gone.
    DropAlias = 20,
    /// An index exists.
    CreateIndex = 34,
    /// An index's parameters changed.
    AlterIndex = 35,
    /// An index is gone.
    DropIndex = 36,
    /// All rows of a collection are gone.
    TruncateCollection = 38,
    /// A transaction begins.
    BeginTxn = 900,
    /// A transaction's messages become visible.
    CommitTxn = 901,
    /// A transaction's messages never become visible.
    RollbackTxn = 902,
    /// A committed transaction as one message. Never stored.
    Txn = 999,
}

/// How the body of a message is written (property `_v`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A message of `msg.proto`.
    V1,
    /// A message of `messages.proto`.
    V2,
}

impl Version {
    /// The number in the property.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }
}

impl Kind {
    /// Every kind, by number.
    pub const ALL: [Kind; 26] = [
        Kind::TimeTick,
        Kind::Insert,
        Kind::Delete,
        Kind::Flush,
        Kind::CreateCollection,
        Kind::DropCollection,
        Kind::CreatePartition,
        Kind::DropPartition,
        Kind::ManualFlush,
        Kind::CreateSegment,
        Kind::AlterCollection,
        Kind::AlterLoadConfig,
        Kind::DropLoadConfig,
        Kind::CreateDatabase,
        Kind::AlterDatabase,
        Kind::DropDatabase,
        Kind::AlterAlias,
        Kind::DropAlias,
        Kind::CreateIndex,
        Kind::AlterIndex,
        Kind::DropIndex,
        Kind::TruncateCollection,
        Kind::BeginTxn,
        Kind::CommitTxn,
        Kind::RollbackTxn,
        Kind::Txn,
    ];

    /// Milvus' number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The kind of a number, if it is one that Cinclus writes.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Whether users may not send it: the log or the client library makes it.
    #[must_use]
    pub const fn is_system(self) -> bool {
        matches!(self, Kind::TimeTick | Kind::BeginTxn | Kind::CommitTxn | Kind::RollbackTxn | Kind::Txn)
    }

    /// Whether the owner of the log makes it by itself.
    #[must_use]
    pub const fn is_self_controlled(self) -> bool {
        matches!(self, Kind::TimeTick | Kind::CreateSegment | Kind::Flush)
    }

    /// Whether it stands alone in its VChannel: open transactions there fail first.
    #[must_use]
    pub const fn is_exclusive(self) -> bool {
        matches!(
            self,
            Kind::CreateCollection
                | Kind::DropCollection
                | Kind::TruncateCollection
                | Kind::CreatePartition
                | Kind::DropPartition
                | Kind::ManualFlush
                | Kind::AlterCollection
        )
    }

    /// Whether it carries rows or keys, and so may be part of a transaction.
    #[must_use]
    pub const fn is_dml(self) -> bool {
        matches!(self, Kind::Insert | Kind::Delete)
    }

    /// How its body is written.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Kind::TimeTick
            | Kind::Insert
            | Kind::Delete
            | Kind::CreateCollection
            | Kind::DropCollection
            | Kind::CreatePartition
            | Kind::DropPartition => Version::V1,
            Kind::Flush
            | Kind::ManualFlush
            | Kind::CreateSegment
            | Kind::AlterCollection
            | Kind::AlterLoadConfig
            | Kind::DropLoadConfig
            | Kind::CreateDatabase
            | Kind::AlterDatabase
            | Kind::DropDatabase
            | Kind::AlterAlias
            | Kind::DropAlias
            | Kind::CreateIndex
            | Kind::AlterIndex
            | Kind::DropIndex
            | Kind::TruncateCollection
            | Kind::BeginTxn
            | Kind::CommitTxn
            | Kind::RollbackTxn
            | Kind::Txn => Version::V2,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::messages::MessageType;

    #[test]
    fn numbers_and_names_are_those_of_the_protocol() {
        for kind in Kind::ALL {
            let wire = MessageType::try_from(kind.number()).unwrap();
            assert_eq!(wire.as_str_name(), kind.to_string());
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!((Kind::from_number(0), Kind::from_number(11)), (None, None));
    }

    #[test]
    fn only_rows_and_keys_may_be_in_a_transaction() {
        let dml: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_dml()).collect();
        assert_eq!(dml, [Kind::Insert, Kind::Delete]);
        assert!(Kind::ALL.into_iter().all(|kind| !(kind.is_exclusive() && kind.is_system())));
    }
}
