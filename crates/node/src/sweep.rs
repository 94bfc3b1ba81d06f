//! Removes objects that nothing refers to: what rounds left that failed or were cut off by a crash, and the
//! files of segments and VChannels that were dropped.
//!
//! A node looks only at objects of logs that it owns, written under its term or an older one. Object names
//! end in `<term>-<tick>…`. An older term commits nothing any more. Under its own term, an object that was
//! begun before the oldest round whose outcome is open is in the catalog now or never.

use std::sync::Weak;

use cinclus_env::telemetry::Counter;
use cinclus_types::{PChannel, SegmentId, Term, Tick, VChannel};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::Node;

/// The folders that rounds write into.
const FOLDERS: [&str; 3] = ["segments", "tails", "deletes"];

/// What the name of an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    channel: PChannel,
    part: Part,
    term: Term,
    tick: Tick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Segment(VChannel, SegmentId),
    Tail,
    Deletes(VChannel),
}

/// Up to where objects of a log may be removed.
struct Limit {
    term: Term,
    /// Objects of our own term from here on may still come into the catalog.
    unsettled: Option<Tick>,
}

/// Sweeps whenever the grace period is over once more, as long as the node lives.
pub(crate) async fn sweep_now_and_then(node: Weak<Node>) {
    loop {
        let Some((clock, pause)) = node.upgrade().map(|n| (n.parts.env.clock.clone(), n.config.orphan_grace))
        else {
            return;
        };
        clock.sleep(pause).await;
        let Some(node) = node.upgrade() else { return };
        match node.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "objects that nothing referred to were removed"),
            Err(error) => tracing::warn!(%error, "looking for objects that nothing refers to"),
        }
    }
}

impl Node {
    /// Removes the objects of this node's logs that the catalog does not name and that are older than the
    /// grace period; answers how many. Called by the node itself now and then.
    ///
    /// # Errors
    /// If the store or the TSO does not answer; what was removed until then was rightly removed.
    pub async fn sweep(&self) -> anyhow::Result<u64> {
        // The order matters: first the tick, then what is under way, then the listing, then the catalog.
        // An object that is listed was begun by a round that is under way now, or has ended.
        let now = self.parts.ticks.grant(1).await?.first;
        let grace = u64::try_from(self.config.orphan_grace.as_millis()).unwrap_or(u64::MAX);
        let old = Tick::from_unix_ms(now.unix_ms().saturating_sub(grace));
        let limits: FxHashMap<PChannel, Limit> = self
            .channels()
            .into_iter()
            .map(|c| (c.channel.clone(), Limit { term: c.term, unsettled: *c.unsettled.lock() }))
            .collect();
        let removed: Counter =
            self.parts.env.telemetry.counter("cinclus_orphans_removed", "Objects removed as orphans.", &[]);
        let mut count = 0;
        for folder in FOLDERS {
            let candidates = self.candidates(folder, old, &limits).await?;
            let tails = if candidates.iter().any(|c| c.1.part == Part::Tail) {
                self.tails()
            } else {
                FxHashSet::default()
            };
            for (path, name) in candidates {
                if self.is_named(path.as_ref(), &name.part, &tails) {
                    continue;
                }
                tracing::debug!(object = %path, "nothing refers to this object");
                match self.parts.objects.delete(&path).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                removed.inc();
                count += 1;
            }
        }
        Ok(count)
    }

    /// The objects in a folder that are old enough and cannot come into the catalog any more.
    async fn candidates(
        &self,
        folder: &str,
        old: Tick,
        limits: &FxHashMap<PChannel, Limit>,
    ) -> anyhow::Result<Vec<(Path, Name)>> {
        let mut found = Vec::new();
        let mut listed = self.parts.objects.list(Some(&Path::from(folder)));
        while let Some(object) = listed.try_next().await? {
            let Some(name) = Name::parse(object.location.as_ref()) else { continue };
            let Some(limit) = limits.get(&name.channel) else { continue };
            let over = name.term < limit.term
                || (name.term == limit.term && limit.unsettled.is_none_or(|open| name.tick < open));
            if over && name.tick < old {
                found.push((object.location, name));
            }
        }
        Ok(found)
    }

    /// The tail files that segments refer to.
    fn tails(&self) -> FxHashSet<String> {
        let segments = self.parts.segments.all();
        let objects = segments.iter().flat_map(|segment| segment.chunks.iter().map(|chunk| &chunk.object));
        objects.filter(|object| object.starts_with("tails/")).cloned().collect()
    }

    fn is_named(&self, object: &str, part: &Part, tails: &FxHashSet<String>) -> bool {
        match part {
            Part::Segment(vchannel, id) => {
                let view = self.parts.segments.view(vchannel);
                view.segments.get(id).is_some_and(|s| s.chunks.iter().any(|chunk| chunk.object == object))
            }
            Part::Tail => tails.contains(object),
            Part::Deletes(vchannel) => {
                let view = self.parts.segments.view(vchannel);
                view.vchannel.delete_files.iter().any(|file| file.object == object)
            }
        }
    }
}

impl Name {
    fn parse(object: &str) -> Option<Name> {
        let mut parts = object.split('/');
        let (folder, owner) = (parts.next()?, parts.next()?);
        let (channel, part) = match folder {
            "segments" => {
                let vchannel = VChannel::new(owner);
                let id = SegmentId(parts.next()?.parse().ok()?);
                (vchannel.pchannel(), Part::Segment(vchannel, id))
            }
            "tails" => (PChannel::new(owner), Part::Tail),
            "deletes" => (VChannel::new(owner).pchannel(), Part::Deletes(VChannel::new(owner))),
            _ => return None,
        };
        let mut numbers = parts.next()?.strip_suffix(".parquet")?.split('-');
        let term = Term(numbers.next()?.parse().ok()?);
        let tick = Tick(numbers.next()?.parse().ok()?);
        parts.next().is_none().then_some(Name { channel, part, term, tick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_read_and_others_left_alone() {
        let vchannel = VChannel::new("log_1_7v0");
        let name = |part| Name { channel: PChannel::new("log_1"), part, term: Term(3), tick: Tick(99) };
        let parsed = |object| Name::parse(object);
        let segment = Part::Segment(vchannel.clone(), SegmentId(5));
        assert_eq!(parsed("segments/log_1_7v0/5/3-99.parquet"), Some(name(segment)));
        assert_eq!(parsed("tails/log_1/3-99.parquet"), Some(name(Part::Tail)));
        let deletes = name(Part::Deletes(vchannel));
        assert_eq!(parsed("deletes/log_1_7v0/3-99.parquet"), Some(deletes.clone()));
        assert_eq!(parsed("deletes/log_1_7v0/3-99-8.parquet"), Some(deletes));
        for other in ["tails/log_1/notes.txt", "tails/log_1/3-x.parquet", "else/log_1/3-99.parquet", "tails"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
