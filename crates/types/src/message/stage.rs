//! The stages of a message: [`Draft`], [`Stamped`], [`Placed`], [`Stored`].
//!
//! Each stage is made only from the one before, so a message cannot reach the log without a tick, nor
//! rows without a segment.

use std::sync::Arc;

use bytes::Bytes;

use super::broadcast::BroadcastHeader;
use super::header::Header;
use super::kind::Kind;
use super::txn::TxnContext;
use crate::{MessageId, Properties, SegmentId, Term, Tick, VChannel};

/// What a producer hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Where it belongs; `None` is the whole log, which only a TimeTick is for.
    pub vchannel: Option<VChannel>,
    /// What it says without its payload.
    pub header: Header,
    /// The body, encoded ([`super::body`]). Invariant W9: the append path never looks inside.
    pub payload: Bytes,
    /// The transaction that it belongs to.
    pub txn: Option<TxnContext>,
    /// The broadcast that it is a copy of.
    pub broadcast: Option<BroadcastHeader>,
    /// The producer's key: of two messages with the same key, one is stored.
    pub idempotency_key: Option<String>,
    /// The trace that it belongs to, as its tracer writes it.
    pub trace: Option<String>,
}

impl Draft {
    /// Bytes of properties that a record has beside its payload, as a rule.
    pub const PROPERTIES_BYTES: usize = 512;

    /// Its size, in bytes, as limits count it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.payload.len() + Draft::PROPERTIES_BYTES) as u64
    }

    /// A message for a VChannel, outside of transactions and broadcasts.
    #[must_use]
    pub fn new(vchannel: VChannel, header: Header, payload: Bytes) -> Draft {
        Draft { vchannel: Some(vchannel), ..Draft::bare(header, payload) }
    }

    /// A TimeTick for the whole log.
    #[must_use]
    pub fn time_tick(payload: Bytes) -> Draft {
        Draft::bare(Header::TimeTick, payload)
    }

    fn bare(header: Header, payload: Bytes) -> Draft {
        Draft {
            vchannel: None,
            header,
            payload,
            txn: None,
            broadcast: None,
            idempotency_key: None,
            trace: None,
        }
    }

    /// What kind of message it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.header.kind()
    }

    /// Gives the message its place in time.
    #[must_use]
    pub fn stamp(self, tick: Tick, term: Term, last_confirmed: LastConfirmed) -> Stamped {
        Stamped { draft: self, tick, term, last_confirmed }
    }
}

/// From where a reader that has seen this message goes on without missing one.
///
/// Reading the log from here gives every message with a greater tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastConfirmed {
    /// From this id (property `_lc`).
    Id(MessageId),
    /// From the message itself (property `_lcs`).
    Own,
}

/// A message with its tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    draft: Draft,
    tick: Tick,
    term: Term,
    last_confirmed: LastConfirmed,
}

/// Which segments a message touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// None.
    Nowhere,
    /// Its rows go into this one.
    Into(SegmentId),
    /// It closes these.
    Closes(Vec<SegmentId>),
}

impl Stamped {
    /// What the producer handed in.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Its tick.
    #[must_use]
    pub const fn tick(&self) -> Tick {
        self.tick
    }

    /// Writes the segments that it touches into its header.
    ///
    /// # Panics
    /// If the placement does not fit the kind: an insert goes into one segment, a flush by hand, an
    /// altered or truncated collection closes some, everything else touches none.
    #[must_use]
    pub fn place(mut self, placement: Placement) -> Placed {
        let header = &mut self.draft.header;
        let kind = header.kind();
        if let Header::Insert { segment, .. } = header {
            // Invariant W8.
            let Placement::Into(chosen) = placement else { panic!("an insert without a segment") };
            *segment = Some(chosen);
        } else if let Some(segments) = header.closed_segments_mut() {
            let Placement::Closes(closed) = placement else {
                panic!("{kind} without the segments it closes")
            };
            *segments = closed;
        } else {
            assert!(placement == Placement::Nowhere, "{kind} touches no segment, but got {placement:?}");
        }
        Placed(self)
    }
}

/// A message that says which segments it touches: ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed(Stamped);

impl Placed {
    /// The message as the producer handed it in, with the segments in its header.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.0.draft
    }

    /// Its tick.
    #[must_use]
    pub const fn tick(&self) -> Tick {
        self.0.tick
    }

    /// The term that wrote it.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.0.term
    }

    /// From where a reader goes on.
    #[must_use]
    pub const fn last_confirmed(&self) -> LastConfirmed {
        self.0.last_confirmed
    }

    /// The log has it under this id.
    #[must_use]
    pub fn stored(self, id: MessageId) -> Stored {
        Stored(Arc::new(Inner { id, placed: self, properties: None }))
    }
}

/// A message as readers see it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored(Arc<Inner>);

/// What readers call a stored message.
pub type Message = Stored;

#[derive(Debug)]
struct Inner {
    id: MessageId,
    placed: Placed,
    /// The properties that it was read with, to be passed on as they are.
    properties: Option<Properties>,
}

impl PartialEq for Inner {
    fn eq(&self, other: &Inner) -> bool {
        self.id == other.id && self.placed == other.placed
    }
}

impl Eq for Inner {}

impl Stored {
    /// For the codec, whose input was placed when it was written.
    pub(crate) fn from_log(id: MessageId, stamped: Stamped, properties: Properties) -> Stored {
        Stored(Arc::new(Inner { id, placed: Placed(stamped), properties: Some(properties) }))
    }

    pub(crate) fn read_properties(&self) -> Option<&Properties> {
        self.0.properties.as_ref()
    }

    pub(crate) fn placed(&self) -> &Placed {
        &self.0.placed
    }

    fn draft(&self) -> &Draft {
        self.0.placed.draft()
    }

    /// Where it stands in the log.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.0.id
    }

    /// Its tick.
    #[must_use]
    pub fn tick(&self) -> Tick {
        self.0.placed.tick()
    }

    /// The term that wrote it.
    #[must_use]
    pub fn term(&self) -> Term {
        self.0.placed.term()
    }

    /// Where it belongs; `None` is the whole log.
    #[must_use]
    pub fn vchannel(&self) -> Option<&VChannel> {
        self.draft().vchannel.as_ref()
    }

    /// What it says without its payload.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.draft().header
    }

    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header().kind()
    }

    /// The body, encoded ([`super::body`]).
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.draft().payload
    }

    /// From where a reader that has seen this message goes on without missing one.
    #[must_use]
    pub fn last_confirmed(&self) -> MessageId {
        match self.0.placed.last_confirmed() {
            LastConfirmed::Id(id) => id,
            LastConfirmed::Own => self.id(),
        }
    }

    /// The transaction that it belongs to.
    #[must_use]
    pub fn txn(&self) -> Option<TxnContext> {
        self.draft().txn
    }

    /// The broadcast that it is a copy of.
    #[must_use]
    pub fn broadcast(&self) -> Option<&BroadcastHeader> {
        self.draft().broadcast.as_ref()
    }

    /// The producer's key.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.draft().idempotency_key.as_deref()
    }

    /// The trace that it belongs to, as its tracer writes it.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.draft().trace.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CollectionId, PartitionId};

    fn insert() -> Draft {
        let header = Header::Insert {
            collection: CollectionId(1),
            partition: PartitionId(2),
            rows: 3,
            binary_size: 4,
            segment: None,
            schema_version: 0,
        };
        Draft::new(VChannel::new("log_0_1v0"), header, Bytes::from_static(b"rows"))
    }

    #[test]
    fn a_stored_message_says_all_that_its_stages_gave_it() {
        let id = MessageId::from_parts(0, 5, 6);
        let stamped = insert().stamp(Tick(70), Term(8), LastConfirmed::Own);
        let stored = stamped.place(Placement::Into(SegmentId(9))).stored(id);
        assert_eq!(
            (stored.id(), stored.tick(), stored.term(), stored.last_confirmed()),
            (id, Tick(70), Term(8), id)
        );
        assert!(matches!(stored.header(), Header::Insert { segment: Some(SegmentId(9)), .. }));
        assert_eq!((stored.kind(), &stored.payload()[..]), (Kind::Insert, &b"rows"[..]));
    }

    #[test]
    #[should_panic(expected = "an insert without a segment")]
    fn rows_do_not_pass_without_a_segment() {
        let _ = insert().stamp(Tick(1), Term(1), LastConfirmed::Own).place(Placement::Nowhere);
    }

    #[test]
    #[should_panic(expected = "TimeTick touches no segment")]
    fn a_tick_touches_no_segment() {
        let tick = Draft::time_tick(Bytes::new()).stamp(Tick(1), Term(1), LastConfirmed::Own);
        let _ = tick.place(Placement::Into(SegmentId(1)));
    }
}
