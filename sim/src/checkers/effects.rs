//! What the messages of a log come to, by effective ticks.

use std::collections::BTreeMap;

use cinclus_types::message::body::{DeleteBody, InsertBody};
use cinclus_types::message::{Header, Message};
use cinclus_types::{ColumnData, Keys, MessageId, PartitionId, Tick, TxnId, VChannel};

use crate::shard::{KEY, VALUE, marked, schema};

/// A message that takes effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// When.
    pub tick: Tick,
    /// Where its message is.
    pub id: MessageId,
    /// Whose it is.
    pub operation: Option<u64>,
    /// What it does.
    pub kind: EffectKind,
}

/// What a message does.
#[derive(Clone, Debug, PartialEq)]
pub enum EffectKind {
    /// Rows come.
    Insert(PartitionId, Vec<(i64, i64)>),
    /// Rows go.
    Delete(Option<PartitionId>, Vec<i64>),
    /// A partition goes with all its rows.
    DropPartition(PartitionId),
    /// All rows go.
    Truncate,
    /// Rows stay as they are.
    Nothing,
}

/// The effects of a log by VChannel, in the order of their ticks.
///
/// # Errors
/// A body that cannot be read.
pub fn effects_of(log: &[Message]) -> Result<BTreeMap<VChannel, Vec<Effect>>, String> {
    let mut effects: BTreeMap<VChannel, Vec<Effect>> = BTreeMap::new();
    let mut open: BTreeMap<(VChannel, TxnId), Vec<Effect>> = BTreeMap::new();
    for message in log {
        let Some(vchannel) = message.vchannel() else { continue };
        let key = message.txn().map(|txn| (vchannel.clone(), txn.txn));
        let of_channel = effects.entry(vchannel.clone()).or_default();
        match (message.header(), key) {
            (Header::CommitTxn, Some(key)) => {
                let bodies = open.remove(&key).unwrap_or_default();
                of_channel.extend(bodies.into_iter().map(|body| Effect { tick: message.tick(), ..body }));
            }
            (Header::RollbackTxn, Some(key)) => drop(open.remove(&key)),
            (_, Some(key)) => open.entry(key).or_default().extend(effect(message)?),
            (_, None) => of_channel.extend(effect(message)?),
        }
    }
    Ok(effects)
}

fn effect(message: &Message) -> Result<Option<Effect>, String> {
    let wrong = |what: String| format!("{} at {}: {what}", message.kind(), message.id());
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "kinds that come later do nothing to rows until this says so"
    )]
    let kind = match message.header() {
        Header::Insert { partition, .. } => {
            let decoded = InsertBody::decode(message.payload(), &schema(""));
            let rows = decoded.map_err(|error| wrong(error.to_string()))?;
            let ints = |field| match rows.column(field).map(|column| &column.data) {
                Some(ColumnData::Int64(values)) => Ok(values.clone()),
                other => Err(wrong(format!("not a column of numbers: {other:?}"))),
            };
            EffectKind::Insert(*partition, ints(KEY)?.into_iter().zip(ints(VALUE)?).collect())
        }
        Header::Delete { .. } => {
            let decoded = DeleteBody::decode(message.payload());
            let body = decoded.map_err(|error| wrong(error.to_string()))?;
            let Keys::Int64(keys) = body.keys else { return Err(wrong("keys are numbers".to_owned())) };
            EffectKind::Delete(body.partition, keys)
        }
        Header::DropPartition { partition, .. } => EffectKind::DropPartition(*partition),
        Header::TruncateCollection { .. } | Header::DropCollection { .. } => EffectKind::Truncate,
        Header::BeginTxn { .. } => return Ok(None),
        _ => EffectKind::Nothing,
    };
    // What comes through the proxy has no mark, but rows know whose they are.
    let operation = marked(message.trace()).or_else(|| match &kind {
        EffectKind::Insert(_, rows) => rows.first().and_then(|(_, value)| u64::try_from(*value).ok()),
        EffectKind::Delete(..)
        | EffectKind::DropPartition(_)
        | EffectKind::Truncate
        | EffectKind::Nothing => None,
    });
    Ok(Some(Effect { tick: message.tick(), id: message.id(), operation, kind }))
}
