//! Puts transactions together again on the way to a reader.

use std::collections::BTreeMap;

use cinclus_env::mutated;
use cinclus_types::message::{Header, Message};
use cinclus_types::{MessageId, SegmentId, Tick, TxnId};
use rustc_hash::FxHashMap;

use super::table::{OpenTxn, TxnTable};

/// What a record amounts to for a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// A message of its own.
    One(Message),
    /// A transaction became visible with its commit (W5).
    Txn {
        /// The message that began it.
        begin: Message,
        /// Its rows and deletes in order; empty for one without any.
        bodies: Vec<Message>,
        /// The message that made it visible.
        commit: Message,
    },
}

/// Holds the parts of open transactions until their commit. Pure: it looks at the records only, so every
/// reader of the log, whenever it reads, comes to the same result.
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    open: TxnTable,
    parts: FxHashMap<TxnId, Parts>,
}

/// What came of an open transaction so far.
#[derive(Clone, Debug)]
struct Parts {
    begin: Message,
    bodies: Vec<Message>,
}

impl Assembler {
    /// Takes in the next record of the log.
    pub fn push(&mut self, message: Message) -> Assembled {
        self.expire(message.tick());
        let Some(txn) = message.txn() else { return Assembled::One(message) };
        let Some(vchannel) = message.vchannel().cloned() else { return Assembled::Nothing };
        let id = txn.txn;
        if let Header::BeginTxn { keepalive } = message.header() {
            let opened = OpenTxn {
                vchannel,
                begin: Some(message.id()),
                last: message.tick(),
                keepalive: *keepalive,
                placed: BTreeMap::new(),
            };
            self.begin(id, opened, message);
            Assembled::Nothing
        } else if message.header() == &Header::CommitTxn {
            self.open.end(id);
            // Invariant W5. A commit whose begin was not read belongs to a transaction that the reader's
            // checkpoint lies behind, or that expired.
            match self.parts.remove(&id) {
                Some(Parts { begin, bodies }) => Assembled::Txn { begin, bodies, commit: message },
                None => Assembled::Nothing,
            }
        } else if message.header() == &Header::RollbackTxn {
            self.open.end(id);
            self.parts.remove(&id);
            Assembled::Nothing
        } else {
            if let Some(parts) = self.parts.get_mut(&id) {
                self.open.body(id, message.tick(), placed(message.header()));
                parts.bodies.push(message);
            }
            Assembled::Nothing
        }
    }

    /// A begin that comes twice counts once.
    fn begin(&mut self, id: TxnId, opened: OpenTxn, begin: Message) {
        if !self.parts.contains_key(&id) {
            self.open.begin(id, opened);
            self.parts.insert(id, Parts { begin, bodies: Vec::new() });
        }
    }

    /// The open transactions.
    #[must_use]
    pub fn open(&self) -> &TxnTable {
        &self.open
    }

    /// From where a reader resumes that has read everything before `next`.
    #[must_use]
    pub fn resume(&self, next: MessageId) -> MessageId {
        // Invariant W10. Not after the begin of an open transaction.
        let begin = self.open.first_begin().filter(|_| !mutated("ResumesBehindBegins"));
        begin.map_or(next, |begin| begin.min(next))
    }

    fn expire(&mut self, tick: Tick) {
        while let Some((id, _)) = self.open.pop_expired(tick) {
            self.parts.remove(&id);
        }
    }
}

/// Where the rows of a body went.
#[must_use]
pub fn placed(header: &Header) -> Option<(SegmentId, u64, u64)> {
    if let Header::Insert { segment: Some(segment), rows, binary_size, .. } = header {
        Some((*segment, *rows, *binary_size))
    } else {
        None
    }
}
