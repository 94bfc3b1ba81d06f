//! The thread that writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use redb::{Durability, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::file::{Judged, MetaFile, refused, revision};
use super::format::{self, ENTRIES, HEAD, HEAD_REVISION, LEASED};
use crate::entry::Revision;
use crate::error::{MetaError, OpenError};
use crate::history::History;
use crate::lease::LeaseId;
use crate::plan::{self, Fate, Fates, Plan};
use crate::sweep::Leases;
use crate::txn::{CommitOutcome, Txn};

/// Where the outcome of a job goes.
pub(super) type Reply = oneshot::Sender<Result<CommitOutcome, MetaError>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Judge and write a transaction.
    Commit(Txn, Reply),
    /// End this lease, and all whose time is over, and delete the keys of ended leases.
    End(Option<LeaseId>, Reply),
}

/// The one writer of a file. It owns the order of commits.
pub(super) struct Writer {
    pub(super) file: Arc<MetaFile>,
    pub(super) leases: Arc<Leases>,
    pub(super) history: Arc<History>,
    pub(super) group_max: usize,
    /// Whether redb must open the file again before it takes another transaction.
    broken: bool,
}

/// What one redb transaction would do, before it is committed.
struct Staged {
    /// One for each transaction of the group. They are here from the start: one that is dropped on the way
    /// answers its caller by itself, while the writer still works on the file.
    replies: Vec<Reply>,
    answers: Vec<Result<CommitOutcome, MetaError>>,
    commits: Vec<(Revision, Fates)>,
}

impl Writer {
    pub(super) fn new(
        file: Arc<MetaFile>,
        leases: Arc<Leases>,
        history: Arc<History>,
        group_max: usize,
    ) -> Writer {
        Writer { file, leases, history, group_max, broken: false }
    }

    /// Works until every sender of jobs is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            self.work(job, &mut jobs);
        }
        self.file.close();
    }

    /// As [`Writer::run`], as a task.
    pub(super) async fn run_as_task(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            self.work(job, &mut jobs);
        }
        self.file.close();
    }

    /// Does a job, and those that wait behind it and share its sync.
    fn work(&mut self, job: Job, jobs: &mut mpsc::Receiver<Job>) {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Commit(txn, reply) => {
                    let (group, after) = self.gather((txn, reply), jobs);
                    self.write(group);
                    next = after;
                }
                Job::End(lease, reply) => self.end(lease, reply),
            }
        }
    }

    /// Everything that waits and may share a sync with `first`; and the job that may not.
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

    fn end(&mut self, lease: Option<LeaseId>, reply: Reply) {
        let orphans: Vec<String> = self.leases.with(|table, now| {
            table.expire(now);
            if let Some(lease) = lease {
                table.end(lease);
            }
            table.orphans().cloned().collect()
        });
        let txn = orphans.iter().fold(Txn::new(), |txn, key| txn.delete(key));
        let (done, outcome) = oneshot::channel();
        self.write(vec![(txn, done)]);
        let outcome = answered(outcome);
        if outcome.is_ok() {
            self.leases.with(|table, _| orphans.iter().for_each(|key| table.hang(key, None)));
        }
        let _ = reply.send(outcome);
    }

    fn write(&mut self, group: Vec<(Txn, Reply)>) {
        if self.broken
            && let Err(error) = self.reopen()
        {
            return refuse(group, &MetaError::Unavailable(error.to_string()));
        }
        let file = self.file.clone();
        let database = match file.database() {
            Ok(database) => database,
            Err(error) => return refuse(group, &error),
        };
        let begun = database.begin_write().map_err(refused).and_then(|mut write| {
            write.set_durability(Durability::Immediate).map_err(refused)?;
            Ok(write)
        });
        let write = match begun {
            Ok(write) => write,
            Err(error) => {
                drop(database);
                self.recover();
                return refuse(group, &error);
            }
        };
        let (txns, replies): (Vec<Txn>, Vec<Reply>) = group.into_iter().unzip();
        let mut staged = Staged { replies, answers: Vec::new(), commits: Vec::new() };
        if let Err(error) = self.stage(&write, txns, &mut staged) {
            drop((write, database));
            self.recover();
            // Nothing was committed, so this is no lost answer.
            return staged.answer_all(&error);
        }
        if staged.commits.is_empty() {
            drop(write);
            return staged.answer();
        }
        // Invariant M1: nobody is answered before this has synced the file.
        let committed = write.commit();
        drop(database);
        match committed {
            Ok(()) => self.publish(staged),
            Err(error) => {
                // Invariant M2. The file is opened again first: whoever is told to read must find what is.
                self.recover();
                staged.answer_all(&MetaError::Unknown(error.to_string()));
            }
        }
    }

    /// Judges the group in order and writes its changes into `write`. After an error nothing of it counts.
    fn stage(&self, write: &WriteTransaction, group: Vec<Txn>, staged: &mut Staged) -> Result<(), MetaError> {
        let mut head = write.open_table(HEAD).map_err(refused)?;
        let mut entries = write.open_table(ENTRIES).map_err(refused)?;
        let mut leased = write.open_table(LEASED).map_err(refused)?;
        let mut newest = revision(&head)?;
        for txn in group {
            let answer = match self.judge(txn, newest.next(), &entries) {
                Ok(Plan::Conflict(failed)) => Ok(CommitOutcome::Conflict(failed)),
                Ok(Plan::Write(fates)) if fates.is_empty() => Ok(CommitOutcome::Committed(newest)),
                Ok(Plan::Write(fates)) => {
                    apply(&fates, &mut entries, &mut leased)?;
                    newest = newest.next();
                    staged.commits.push((newest, fates));
                    Ok(CommitOutcome::Committed(newest))
                }
                Err(gone @ MetaError::LeaseGone(_)) => Err(gone),
                Err(error) => return Err(error),
            };
            staged.answers.push(answer);
        }
        head.insert(HEAD_REVISION, newest.0).map_err(refused)?;
        Ok(())
    }

    fn judge(
        &self,
        txn: Txn,
        revision: Revision,
        entries: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Plan, MetaError> {
        self.leases.check(plan::leases(&txn))?;
        plan::plan(txn, revision, &Judged(entries))
    }

    /// Tells of commits that are durable: first the leases, then the watches, then the callers.
    fn publish(&self, mut staged: Staged) {
        for (revision, fates) in staged.commits.drain(..) {
            self.leases.with(|table, _| {
                for (key, fate) in &fates {
                    match fate {
                        Fate::Put(_, lease) => table.hang(key, *lease),
                        Fate::Delete => table.hang(key, None),
                    }
                }
            });
            self.history.publish(revision, plan::changes(fates, revision));
        }
        staged.answer();
    }

    /// After an error of redb: opens the file again at once, so that reads go on; else the next job tries.
    fn recover(&mut self) {
        self.broken = true;
        match self.reopen() {
            Ok(()) => tracing::warn!("the metadata file was opened again after an error"),
            Err(error) => tracing::error!(%error, "the metadata file stays closed after an error"),
        }
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.file.reopen()?;
        let lost =
            |error: MetaError| OpenError::Io { file: self.file.path().to_owned(), reason: error.to_string() };
        let revision = self.file.revision().map_err(lost)?;
        let leased: BTreeSet<(String, u64)> = self.file.leased().map_err(lost)?.into_iter().collect();
        // A commit whose answer was lost may be there after all: nobody knows its changes.
        self.leases.with(|table, _| {
            for (key, lease) in &leased {
                table.hang(key, Some(LeaseId(*lease)));
            }
        });
        self.history.catch_up(revision);
        self.broken = false;
        Ok(())
    }
}

fn apply(
    fates: &Fates,
    entries: &mut Table<'_, &'static str, &'static [u8]>,
    leased: &mut Table<'_, &'static str, u64>,
) -> Result<(), MetaError> {
    for (key, fate) in fates {
        let lease = match fate {
            Fate::Put(entry, lease) => {
                entries.insert(key.as_str(), format::encode(entry).as_slice()).map_err(refused)?;
                *lease
            }
            Fate::Delete => {
                entries.remove(key.as_str()).map_err(refused)?;
                None
            }
        };
        match lease {
            Some(lease) => drop(leased.insert(key.as_str(), lease.0).map_err(refused)?),
            None => drop(leased.remove(key.as_str()).map_err(refused)?),
        }
    }
    Ok(())
}

fn refuse(group: Vec<(Txn, Reply)>, error: &MetaError) {
    for (_, reply) in group {
        let _ = reply.send(Err(error.clone()));
    }
}

/// The answer that was sent into `outcome` before this call.
fn answered(
    mut outcome: oneshot::Receiver<Result<CommitOutcome, MetaError>>,
) -> Result<CommitOutcome, MetaError> {
    outcome.try_recv().unwrap_or_else(|_| Err(MetaError::Unknown("the writer gave no answer".into())))
}

impl Staged {
    fn answer(self) {
        for (reply, answer) in self.replies.into_iter().zip(self.answers) {
            let _ = reply.send(answer);
        }
    }

    fn answer_all(self, error: &MetaError) {
        for reply in self.replies {
            let _ = reply.send(Err(error.clone()));
        }
    }
}
