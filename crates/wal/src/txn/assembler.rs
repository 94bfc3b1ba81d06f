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
    /// Bytes of log that were read.
    read: u64,
}

/// Log that whoever resumes reads again, because a transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The id of the transaction's begin.
    pub begin: MessageId,
    /// Bytes from there on.
    pub bytes: u64,
}

/// What came of an open transaction so far.
#[derive(Clone, Debug)]
struct Parts {
    begin: Message,
    bodies: Vec<Message>,
    /// Bytes that were read before the begin.
    before: u64,
}

impl Assembler {
    /// A record of so many bytes was read, and pushed if it is one for this reader.
    pub fn passed(&mut self, bytes: u64) {
        self.read += bytes;
    }

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
                Some(Parts { begin, bodies, .. }) => Assembled::Txn { begin, bodies, commit: message },
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
            self.parts.insert(id, Parts { begin, bodies: Vec::new(), before: self.read });
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

    /// What the open transactions hold, oldest first.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        let begun = self.open.begun().filter(|_| !mutated("ResumesBehindBegins"));
        let parts = begun.filter_map(|(begin, id)| Some((begin, self.parts.get(&id)?)));
        parts.map(|(begin, parts)| Held { begin, bytes: self.read - parts.before }).collect()
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
