//! Clients at work: each does one thing after another and notes what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_client::Client;
use cinclus_env::{DynClock, Random};
use cinclus_rpc::{
    AppendError, Appended, Freshness, QueryAnswer, QueryPlan, ReadError, RollbackCause, ShardQuery, ShardRead,
};
use cinclus_types::{Advice, ColumnData, FieldId, MessageId, PartitionId, Tick};

use crate::handed_on::{AllHandedOn, HandedOn};
use crate::history::{Answer, By, Change, History, Outcome, Wish};
use crate::shard::{KEY, Shard, VALUE, schema};
use crate::tally::Tally;

/// A client.
pub struct Actor {
    /// Its number.
    pub number: u64,
    /// Its own chance.
    pub random: Random,
    /// How it reaches the cluster.
    pub client: Client,
    /// Its time.
    pub clock: DynClock,
    /// Where it writes.
    pub shards: Vec<Shard>,
    /// How many keys there are.
    pub keys: u64,
    /// How many of them an insert has, at most.
    pub rows_max: u64,
    /// Whether it flushes and persists.
    pub flushes: bool,
    /// Whether it writes transactions of several calls.
    pub sessions: bool,
    /// Whether its [`Actor::read_step`] reads at least at the tick of the newest write that anybody was told of, and not
    /// Strong: then no read tells an owner that it was outrun.
    pub hears: bool,
    /// Where it leaves some for later lives.
    pub handed_on: Option<AllHandedOn>,
    /// Where sessions are counted.
    pub tally: Tally,
    /// What it notes.
    pub history: History,
    /// Ticks that it was told, of each shard by its place.
    pub told: BTreeMap<usize, Vec<Tick>>,
}

impl Actor {
    fn below(&self, bound: u64) -> u64 {
        self.random.range(0..bound)
    }

    /// Does something. An error is something that must not have come of it, if nothing is wrong with the stores.
    ///
    /// # Errors
    /// A refusal for good.
    pub async fn step(&mut self) -> Result<(), String> {
        let at = self.below(self.shards.len() as u64) as usize;
        match self.below(26) {
            0..=5 => self.append(at, vec![self.insert(at)]).await,
            6..=7 => self.append(at, vec![self.delete(at)]).await,
            8..=11 => self.append(at, self.upsert(at)).await,
            12 => self.append(at, self.transaction(at)).await,
            13 | 14 if !self.flushes => self.append(at, vec![self.insert(at)]).await,
            13 => self.append(at, vec![Change::Flush]).await,
            14 => self.persist(at).await,
            15 => self.pause(1_500_000).await,
            16..=19 => self.read(at, Freshness::Strong).await,
            20 => self.read(at, Freshness::AtLeast(Tick::ZERO)).await,
            21 => match self.told(at) {
                Some(tick) => self.read(at, Freshness::AtLeast(tick)).await,
                None => Ok(()),
            },
            22 => match self.told(at) {
                Some(tick) => self.read(at, Freshness::Snapshot(tick)).await,
                None => Ok(()),
            },
            23 | 24 if self.sessions => self.session(at).await,
            23 | 24 => self.append(at, self.transaction(at)).await,
            _ => self.pause(20_000).await,
        }
    }

    /// Reads something, now and then.
    ///
    /// # Errors
    /// As [`Actor::step`].
    pub async fn read_step(&mut self) -> Result<(), String> {
        self.pause(200_000).await?;
        let at = self.below(self.shards.len() as u64) as usize;
        let heard = self.history.written(&self.shards[at].vchannel);
        let freshness = if self.hears { Freshness::AtLeast(heard) } else { Freshness::Strong };
        self.read(at, freshness).await
    }

    async fn pause(&self, micros: u64) -> Result<(), String> {
        self.clock.sleep(Duration::from_micros(self.below(micros))).await;
        Ok(())
    }

    /// Some keys, each once.
    fn some_keys(&self, most: u64) -> Vec<i64> {
        let mut keys: Vec<i64> = (0..=self.below(most)).map(|_| self.below(self.keys) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn partition(&self, at: usize) -> PartitionId {
        let partitions = self.shards[at].partitions();
        partitions[self.below(partitions.len() as u64) as usize]
    }

    /// A tick that it was told of a shard.
    fn told(&self, at: usize) -> Option<Tick> {
        let ticks = self.told.get(&at)?;
        Some(ticks[ticks.len() - 1 - self.below(ticks.len().min(6) as u64) as usize])
    }

    /// Rows whose values are set when the operation has its number.
    fn rows(&self, keys: Vec<i64>) -> Vec<(i64, i64)> {
        keys.into_iter().map(|key| (key, 0)).collect()
    }

    fn insert(&self, at: usize) -> Change {
        Change::Insert { partition: self.partition(at), rows: self.rows(self.some_keys(self.rows_max)) }
    }

    fn delete(&self, at: usize) -> Change {
        let mut keys = self.some_keys(4);
        // Of even keys all rows are deleted or none, so that each is a register.
        let of_odd = keys.iter().copied().filter(|key| key % 2 == 1).collect::<Vec<i64>>();
        let partition = (!of_odd.is_empty() && self.below(3) == 0).then(|| self.partition(at));
        if partition.is_some() {
            keys = of_odd;
        }
        Change::Delete { partition, keys }
    }

    fn upsert(&self, at: usize) -> Vec<Change> {
        let keys = self.some_keys(3);
        let rows = self.rows(keys.clone());
        vec![Change::Delete { partition: None, keys }, Change::Insert { partition: self.partition(at), rows }]
    }

    /// Upserts some keys, deletes others, in one.
    fn transaction(&self, at: usize) -> Vec<Change> {
        let mut changes = self.upsert(at);
        changes.push(Change::Delete { partition: None, keys: self.some_keys(4) });
        changes
    }

    async fn append(&mut self, at: usize, mut changes: Vec<Change>) -> Result<(), String> {
        let shard = self.shards[at].clone();
        let keyed = self.below(3) == 0 && changes.len() == 1;
        let (number, wish) = self.history.begin(self.number, |number| {
            for change in &mut changes {
                if let Change::Insert { rows, .. } = change {
                    rows.iter_mut().for_each(|row| row.1 = number as i64);
                }
            }
            let key = keyed.then(|| format!("key-{number}"));
            Wish::Append { vchannel: shard.vchannel.clone(), changes, key, by: By::Call }
        });
        let Wish::Append { changes, key, .. } = wish else { return Ok(()) };
        let mut batch: Vec<_> = changes.iter().map(|change| shard.draft(change, number)).collect();
        if let Some(first) = batch.first_mut() {
            first.idempotency_key.clone_from(&key);
        }
        // With a key, an answer that is missing is asked for again.
        let mut tries = if key.is_some() { 3 } else { 1 };
        loop {
            tries -= 1;
            let error = match self.client.append(&shard.vchannel, batch.clone()).await {
                Ok(appended) => {
                    self.told.entry(at).or_default().push(appended.tick);
                    self.history.end(number, Outcome::Appended(appended));
                    return Ok(());
                }
                Err(error) => error,
            };
            match error.advice() {
                Advice::Unknown if tries > 0 => {}
                Advice::Unknown => return self.unknown(number, error.to_string()),
                // An earlier try may have been stored.
                _ if key.is_some() => return self.unknown(number, error.to_string()),
                Advice::Retry | Advice::Reroute => return self.refused(number, error.to_string()),
                Advice::Reject => {
                    self.history.end(number, Outcome::Refused(error.to_string()));
                    return Err(format!("operation {number} was refused: {error}"));
                }
            }
        }
    }

    /// A transaction of several calls, which is given up now and then.
    async fn session(&mut self, at: usize) -> Result<(), String> {
        let shard = self.shards[at].clone();
        let mut changes = self.transaction(at);
        let (number, wish) = self.history.begin(self.number, |number| {
            for change in &mut changes {
                if let Change::Insert { rows, .. } = change {
                    rows.iter_mut().for_each(|row| row.1 = number as i64);
                }
            }
            Wish::Append { vchannel: shard.vchannel.clone(), changes, key: None, by: By::Session }
        });
        let Wish::Append { changes, .. } = wish else { return Ok(()) };
        let outcome = match self.in_a_session(&shard, &changes, number).await {
            Ok(Some(tick)) => {
                self.tally.count("sessions committed");
                self.told.entry(at).or_default().push(tick);
                let (ids, sealed, last_confirmed) = (Vec::new(), Vec::new(), MessageId::EARLIEST);
                Outcome::Appended(Appended { ids, tick, sealed, last_confirmed })
            }
            Ok(None) => Outcome::Refused("rolled back".to_owned()),
            Err(error) if error.advice() == Advice::Unknown => Outcome::Unknown(error.to_string()),
            Err(error) => Outcome::Refused(error.to_string()),
        };
        self.history.end(number, outcome);
        Ok(())
    }

    /// The tick of the commit; `None` if it was given up. An error before the commit is one of nothing.
    async fn in_a_session(
        &self,
        shard: &Shard,
        changes: &[Change],
        number: u64,
    ) -> Result<Option<Tick>, AppendError> {
        let never = |error: AppendError| {
            if let AppendError::TxnRolledBack(_, cause) = error {
                self.tally.count(match cause {
                    RollbackCause::HoldsLog => "sessions rolled back for the log they held",
                    RollbackCause::Changed => "sessions rolled back for a change",
                });
            }
            AppendError::Invalid(format!("never committed: {error}"))
        };
        let random = self.random.fork(&format!("session {number}"));
        let long = random.chance(0.25);
        let keepalive = Duration::from_secs(if long { 600 } else { 2 });
        let begun = self.client.logs().begin(&shard.vchannel, Some(keepalive)).await;
        let mut txn = begun.map_err(never)?;
        let leaves = long && random.chance(0.5);
        let heirs = self.handed_on.as_ref().filter(|_| leaves && random.chance(0.5));
        let said = if heirs.is_some() { changes.len() - 1 } else { changes.len() };
        for change in &changes[..said] {
            self.clock.sleep(Duration::from_micros(self.below(60_000))).await;
            txn.append(vec![shard.draft(change, number)]).await.map_err(never)?;
        }
        if let Some(heirs) = heirs {
            self.tally.count("sessions left to a later life");
            let (vchannel, txn) = (shard.vchannel.clone(), txn.context());
            let rest = changes.last().map(|change| shard.draft(change, number));
            heirs.lock().push(HandedOn { number, vchannel, txn, rest, committing: false });
            return Err(AppendError::Unknown("it is left to a later life".to_owned()));
        }
        if leaves {
            // It holds the log until its owner has had enough of it.
            self.tally.count("sessions left open");
            return Ok(None);
        }
        if long {
            self.clock.sleep(Duration::from_micros(random.range(0..3_000_000))).await;
        }
        if self.below(6) == 0 {
            // Whether it is known or not, it must never take effect.
            let _ = txn.rollback().await;
            return Ok(None);
        }
        txn.commit().await.map(Some)
    }

    fn unknown(&self, number: u64, text: String) -> Result<(), String> {
        self.history.end(number, Outcome::Unknown(text));
        Ok(())
    }

    fn refused(&self, number: u64, text: String) -> Result<(), String> {
        self.history.end(number, Outcome::Refused(text));
        Ok(())
    }

    async fn persist(&self, at: usize) -> Result<(), String> {
        let vchannel = &self.shards[at].vchannel;
        let (number, _) = self.history.begin(self.number, |_| Wish::Other(format!("persist {vchannel}")));
        let persisted = self.client.persist(vchannel, Tick::ZERO).await;
        self.done(number, persisted)
    }

    fn done(&self, number: u64, outcome: Result<(), ReadError>) -> Result<(), String> {
        match outcome {
            Ok(()) => {
                self.history.end(number, Outcome::Done);
                Ok(())
            }
            Err(error) if error.advice() == Advice::Reject => {
                self.history.end(number, Outcome::Refused(error.to_string()));
                Err(format!("operation {number} was refused: {error}"))
            }
            Err(error) => self.refused(number, error.to_string()),
        }
    }

    /// Reads everything, and says how much of it was answered.
    ///
    /// # Errors
    /// As [`Actor::step`].
    pub async fn look_at_all(&mut self) -> Result<(), String> {
        let mut outcome = Ok(());
        for at in 0..self.shards.len() {
            for count_only in [false, true] {
                outcome = outcome.and(self.read_those(at, Freshness::Strong, None, count_only).await);
            }
        }
        outcome
    }

    /// Reads a shard: all of it, some keys, or how many rows it has.
    ///
    /// # Errors
    /// A refusal for good.
    pub async fn read(&mut self, at: usize, freshness: Freshness) -> Result<(), String> {
        let keys = (self.below(2) == 0).then(|| self.some_keys(2));
        let count_only = self.below(4) == 0;
        self.read_those(at, freshness, keys, count_only).await
    }

    /// As [`Actor::read`], of what is said.
    ///
    /// # Errors
    /// A refusal for good.
    pub async fn read_those(
        &mut self,
        at: usize,
        freshness: Freshness,
        keys: Option<Vec<i64>>,
        count_only: bool,
    ) -> Result<(), String> {
        let shard = self.shards[at].clone();
        let query = query(&shard, freshness, keys.as_deref(), count_only)?;
        let (vchannel, wished) = (shard.vchannel.clone(), keys.clone());
        let wish = |_| Wish::Read { vchannel, freshness, keys: wished, count_only };
        let (number, _) = self.history.begin(self.number, wish);
        match self.client.query(query).await {
            Ok(answer) => {
                self.told.entry(at).or_default().push(answer.at);
                self.history.end(number, Outcome::Answered(answered(&answer)?));
                Ok(())
            }
            Err(error) => self.done(number, Err(error)),
        }
    }
}

fn query(
    shard: &Shard,
    freshness: Freshness,
    keys: Option<&[i64]>,
    count_only: bool,
) -> Result<ShardQuery, String> {
    let filter = match keys {
        None => None,
        Some(keys) => {
            let text = format!("key in {keys:?}");
            let parsed = cinclus_expr::parse(&text, &schema(""), &BTreeMap::new());
            Some(Arc::new(parsed.map_err(|error| error.to_string())?))
        }
    };
    let output = if count_only { Vec::new() } else { vec![KEY, VALUE] };
    let read = ShardRead {
        vchannel: shard.vchannel.clone(),
        collection: shard.collection,
        partitions: Vec::new(),
        freshness,
        ignore_growing: false,
        patience: Duration::from_secs(5),
    };
    Ok(ShardQuery { read, plan: Arc::new(QueryPlan { filter, limit: None, count_only, output }) })
}

/// An answer as the history keeps it.
///
/// # Errors
/// If it has not the columns that were asked for.
fn answered(answer: &QueryAnswer) -> Result<Answer, String> {
    let column = |field: FieldId| match answer.rows.column(field).map(|column| &column.data) {
        Some(ColumnData::Int64(values)) => Ok(values.clone()),
        // Without rows there may be no columns.
        None if answer.keys.is_empty() => Ok(Vec::new()),
        other => Err(format!("not what was asked for: {other:?}")),
    };
    let values = if answer.keys.is_empty() { Vec::new() } else { column(VALUE)? };
    let keys = match &answer.keys {
        keys if keys.is_empty() => Vec::new(),
        keys => (0..keys.len())
            .filter_map(|row| match keys[row] {
                cinclus_types::Key::Int64(key) => Some(key),
                cinclus_types::Key::VarChar(_) => None,
            })
            .collect(),
    };
    if keys.len() != values.len() || answer.ticks.len() != keys.len() {
        return Err(format!("{} keys, {} values, {} ticks", keys.len(), values.len(), answer.ticks.len()));
    }
    let rows = keys.into_iter().zip(values.into_iter().zip(answer.ticks.iter().copied())).collect();
    Ok(Answer { at: answer.at, count: answer.count, rows })
}
