//! A node whose logs outlive processes: it remembers broadcasts as a log does, and checks what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use cinclus_coord::channels::ChannelRecord;
use cinclus_coord::keys;
use cinclus_meta::DynMetaStore;
use cinclus_rpc::{
    AppendError, Appended, ChannelStatus, ConsumeError, Deliveries, LogApi, NodeApi, NodeError, QueryAnswer,
    ReadError, SearchAnswer, ShardQuery, ShardSearch, ShardStatistics, Subscription,
};
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{BroadcastId, MessageId, PChannel, Term, Tick, VChannel};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::faults::Faults;

/// A message in a log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) vchannel: VChannel,
    pub(crate) draft: Draft,
    pub(crate) tick: Tick,
}

/// The logs and what was said about them.
pub(crate) struct FakeNode {
    faults: Faults,
    /// What is durable, whatever the process believes.
    durable: DynMetaStore,
    state: Mutex<State>,
    forgotten: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    incarnation: u32,
    terms: BTreeMap<PChannel, (Term, u32)>,
    logs: Vec<Logged>,
    answers: BTreeMap<(VChannel, BroadcastId), Appended>,
    corrupt: BTreeMap<PChannel, String>,
    closed: BTreeMap<PChannel, String>,
    hanging: Vec<PChannel>,
    refusals: u32,
}

impl FakeNode {
    pub(crate) fn new(faults: Faults, durable: DynMetaStore) -> FakeNode {
        FakeNode { faults, durable, state: Mutex::default(), forgotten: watch::Sender::new(0) }
    }

    /// A new process: terms of the one before must not come again.
    pub(crate) fn restart(&self) {
        self.state.lock().incarnation += 1;
    }

    /// The log cannot be opened, ever.
    pub(crate) fn corrupt(&self, channel: &PChannel, reason: &str) {
        self.state.lock().corrupt.insert(channel.clone(), reason.to_owned());
    }

    /// The log cannot be opened, and is not served, until it is let open.
    pub(crate) fn shut(&self, channel: &PChannel, reason: &str) {
        self.state.lock().closed.insert(channel.clone(), reason.to_owned());
    }

    /// Opening the log never ends.
    pub(crate) fn hang(&self, channel: &PChannel) {
        self.state.lock().hanging.push(channel.clone());
    }

    pub(crate) fn let_open(&self, channel: &PChannel) {
        self.state.lock().closed.remove(channel);
    }

    /// Every message in every log, in the order in which they came.
    pub(crate) fn logs(&self) -> Vec<Logged> {
        self.state.lock().logs.clone()
    }

    /// The term under which each log was opened last.
    pub(crate) fn terms(&self) -> BTreeMap<PChannel, Term> {
        self.state.lock().terms.iter().map(|(channel, (term, _))| (channel.clone(), *term)).collect()
    }

    /// How many broadcasts the logs still remember.
    pub(crate) fn remembered(&self) -> usize {
        self.state.lock().answers.len()
    }

    /// Waits until the logs remember no broadcast.
    pub(crate) async fn all_forgotten(&self) {
        let mut forgotten = self.forgotten.subscribe();
        while self.remembered() > 0 {
            forgotten.changed().await.unwrap();
        }
    }

    async fn open(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        // Invariant C1: the term is durable before a node hears of it.
        let stored = self.durable.get(&keys::channel(channel)).await.unwrap().expect("a stored term");
        let record: ChannelRecord = serde_json::from_slice(&stored.value).unwrap();
        assert_eq!(record.term, term, "{channel} was opened under a term that is not durable");
        let mut state = self.state.lock();
        let incarnation = state.incarnation;
        // Invariant C1: terms never repeat.
        let known = state.terms.insert(channel.clone(), (term, incarnation));
        let fits = known.is_none_or(|(before, by)| before < term || (before == term && by == incarnation));
        assert!(fits, "{channel} was opened under {term} after {known:?}");
        if let Some(reason) = state.corrupt.get(channel) {
            return Err(NodeError::Corrupt { channel: channel.clone(), reason: reason.clone() });
        }
        state.closed.get(channel).map_or(Ok(()), |reason| Err(NodeError::Unavailable(reason.clone())))
    }

    fn store(&self, channel: &PChannel, term: Term, draft: Draft) -> Result<Appended, AppendError> {
        let mut state = self.state.lock();
        if let Some(reason) = state.corrupt.get(channel) {
            return Err(AppendError::Corrupt(reason.clone()));
        }
        if let Some(reason) = state.closed.get(channel) {
            return Err(AppendError::NotReady(reason.clone()));
        }
        if state.terms.get(channel).map(|(known, _)| *known) != Some(term) {
            return Err(AppendError::NotOwner);
        }
        let vchannel = draft.vchannel.clone().unwrap();
        let key = draft.broadcast.as_ref().map(|broadcast| (vchannel.clone(), broadcast.id));
        if let Some(answer) = key.as_ref().and_then(|key| state.answers.get(key)) {
            return Ok(answer.clone());
        }
        let tick = Tick(1_000 + state.logs.len() as u64);
        let appended = Appended { ids: vec![], tick, sealed: vec![], last_confirmed: MessageId::EARLIEST };
        if let Some(key) = key {
            state.answers.insert(key, appended.clone());
        }
        state.logs.push(Logged { vchannel, draft, tick });
        Ok(appended)
    }
}

#[async_trait]
impl LogApi for FakeNode {
    async fn append(
        &self,
        channel: &PChannel,
        term: Term,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let draft = batch.into_iter().next().unwrap();
        let what = format!("append {:?}", draft.vchannel);
        let lost = || AppendError::Unknown("by the test".to_owned());
        let refused = || {
            let mut state = self.state.lock();
            state.refusals += 1;
            if state.refusals.is_multiple_of(2) {
                AppendError::Closing
            } else {
                AppendError::Overloaded("t".to_owned())
            }
        };
        self.faults.run(what, async { self.store(channel, term, draft) }, lost, refused).await
    }

    async fn check_owner(&self, _: &PChannel, _: Term) -> Result<(), AppendError> {
        Ok(())
    }

    async fn begin_txn(&self, _: &VChannel, _: Term, _: Option<Duration>) -> Result<TxnContext, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn append_in_txn(
        &self,
        _: &VChannel,
        _: Term,
        _: TxnContext,
        _: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn commit_txn(&self, _: &VChannel, _: Term, _: TxnContext) -> Result<Appended, AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn rollback_txn(&self, _: &VChannel, _: Term, _: TxnContext) -> Result<(), AppendError> {
        Err(AppendError::NotOwner)
    }

    async fn consume(
        &self,
        _: &PChannel,
        _: Term,
        _: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        Err(ConsumeError::NotOwner)
    }
}

#[async_trait]
impl NodeApi for FakeNode {
    async fn open_channel(&self, channel: &PChannel, term: Term) -> Result<(), NodeError> {
        let failed = || NodeError::Unavailable("by the test".to_owned());
        self.faults.run(format!("open {channel} {term}"), self.open(channel, term), failed, failed).await?;
        if self.state.lock().hanging.contains(channel) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn close_channel(&self, _: &PChannel, _: Term) -> Result<(), NodeError> {
        Ok(())
    }

    async fn forget_broadcasts(&self, channel: &PChannel, _: Term, broadcasts: &[BroadcastId]) {
        let forget = async {
            // Invariant C2: remembered until the task is gone for good.
            for id in broadcasts {
                assert_eq!(self.durable.get(&keys::broadcast(*id)).await, Ok(None));
            }
            let mut state = self.state.lock();
            state
                .answers
                .retain(|(vchannel, id), _| vchannel.pchannel() != *channel || !broadcasts.contains(id));
            Ok::<(), ()>(())
        };
        let _ = self.faults.run(format!("forget {channel}"), forget, || (), || ()).await;
        self.forgotten.send_modify(|count| *count += 1);
    }

    async fn persist(&self, vchannel: &VChannel, _: Tick) -> Result<(), ReadError> {
        Err(ReadError::NotServed(vchannel.clone()))
    }

    async fn search(&self, search: ShardSearch) -> Result<SearchAnswer, ReadError> {
        Err(ReadError::NotServed(search.read.vchannel))
    }

    async fn query(&self, query: ShardQuery) -> Result<QueryAnswer, ReadError> {
        Err(ReadError::NotServed(query.read.vchannel))
    }

    async fn statistics(&self, vchannel: &VChannel) -> Result<ShardStatistics, ReadError> {
        Err(ReadError::NotServed(vchannel.clone()))
    }

    async fn status(&self) -> Vec<ChannelStatus> {
        Vec::new()
    }
}
