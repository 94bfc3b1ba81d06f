//! What clients did and what they were told, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_rpc::{Appended, Freshness};
use cinclus_types::{PartitionId, Tick, VChannel};
use parking_lot::Mutex;

/// A part of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Rows: key and value.
    Insert {
        /// Where to.
        partition: PartitionId,
        /// Key and value; the value names the operation.
        rows: Vec<(i64, i64)>,
    },
    /// Deletes by key.
    Delete {
        /// Only there, or everywhere.
        partition: Option<PartitionId>,
        /// What is deleted.
        keys: Vec<i64>,
    },
    /// Seals what is growing.
    Flush,
}

/// How something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// In one call: the ids of all messages are told.
    Call,
    /// In a transaction of several calls: its tick is told.
    Session,
    /// Through the proxy: its tick is told, and only rows say which operation they are of.
    Proxy,
}

/// What a client wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// To append, as one transaction if there are several changes.
    Append {
        /// Where.
        vchannel: VChannel,
        /// What.
        changes: Vec<Change>,
        /// With this key, so that it may be sent again.
        key: Option<String>,
        /// How.
        by: By,
    },
    /// To read a shard.
    Read {
        /// Which one.
        vchannel: VChannel,
        /// How fresh.
        freshness: Freshness,
        /// Only these keys.
        keys: Option<Vec<i64>>,
        /// Only how many rows there are.
        count_only: bool,
    },
    /// Anything else, in words.
    Other(String),
}

/// What it came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nobody knows: the client died first, or the answer was lost.
    Unknown(String),
    /// Appended.
    Appended(Appended),
    /// Read.
    Answered(Answer),
    /// Certainly nothing happened.
    Refused(String),
    /// Done.
    Done,
}

/// What a read answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The tick of the read.
    pub at: Tick,
    /// How many rows there are.
    pub count: u64,
    /// Key and value of the rows, with their ticks.
    pub rows: BTreeMap<i64, (i64, Tick)>,
}

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number, also in the values and marks of what it writes.
    pub number: u64,
    /// Who did it.
    pub actor: u64,
    /// When it began, in the order of all beginnings and ends.
    pub invoked: u64,
    /// When its outcome was known.
    pub ended: Option<u64>,
    /// What was wanted.
    pub wish: Wish,
    /// What it came to.
    pub outcome: Outcome,
}

/// Everything that clients did. Clones are the same.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    order: u64,
    operations: Vec<Operation>,
    /// The greatest tick of a write that was acknowledged.
    written: BTreeMap<VChannel, Tick>,
}

impl History {
    /// An operation begins; `wish` is told its number.
    pub fn begin(&self, actor: u64, wish: impl FnOnce(u64) -> Wish) -> (u64, Wish) {
        let inner = &mut *self.0.lock();
        let number = inner.operations.len() as u64;
        inner.order += 1;
        let wish = wish(number);
        inner.operations.push(Operation {
            number,
            actor,
            invoked: inner.order,
            ended: None,
            wish: wish.clone(),
            outcome: Outcome::Unknown("it never ended".to_owned()),
        });
        (number, wish)
    }

    /// An operation ends.
    pub fn end(&self, number: u64, outcome: Outcome) {
        let inner = &mut *self.0.lock();
        inner.order += 1;
        let operation = &mut inner.operations[number as usize];
        operation.ended = Some(inner.order);
        operation.outcome = outcome;
        if let (Wish::Append { vchannel, .. }, Outcome::Appended(appended)) =
            (&operation.wish, &operation.outcome)
        {
            let newest = inner.written.entry(vchannel.clone()).or_default();
            *newest = (*newest).max(appended.tick);
        }
    }

    /// The greatest tick of a write in a VChannel that somebody was told.
    #[must_use]
    pub fn written(&self, vchannel: &VChannel) -> Tick {
        self.0.lock().written.get(vchannel).copied().unwrap_or_default()
    }

    /// What has no outcome, from an operation on.
    #[must_use]
    pub fn waiting(&self, from: usize) -> Vec<String> {
        let inner = self.0.lock();
        let waiting = inner.operations.iter().skip(from).filter(|operation| operation.ended.is_none());
        waiting.map(|operation| format!("{} {:?}", operation.number, operation.wish)).collect()
    }

    /// How many operations there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().operations.len()
    }

    /// All operations by number.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.0.lock().operations.clone()
    }
}
