//! Becoming the owner of the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use cinclus_env::Random;
use futures::{StreamExt, stream};

use super::format::{Body, Commits, Snapshot, encode_commits, encode_epoch};
use super::objects::{Created, Objects, decode, failed};
use crate::contents::Contents;
use crate::entry::Revision;
use crate::error::OpenError;
use crate::lease::LeaseId;
use crate::plan::{Fate, Fates};
use crate::probe::{ProbeError, probe_conditional_puts};

/// Objects that are read at once.
const READS: usize = 16;
/// An owner that is being replaced may remove old objects while they are read; then they are listed again.
const LISTINGS: usize = 5;

/// What all commit objects together say.
#[derive(Default)]
pub(super) struct Owned {
    pub(super) epoch: u64,
    /// Of the last commit object.
    pub(super) number: u64,
    pub(super) contents: Contents,
    /// The keys that hang on leases.
    pub(super) leased: BTreeMap<String, LeaseId>,
    pub(super) barriers: BTreeSet<u64>,
    /// Bytes of commit objects since the last snapshot, and of that.
    pub(super) bytes: (u64, u64),
}

impl Owned {
    /// Takes up a commit object, which is durable.
    pub(super) fn apply(&mut self, group: &Commits, bytes: usize) {
        self.number = group.number;
        self.bytes.0 += bytes as u64;
        if group.barrier {
            self.barriers.insert(group.number);
        }
        for (revision, fates) in &group.commits {
            self.contents.apply(*revision, fates);
            self.hang(fates);
        }
    }

    fn hang(&mut self, fates: &Fates) {
        for (key, fate) in fates {
            match fate {
                Fate::Put(_, Some(lease)) => self.leased.insert(key.clone(), *lease),
                Fate::Put(_, None) | Fate::Delete => self.leased.remove(key),
            };
        }
    }

    fn load(snapshot: Snapshot, bytes: usize) -> Owned {
        let mut owned = Owned { number: snapshot.number, barriers: snapshot.barriers, ..Owned::default() };
        owned.contents.apply(snapshot.revision, &snapshot.fates);
        owned.hang(&snapshot.fates);
        owned.bytes.1 = bytes as u64;
        owned
    }
}

/// Takes the next epoch, reads everything and shuts out the owner before.
pub(super) async fn open(objects: &Objects, random: &Random) -> Result<Owned, OpenError> {
    let folder = objects.folder("probe");
    probe_conditional_puts(&*objects.store, &folder, random).await.map_err(refused)?;
    let epoch = take_epoch(objects, random).await?;
    loop {
        let mut owned = load(objects).await?;
        owned.epoch = epoch;
        shut_out_others(objects, &mut owned).await?;
        if !is_bypassed(objects, owned.number).await? {
            return Ok(owned);
        }
        tracing::info!(
            barrier = owned.number,
            "the owner before has come further; its commits are read again"
        );
    }
}

/// Whether the owner before had come past this barrier when it was created: if reading took long, it may have
/// removed the commit of that name after a snapshot, so that the name was free again and shuts nobody out. Such a
/// snapshot, or a later one, is there then: only what a snapshot holds is removed.
async fn is_bypassed(objects: &Objects, barrier: u64) -> Result<bool, OpenError> {
    let snapshots = objects.snapshots().await.map_err(failed(&objects.snapshot(0)))?;
    Ok(snapshots.last().is_some_and(|snapshot| *snapshot >= barrier))
}

fn refused(error: ProbeError) -> OpenError {
    match error {
        ProbeError::Unconditional { reason } => OpenError::Unconditional { reason },
        ProbeError::Failed { path, reason } => OpenError::Io { file: path, reason },
    }
}

async fn take_epoch(objects: &Objects, random: &Random) -> Result<u64, OpenError> {
    let known = objects.epochs().await.map_err(failed(&objects.epoch(0)))?;
    let mut epoch = known.last().copied().unwrap_or(0) + 1;
    loop {
        let path = objects.epoch(epoch);
        let object = encode_epoch(epoch, random.u64());
        match objects.create(&path, &object).await.map_err(failed(&path))? {
            Created::Ours => return Ok(epoch),
            Created::Other(_) => epoch += 1,
        }
    }
}

async fn load(objects: &Objects) -> Result<Owned, OpenError> {
    let mut missing = 0;
    for _ in 0..LISTINGS {
        match try_load(objects).await? {
            Ok(owned) => return Ok(owned),
            Err(number) => missing = number,
        }
    }
    let file = PathBuf::from(objects.commit(missing).as_ref());
    Err(OpenError::Corrupt { file, reason: "it is missing, and a later one is there".to_owned() })
}

/// Everything, or the number of an object that is missing.
async fn try_load(objects: &Objects) -> Result<Result<Owned, u64>, OpenError> {
    let mut owned = Owned::default();
    let snapshots = objects.snapshots().await.map_err(failed(&objects.snapshot(0)))?;
    if let Some(&number) = snapshots.last() {
        let path = objects.snapshot(number);
        let Some(object) = objects.get(&path).await.map_err(failed(&path))? else { return Ok(Err(number)) };
        match decode(&path, &object)? {
            (_, Body::Snapshot(snapshot)) => owned = Owned::load(snapshot, object.len()),
            (_, Body::Epoch { .. } | Body::Commits(_)) => return Err(misplaced(path.as_ref())),
        }
    }
    let numbers = objects.commits_after(owned.number).await.map_err(failed(&objects.commit(0)))?;
    let mut read = stream::iter(numbers)
        .map(|number| async move { (number, objects.get(&objects.commit(number)).await) })
        .buffered(READS);
    while let Some((number, object)) = read.next().await {
        let path = objects.commit(number);
        let object = object.map_err(failed(&path))?;
        let Some(object) = object.filter(|_| number == owned.number + 1) else {
            return Ok(Err(owned.number + 1));
        };
        let (_, group) = read_group(objects, number, &object)?;
        owned.apply(&group, object.len());
    }
    Ok(Ok(owned))
}

/// Creates the barrier: from then on no earlier owner can commit. It also ends the leases of earlier owners.
async fn shut_out_others(objects: &Objects, owned: &mut Owned) -> Result<(), OpenError> {
    loop {
        let number = owned.number + 1;
        let mut group = Commits { number, barrier: true, commits: Vec::new() };
        if !owned.leased.is_empty() {
            let deletes = owned.leased.keys().map(|key| (key.clone(), Fate::Delete)).collect();
            group.commits.push((owned.contents.revision.next(), deletes));
        }
        let path = objects.commit(number);
        let object = encode_commits(owned.epoch, &group);
        match objects.create(&path, &object).await.map_err(failed(&path))? {
            Created::Ours => {
                owned.apply(&group, object.len());
                return Ok(());
            }
            // A commit that was under way; it counts, as its owner may have answered.
            Created::Other(object) => {
                let (epoch, group) = read_group(objects, number, &object)?;
                if epoch > owned.epoch {
                    let file = PathBuf::from(path.as_ref());
                    return Err(OpenError::InUse { file, holder: format!("the owner of epoch {epoch}") });
                }
                owned.apply(&group, object.len());
            }
        }
    }
}

/// The commits of the object of this number, and the epoch of its owner.
pub(super) fn read_group(
    objects: &Objects,
    number: u64,
    object: &Bytes,
) -> Result<(u64, Commits), OpenError> {
    let path = objects.commit(number);
    match decode(&path, object)? {
        (epoch, Body::Commits(group)) if group.number == number => Ok((epoch, group)),
        (_, Body::Commits(_) | Body::Epoch { .. } | Body::Snapshot(_)) => Err(misplaced(path.as_ref())),
    }
}

fn misplaced(path: &str) -> OpenError {
    OpenError::Corrupt { file: PathBuf::from(path), reason: "it is the object of another name".to_owned() }
}

/// Removes what a snapshot of this number makes superfluous; barriers stay.
pub(super) async fn remove_before(objects: &Objects, snapshot: u64, barriers: &BTreeSet<u64>) {
    let (Ok(commits), Ok(snapshots)) = (objects.commits().await, objects.snapshots().await) else { return };
    let commits = commits.into_iter().filter(|number| *number <= snapshot && !barriers.contains(number));
    let mut old: Vec<_> = commits.map(|number| objects.commit(number)).collect();
    old.extend(
        snapshots.into_iter().filter(|number| *number < snapshot).map(|number| objects.snapshot(number)),
    );
    objects.remove(old).await;
}

/// The revision of the contents.
pub(super) fn revision(owned: &Owned) -> Revision {
    owned.contents.revision
}
