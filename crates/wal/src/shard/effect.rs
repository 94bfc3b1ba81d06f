//! What a message says to the state machine.

use bytes::Bytes;
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody};
use cinclus_types::message::{Draft, Header, Message};
use cinclus_types::{Tick, VChannel};

use super::state::changes_schema;

/// A message that takes effect.
#[derive(Clone, Copy, Debug)]
pub struct Effect<'a> {
    /// Where.
    pub vchannel: &'a VChannel,
    /// What.
    pub header: &'a Header,
    /// The effective tick.
    pub tick: Tick,
    /// The schema version that the message brings, if it brings one.
    pub schema_version: Option<i32>,
}

impl<'a> Effect<'a> {
    /// A stored message's effect at `tick`. `None` for messages of the whole log.
    #[must_use]
    pub fn of(message: &'a Message, tick: Tick) -> Option<Effect<'a>> {
        let (vchannel, header) = (message.vchannel()?, message.header());
        Some(Effect { vchannel, header, tick, schema_version: schema_version(header, message.payload()) })
    }

    /// A placed draft's effect at `tick`. `None` for messages of the whole log.
    #[must_use]
    pub fn of_draft(draft: &'a Draft, tick: Tick) -> Option<Effect<'a>> {
        let (vchannel, header) = (draft.vchannel.as_ref()?, &draft.header);
        Some(Effect { vchannel, header, tick, schema_version: schema_version(header, &draft.payload) })
    }
}

/// The schema version that a collection's creation or change brings. Only bodies of these two kinds are
/// read, never rows. A body that cannot be read brings none: then inserts are not checked
/// against a version.
fn schema_version(header: &Header, payload: &Bytes) -> Option<i32> {
    // Invariant W9. The match is the list of bodies that are read.
    match header {
        Header::CreateCollection { .. } => {
            CreateCollectionBody::decode(payload).ok().map(|body| body.schema.version)
        }
        Header::AlterCollection { update_mask, .. } if changes_schema(update_mask) => {
            AlterCollectionBody::decode(payload, update_mask).ok()?.schema.map(|schema| schema.version)
        }
        Header::AlterCollection { .. }
        | Header::TimeTick
        | Header::Insert { .. }
        | Header::Delete { .. }
        | Header::CreateSegment { .. }
        | Header::Flush { .. }
        | Header::ManualFlush { .. }
        | Header::DropCollection { .. }
        | Header::CreatePartition { .. }
        | Header::DropPartition { .. }
        | Header::AlterLoadConfig { .. }
        | Header::DropLoadConfig { .. }
        | Header::CreateDatabase { .. }
        | Header::AlterDatabase { .. }
        | Header::DropDatabase { .. }
        | Header::AlterAlias { .. }
        | Header::DropAlias { .. }
        | Header::CreateIndex { .. }
        | Header::AlterIndex { .. }
        | Header::DropIndex { .. }
        | Header::TruncateCollection { .. }
        | Header::BeginTxn { .. }
        | Header::CommitTxn
        | Header::RollbackTxn => None,
    }
}
