//! The task that commits.

use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::TaskGroup;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};

use super::format::{Commits, encode_commits};
use super::objects::{Created, Objects};
use super::open::{Owned, read_group};
use super::snapshots::Snapshots;
use super::staged::Staged;
use crate::contents;
use crate::entry::Revision;
use crate::error::MetaError;
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan::{self, Fates};
use crate::sweep::Leases;
use crate::txn::{CommitOutcome, Txn};

/// Where the outcome of a job goes.
pub(super) type Reply = oneshot::Sender<Result<CommitOutcome, MetaError>>;

/// What the writer is asked for.
pub(super) enum Job {
    Commit(Txn, Reply),
    /// End a lease, and those whose time is over, with their keys.
    End(Option<LeaseId>, Reply),
}

/// Owns the next number.
pub(super) struct Writer {
    pub(super) objects: Objects,
    pub(super) owned: Arc<RwLock<Owned>>,
    pub(super) leases: Arc<Leases>,
    pub(super) history: Arc<History>,
    pub(super) snapshots: Snapshots,
    pub(super) tasks: TaskGroup,
    pub(super) group_max: usize,
    /// Why this store has ended.
    pub(super) over: watch::Sender<Option<String>>,
    /// A commit object of which it is not known whether it is there.
    pub(super) unsettled: Option<(Commits, Bytes)>,
}

type Answers = Vec<(Reply, Result<CommitOutcome, MetaError>)>;

impl Writer {
    /// Works until every sender of jobs is gone, or the process ends: then what waits is still done.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let tasks = self.tasks.clone();
        loop {
            let job = tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = tasks.cancelled() => {
                    jobs.close();
                    jobs.recv().await
                }
            };
            let Some(job) = job else { return };
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Commit(txn, reply) => {
                        let (group, after) = self.gather((txn, reply), &mut jobs);
                        self.write(group).await;
                        next = after;
                    }
                    Job::End(lease, reply) => self.end(lease, reply).await,
                }
            }
        }
    }

    /// Everything that waits and may share an object with `first`; and the job that may not.
    fn gather(
        &self,
        first: (Txn, Reply),
        jobs: &mut mpsc::Receiver<Job>,
    ) -> (Vec<(Txn, Reply)>, Option<Job>) {
        let mut group = vec![first];
        while group.len() < self.group_max {
            match jobs.try_recv() {
                Ok(Job::Commit(txn, reply)) => group.push((txn, reply)),
                // The end of a lease must find the keys of the commits before it in the lease table.
                Ok(end @ Job::End(..)) => return (group, Some(end)),
                Err(_) => break,
            }
        }
        (group, None)
    }

    async fn end(&mut self, lease: Option<LeaseId>, reply: Reply) {
        let orphans: Vec<String> = contents::ended(&self.leases, lease).into_keys().collect();
        let txn = orphans.iter().fold(Txn::new(), |txn, key| txn.delete(key));
        let (done, outcome) = oneshot::channel();
        self.write(vec![(txn, done)]).await;
        let outcome = outcome.await.unwrap_or_else(|_| Err(MetaError::Unknown("no answer was given".into())));
        if outcome.is_ok() {
            self.leases.with(|table, _| orphans.iter().for_each(|key| table.hang(key, None)));
        }
        let _ = reply.send(outcome);
    }

    /// Puts the transactions into one object and answers them.
    async fn write(&mut self, group: Vec<(Txn, Reply)>) {
        if let Err(error) = self.settle().await {
            return group.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone()))));
        }
        let (answers, commits) = self.stage(group);
        if commits.is_empty() {
            return match self.confirm(&answers).await {
                Ok(()) => answer(answers),
                Err(error) => answer_all(answers, &error),
            };
        }
        let (number, epoch) = {
            let owned = self.owned.read();
            (owned.number + 1, owned.epoch)
        };
        let group = Commits { number, barrier: false, commits };
        let object = encode_commits(epoch, &group);
        self.unsettled = Some((group, object));
        // Invariant M1: nobody is answered before the object is there.
        match self.settle().await {
            Ok(()) => answer(answers),
            // Invariant M2: another owner's object has the number, so ours is not there and never will be;
            // or else it may yet come to be.
            Err(error) if self.over.borrow().is_some() => answer_all(answers, &error),
            Err(error) => answer_all(answers, &MetaError::Unknown(error.to_string())),
        }
    }

    /// Judges the transactions one after the other.
    fn stage(&self, group: Vec<(Txn, Reply)>) -> (Answers, Vec<(Revision, Fates)>) {
        let owned = self.owned.read();
        let mut staged = Staged::new(&owned.contents);
        let mut answers = Answers::new();
        for (txn, reply) in group {
            let judged = self.leases.check(plan::leases(&txn)).and_then(|()| staged.judge(txn));
            answers.push((reply, judged));
        }
        (answers, staged.commits)
    }

    /// Invariant M1: what holds is said by the newest owner only. Where nothing is created, nothing finds the barrier
    /// of a later one, so it is looked for.
    async fn confirm(&self, answers: &Answers) -> Result<(), MetaError> {
        if !answers.iter().any(|(_, answer)| matches!(answer, Ok(CommitOutcome::Committed(_)))) {
            return Ok(());
        }
        let number = self.owned.read().number + 1;
        match self.objects.get(&self.objects.commit(number)).await {
            Ok(None) => Ok(()),
            Ok(Some(found)) => Err(self.superseded(number, &found)),
            Err(error) => Err(MetaError::Unavailable(error.to_string())),
        }
    }

    /// Finds out about the commit object under way, by creating it: again, if it was tried before.
    async fn settle(&mut self) -> Result<(), MetaError> {
        if let Some(reason) = self.over.borrow().clone() {
            return Err(MetaError::Unavailable(reason));
        }
        let Some((group, object)) = &self.unsettled else { return Ok(()) };
        match self.objects.create(&self.objects.commit(group.number), object).await {
            Ok(Created::Ours) => {
                let bytes = object.len();
                if let Some((group, _)) = self.unsettled.take() {
                    self.publish(group, bytes);
                }
                Ok(())
            }
            Ok(Created::Other(found)) => Err(self.superseded(group.number, &found)),
            Err(error) => Err(MetaError::Unavailable(error.to_string())),
        }
    }

    /// Another owner has taken the number of our commit.
    fn superseded(&self, number: u64, found: &Bytes) -> MetaError {
        let reason = match read_group(&self.objects, number, found) {
            Ok((epoch, _)) => format!("another process has taken the metadata over (epoch {epoch})"),
            Err(error) => error.to_string(),
        };
        tracing::error!(%reason, "no more metadata is written by this process");
        self.over.send_replace(Some(reason.clone()));
        MetaError::Unavailable(reason)
    }

    /// Takes up commits that are durable, and tells of them.
    fn publish(&mut self, group: Commits, bytes: usize) {
        let mut owned = self.owned.write();
        owned.apply(&group, bytes);
        self.snapshots.start_if_due(&mut owned, &self.tasks);
        drop(owned);
        for (revision, fates) in group.commits {
            contents::publish(revision, fates, &self.leases, &self.history);
        }
    }
}

fn answer(answers: Answers) {
    for (reply, answer) in answers {
        let _ = reply.send(answer);
    }
}

fn answer_all(answers: Answers, error: &MetaError) {
    for (reply, answer) in answers {
        // What was refused by itself stays so: it wrote nothing.
        let own = matches!(answer, Err(MetaError::LeaseGone(_)));
        let _ = reply.send(if own { answer } else { Err(error.clone()) });
    }
}
