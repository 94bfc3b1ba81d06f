//! Segments, delete files and checkpoints of each log: written by its owner, watched by delegators.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::{Env, mutated};
use cinclus_meta::{Change, CommitOutcome, Condition, DynMetaStore, Entry, MetaError, Revision, Txn};
use cinclus_types::{
    Checkpoint, MessageId, PChannel, SegmentEntry, SegmentId, Term, VChannel, VChannelEntry,
};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::CatalogError;
use crate::keys::{self, SegmentsKey};
use crate::mirror::{Image, Mirror, parts};

/// How often a checkpoint is sent whose answers get lost.
const ATTEMPTS: usize = 3;

/// What is known of one VChannel at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VChannelView {
    /// The revision of the newest change in it.
    pub revision: u64,
    /// Delete files, and how far everything is persisted.
    pub vchannel: VChannelEntry,
    /// The segments.
    pub segments: BTreeMap<SegmentId, Arc<SegmentEntry>>,
}

/// The owner's durable knowledge of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelCheckpoint {
    /// The owner's term.
    pub term: Term,
    /// From where the log is read again.
    pub checkpoint: Checkpoint,
    /// Records below are not needed any more.
    pub truncate_below: MessageId,
    /// The log's recovery snapshot, in its own format.
    pub state: Bytes,
}

#[derive(Serialize, Deserialize)]
struct CheckpointLine {
    v: u32,
    term: Term,
    checkpoint: Checkpoint,
    truncate_below: MessageId,
}

/// One opening of a log, as the catalog knows it: what is committed under it holds until the log is claimed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    channel: PChannel,
    term: Term,
    revision: Revision,
}

impl Claim {
    /// The term of the owner.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }
}

/// A change of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentChange {
    /// Creates or replaces a segment.
    Put(SegmentEntry),
    /// Deletes a segment.
    Delete(VChannel, SegmentId),
    /// Creates or replaces the entry of a VChannel.
    VChannel(VChannel, VChannelEntry),
    /// Deletes a VChannel with all its segments.
    DropVChannel(VChannel),
}

#[derive(Default)]
struct SegmentsImage {
    views: RwLock<BTreeMap<VChannel, Arc<VChannelView>>>,
}

impl SegmentsImage {
    fn apply(
        views: &mut BTreeMap<VChannel, Arc<VChannelView>>,
        key: &str,
        entry: Option<&Entry>,
        revision: Revision,
    ) -> Result<(), CatalogError> {
        let Some(parsed) = SegmentsKey::parse(key) else {
            return Err(CatalogError::Corrupt { key: key.to_owned(), reason: "an unknown key".to_owned() });
        };
        let vchannel = match &parsed {
            SegmentsKey::Segment(vchannel, _) | SegmentsKey::VChannel(vchannel) => vchannel.clone(),
        };
        let view = Arc::make_mut(views.entry(vchannel.clone()).or_default());
        view.revision = revision.0;
        match (parsed, entry) {
            (SegmentsKey::Segment(_, id), None) => drop(view.segments.remove(&id)),
            (SegmentsKey::Segment(_, id), Some(entry)) => {
                view.segments.insert(id, Arc::new(keys::decode(key, &entry.value)?));
            }
            (SegmentsKey::VChannel(_), None) => view.vchannel = VChannelEntry::default(),
            (SegmentsKey::VChannel(_), Some(entry)) => view.vchannel = keys::decode(key, &entry.value)?,
        }
        if view.segments.is_empty() && view.vchannel == VChannelEntry::default() {
            views.remove(&vchannel);
        }
        Ok(())
    }
}

impl Image for SegmentsImage {
    fn change(&self, changes: &[Change]) -> Result<(), CatalogError> {
        // One lock for one revision: a reader sees all of a commit or nothing of it.
        let mut views = self.views.write();
        for change in changes {
            let (key, entry) = parts(change);
            SegmentsImage::apply(&mut views, key, entry, change.revision)?;
        }
        Ok(())
    }

    fn replace(&self, entries: &[Entry]) -> Result<(), CatalogError> {
        let mut views = BTreeMap::new();
        for entry in entries {
            SegmentsImage::apply(&mut views, &entry.key, Some(entry), entry.modified)?;
        }
        *self.views.write() = views;
        Ok(())
    }
}

/// Segments and checkpoints. Cheap to clone.
#[derive(Clone)]
pub struct Segments {
    meta: DynMetaStore,
    mirror: Arc<Mirror<SegmentsImage>>,
}

impl Segments {
    /// Reads what is there and follows changes.
    ///
    /// # Errors
    /// If the store does not answer or an entry cannot be read.
    pub async fn open(meta: DynMetaStore, env: &Env) -> Result<Segments, CatalogError> {
        let mirror = Mirror::open(meta.clone(), keys::SEGMENTS, SegmentsImage::default(), env).await?;
        Ok(Segments { meta, mirror })
    }

    /// Reads everything again: what was committed before the call is in the views when this returns.
    ///
    /// # Errors
    /// If the store does not answer or an entry cannot be read.
    pub async fn refresh(&self) -> Result<(), CatalogError> {
        self.mirror.refresh().await
    }

    /// What is known of a VChannel at this moment.
    #[must_use]
    pub fn view(&self, vchannel: &VChannel) -> Arc<VChannelView> {
        self.mirror.image.views.read().get(vchannel).cloned().unwrap_or_default()
    }

    /// All segments of all VChannels.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<SegmentEntry>> {
        let views = self.mirror.image.views.read();
        views.values().flat_map(|view| view.segments.values().cloned()).collect()
    }

    /// Told of each change.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<Revision> {
        self.mirror.revisions()
    }

    /// The last checkpoint of a log.
    ///
    /// # Errors
    /// If the store does not answer or the record cannot be read.
    pub async fn checkpoint(&self, channel: &PChannel) -> Result<Option<ChannelCheckpoint>, CatalogError> {
        let key = keys::checkpoint(channel);
        let entry = self.meta.get(&key).await?;
        entry.map(|entry| decode_checkpoint(&key, &entry.value)).transpose()
    }

    /// Takes a log over under a term: nobody who claimed it before commits any more, also not under the same term.
    /// Two openings under one term each have their own claim, so that the first one, wherever it hangs, cannot
    /// move the checkpoint under the second.
    ///
    /// # Errors
    /// [`CatalogError::Fenced`] if a later term was here before; otherwise what the store says. After a lost
    /// answer claiming again finds out what became of it.
    pub async fn claim(&self, channel: &PChannel, term: Term) -> Result<Claim, CatalogError> {
        let key = keys::term(channel);
        let mut lost = 0;
        loop {
            let stored = self.meta.get(&key).await?;
            let held = stored.as_ref().map(|entry| decode_term(&key, &entry.value)).transpose()?;
            if held > Some(term) {
                return Err(CatalogError::Fenced { channel: channel.clone(), term });
            }
            let txn = Txn::new()
                .require_unchanged(key.clone(), stored.map(|entry| entry.modified))
                .put(key.clone(), term.to_string());
            match self.meta.commit(txn).await {
                Ok(CommitOutcome::Committed(revision)) => {
                    return Ok(Claim { channel: channel.clone(), term, revision });
                }
                // Somebody else got through: the next turn finds out who.
                Ok(CommitOutcome::Conflict(_)) => {}
                // Whether it was made or not, the next turn makes one. A store that goes on losing answers is
                // for the caller, who pauses.
                Err(MetaError::Unknown(_)) if lost + 1 < ATTEMPTS => lost += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Commits a checkpoint together with changes of segments; the view shows them when this returns.
    ///
    /// # Errors
    /// [`CatalogError::Fenced`] if the log was claimed again since, [`CatalogError::Conflict`] if another
    /// commit under the same claim came in between: nothing happened. Otherwise what the store says.
    pub async fn commit(
        &self,
        claim: &Claim,
        checkpoint: ChannelCheckpoint,
        changes: Vec<SegmentChange>,
    ) -> Result<(), CatalogError> {
        let Claim { channel, term, revision } = claim;
        let (key, record) = (keys::checkpoint(channel), encode_checkpoint(&checkpoint));
        let before = self.meta.get(&key).await?.map(|entry| entry.modified);
        // Invariant W6: state and checkpoint in one transaction. Invariant W3: by the last one who claimed the
        // log, so that who opens it reads a checkpoint that stays.
        // On top of the checkpoint before: a commit whose answer was lost on the way, and which the store
        // takes up late, cannot undo a later one.
        let claimed = Condition::ModifiedAt(keys::term(channel), *revision);
        let txn = if mutated("CommitsUnclaimed") { Txn::new() } else { Txn::new().require(claimed) };
        let txn = txn.require_unchanged(key.clone(), before).put(key.clone(), record.clone());
        let txn = changes.iter().fold(txn, add_change);
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            match self.meta.commit(txn.clone()).await {
                Ok(CommitOutcome::Committed(revision)) => return self.reach(&changes, revision).await,
                Ok(CommitOutcome::Conflict(failed)) => {
                    let stored =
                        self.meta.get(&key).await?.filter(|entry| lost.is_some() && entry.value == record);
                    if let Some(ours) = stored {
                        return self.reach(&changes, ours.modified).await;
                    }
                    if failed.first() == Some(&0) {
                        return Err(CatalogError::Fenced { channel: channel.clone(), term: *term });
                    }
                    return Err(CatalogError::Conflict(format!("the checkpoint of {channel} has moved")));
                }
                // Sent again: if it had happened, its condition says so (M2).
                Err(MetaError::Unknown(reason)) => {
                    tracing::warn!(%channel, %reason, "a checkpoint is committed again");
                    lost = Some(reason);
                }
                Err(error) if lost.is_none() => return Err(error.into()),
                Err(error) => return Err(MetaError::Unknown(error.to_string()).into()),
            }
        }
        Err(MetaError::Unknown(lost.unwrap_or_default()).into())
    }

    /// Waits until the view shows a commit. Deletes of what was not there are nothing that a watch tells
    /// of: then the view is read anew.
    async fn reach(&self, changes: &[SegmentChange], revision: Revision) -> Result<(), CatalogError> {
        if changes.iter().any(|change| stays(change, changes)) {
            self.mirror.wait_for(revision).await;
        } else if !changes.is_empty() && *self.mirror.revisions().borrow() < revision {
            self.mirror.refresh().await?;
        }
        Ok(())
    }
}

/// Whether a change puts an entry that no other change of the commit deletes.
fn stays(change: &SegmentChange, all: &[SegmentChange]) -> bool {
    let (vchannel, segment) = match change {
        SegmentChange::Put(entry) => (&entry.vchannel, Some(entry.id)),
        SegmentChange::VChannel(vchannel, _) => (vchannel, None),
        SegmentChange::Delete(..) | SegmentChange::DropVChannel(_) => return false,
    };
    !all.iter().any(|other| match other {
        SegmentChange::Delete(in_vchannel, id) => in_vchannel == vchannel && Some(*id) == segment,
        SegmentChange::DropVChannel(dropped) => dropped == vchannel,
        SegmentChange::Put(_) | SegmentChange::VChannel(..) => false,
    })
}

fn add_change(txn: Txn, change: &SegmentChange) -> Txn {
    match change {
        SegmentChange::Put(entry) => txn.put(keys::segment(&entry.vchannel, entry.id), keys::encode(entry)),
        SegmentChange::Delete(vchannel, id) => txn.delete(keys::segment(vchannel, *id)),
        SegmentChange::VChannel(vchannel, entry) => txn.put(keys::vchannel(vchannel), keys::encode(entry)),
        SegmentChange::DropVChannel(vchannel) => {
            txn.delete(keys::vchannel(vchannel)).delete_prefix(keys::segments_of(vchannel))
        }
    }
}

fn encode_checkpoint(checkpoint: &ChannelCheckpoint) -> Vec<u8> {
    let line = CheckpointLine {
        v: keys::FORMAT,
        term: checkpoint.term,
        checkpoint: checkpoint.checkpoint,
        truncate_below: checkpoint.truncate_below,
    };
    let mut bytes = serde_json::to_vec(&line).expect("a line of plain fields has a JSON form");
    bytes.push(b'\n');
    bytes.extend_from_slice(&checkpoint.state);
    bytes
}

fn decode_checkpoint(key: &str, value: &Bytes) -> Result<ChannelCheckpoint, CatalogError> {
    let corrupt = |reason: String| CatalogError::Corrupt { key: key.to_owned(), reason };
    let end = value.iter().position(|byte| *byte == b'\n').ok_or_else(|| corrupt("no line".to_owned()))?;
    let line: CheckpointLine =
        serde_json::from_slice(&value[..end]).map_err(|error| corrupt(error.to_string()))?;
    if line.v > keys::FORMAT {
        return Err(CatalogError::Newer { key: key.to_owned(), found: line.v, known: keys::FORMAT });
    }
    Ok(ChannelCheckpoint {
        term: line.term,
        checkpoint: line.checkpoint,
        truncate_below: line.truncate_below,
        state: value.slice(end + 1..),
    })
}

fn decode_term(key: &str, value: &[u8]) -> Result<Term, CatalogError> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    text.parse()
        .map(Term)
        .map_err(|_| CatalogError::Corrupt { key: key.to_owned(), reason: format!("{text:?} is not a term") })
}
