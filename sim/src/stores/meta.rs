//! Metadata behind a seam.

use std::time::Duration;

use async_trait::async_trait;
use cinclus_meta::{
    Change, ChangeSource, CommitOutcome, DynMetaStore, Entry, LeaseId, MetaError, MetaStore, Revision, Txn,
    Watch, WatchError,
};

use crate::member::Member;

/// A metadata store as one member reaches it.
pub struct SeamMeta {
    /// The store itself.
    pub inner: DynMetaStore,
    /// Who asks.
    pub member: Member,
    /// Whether late commits lose their conditions: a mutation.
    pub forgets_conditions: bool,
}

impl SeamMeta {
    /// The store as a member reaches it.
    #[must_use]
    pub fn of(inner: &DynMetaStore, member: &Member) -> SeamMeta {
        SeamMeta { inner: inner.clone(), member: member.clone(), forgets_conditions: false }
    }

    async fn reading(&self) -> Result<(), MetaError> {
        self.member.pass().await;
        self.member.scene.dawdle(|weather| weather.meta_delay).await;
        if self.member.scene.strikes("metadata not read", |weather| weather.meta_read) {
            return Err(MetaError::Unavailable("injected".to_owned()));
        }
        Ok(())
    }
}

/// How long a commit that is late is on its way at most.
const WAY: Duration = Duration::from_secs(20);
/// How long somebody waits for it at most.
const PATIENCE: Duration = Duration::from_secs(5);

impl SeamMeta {
    /// Sends a commit that comes to be when nobody waits for it any more, whatever became of its sender.
    async fn commit_late(&self, mut txn: Txn) -> Result<CommitOutcome, MetaError> {
        let (scene, inner) = (self.member.scene.clone(), self.inner.clone());
        if self.forgets_conditions {
            txn.conditions.clear();
        }
        let (way, patience) = (scene.span(WAY), scene.span(PATIENCE));
        let name = self.member.name.clone();
        scene.clone().tasks.spawn("late commit", async move {
            scene.clock.sleep(way).await;
            let outcome = inner.commit(txn).await;
            scene.note(format_args!("a late commit of {name} comes to be: {outcome:?}"));
        });
        self.member.scene.clock.sleep(patience).await;
        self.member.pass().await;
        Err(MetaError::Unknown("no answer came".to_owned()))
    }
}

#[async_trait]
impl MetaStore for SeamMeta {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        self.reading().await?;
        let entry = self.inner.get(key).await?;
        self.member.pass().await;
        Ok(entry)
    }

    async fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        self.reading().await?;
        let entries = self.inner.scan(prefix).await?;
        self.member.pass().await;
        Ok(entries)
    }

    async fn commit(&self, txn: Txn) -> Result<CommitOutcome, MetaError> {
        let (member, scene) = (&self.member, &self.member.scene);
        member.before("commits metadata".to_owned()).await;
        scene.dawdle(|weather| weather.meta_delay).await;
        member.pass().await;
        if scene.strikes("metadata not committed", |weather| weather.meta_before) {
            return Err(MetaError::Unavailable("injected".to_owned()));
        }
        if scene.strikes("commit late", |weather| weather.meta_late) {
            return self.commit_late(txn).await;
        }
        let outcome = self.inner.commit(txn).await?;
        scene.note(format_args!("{} committed metadata: {outcome:?}", member.name));
        scene.dawdle(|weather| weather.meta_delay).await;
        member.after().await;
        if scene.strikes("answer of a commit lost", |weather| weather.meta_lost) {
            return Err(MetaError::Unknown("injected".to_owned()));
        }
        Ok(outcome)
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, MetaError> {
        self.reading().await?;
        let inner = self.inner.watch(prefix, after).await?;
        Ok(Watch::new(SeamWatch { inner, member: self.member.clone() }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, MetaError> {
        self.member.pass().await;
        self.inner.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.member.pass().await;
        self.inner.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), MetaError> {
        self.member.pass().await;
        self.inner.revoke(lease).await
    }
}

struct SeamWatch {
    inner: Watch,
    member: Member,
}

#[async_trait]
impl ChangeSource for SeamWatch {
    async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        let changes = self.inner.next().await?;
        // News is late before it is there, so that nothing is taken twice when a reader gives up waiting.
        self.member.pass().await;
        Ok(changes)
    }
}
