//! A log in memory, with just enough of a log to be told apart from a wrong one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_rpc::{
    AppendError, Appended, ConsumeError, Deliveries, Delivery, DeliveryKind, LogApi, ScanFrom, Subscription,
    TxnEnds,
};
use cinclus_types::message::{Draft, Header, LastConfirmed, Message, Placement, TxnContext};
use cinclus_types::{
    Checkpoint, CollectionId, MessageId, PChannel, PartitionId, SegmentId, Term, Tick, TxnId, VChannel,
};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) const TERM: Term = Term(3);
pub(crate) const SEGMENT: SegmentId = SegmentId(900);

pub(crate) fn channel() -> PChannel {
    PChannel::new("p_0")
}

pub(crate) fn shard() -> VChannel {
    channel().shard(CollectionId(7), 0)
}

pub(crate) fn insert(payload: &str) -> Draft {
    let header = Header::Insert {
        collection: CollectionId(7),
        partition: PartitionId(8),
        rows: 2,
        binary_size: 9,
        segment: None,
        schema_version: 0,
    };
    Draft::new(shard(), header, Bytes::copy_from_slice(payload.as_bytes()))
}

pub(crate) fn delete(payload: &str) -> Draft {
    let header = Header::Delete { collection: CollectionId(7), rows: 1 };
    Draft::new(shard(), header, Bytes::copy_from_slice(payload.as_bytes()))
}

#[derive(Default)]
struct State {
    entry: u64,
    deliveries: Vec<Delivery>,
    open: Vec<(TxnId, Vec<Message>)>,
    earliest: MessageId,
    closed: bool,
}

/// A log of one term. An append of the payload `slow` waits until [`MemoryLog::release`].
pub(crate) struct MemoryLog {
    state: Arc<Mutex<State>>,
    news: watch::Sender<u64>,
    released: watch::Sender<bool>,
    readers: Arc<()>,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<MemoryLog> {
        Arc::new(MemoryLog {
            state: Arc::default(),
            news: watch::Sender::new(0),
            released: watch::Sender::new(false),
            readers: Arc::new(()),
        })
    }

    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.news.send_modify(|news| *news += 1);
    }

    pub(crate) fn truncate(&self, earliest: MessageId) {
        self.state.lock().earliest = earliest;
    }

    pub(crate) fn readers(&self) -> usize {
        Arc::strong_count(&self.readers) - 1
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().deliveries.clone()
    }

    /// Says how far time has come.
    pub(crate) fn tick(&self) {
        let mut state = self.state.lock();
        state.entry += 1;
        let checkpoint = Checkpoint { resume: id(state.entry), tick: tick(state.entry) };
        let delivery = Delivery {
            tick: checkpoint.tick,
            messages: Vec::new(),
            kind: DeliveryKind::TimeTick,
            txn: None,
            checkpoint,
            log_bytes: 0,
        };
        state.deliveries.push(delivery);
        drop(state);
        self.news.send_modify(|news| *news += 1);
    }

    fn publish(&self, messages: Vec<Message>, txn: Option<TxnEnds>) {
        let mut state = self.state.lock();
        let at = txn.as_ref().map_or_else(|| messages[0].tick(), |txn| txn.commit.tick());
        let kind = if txn.is_some() { DeliveryKind::Txn } else { DeliveryKind::Message };
        let checkpoint = Checkpoint { resume: id(state.entry + 1), tick: at };
        state.deliveries.push(Delivery { tick: at, messages, kind, txn, checkpoint, log_bytes: 0 });
        drop(state);
        self.news.send_modify(|news| *news += 1);
    }

    fn store(&self, draft: Draft) -> Message {
        let mut state = self.state.lock();
        state.entry += 1;
        let rows = matches!(draft.header, Header::Insert { .. });
        let placement = if rows { Placement::Into(SEGMENT) } else { Placement::Nowhere };
        let stamped = draft.stamp(tick(state.entry), TERM, LastConfirmed::Own);
        stamped.place(placement).stored(id(state.entry))
    }

    fn end(&self, header: Header, txn: TxnContext) -> Message {
        self.store(Draft { txn: Some(txn), ..Draft::new(shard(), header, Bytes::new()) })
    }

    fn close_txn(&self, txn: TxnContext) -> Result<Vec<Message>, AppendError> {
        let mut state = self.state.lock();
        let at = state.open.iter().position(|(id, _)| *id == txn.txn);
        at.map(|at| state.open.remove(at).1).ok_or(AppendError::TxnExpired(txn.txn))
    }
}

fn id(entry: u64) -> MessageId {
    MessageId::from_parts(0, 5, entry)
}

fn tick(entry: u64) -> Tick {
    Tick(1_000 + entry)
}

#[async_trait]
impl LogApi for MemoryLog {
    async fn check_owner(&self, of: &PChannel, term: Term) -> Result<(), AppendError> {
        if *of == channel() && term == TERM { Ok(()) } else { Err(AppendError::NotOwner) }
    }

    async fn append(&self, of: &PChannel, term: Term, batch: Vec<Draft>) -> Result<Appended, AppendError> {
        self.check_owner(of, term).await?;
        match &*batch[0].payload {
            b"slow" => drop(self.released.subscribe().wait_for(|released| *released).await),
            b"large" => return Err(AppendError::TooLarge { bytes: 5, limit: 4 }),
            _ => {}
        }
        if batch.len() == 1 {
            let message = self.store(batch.into_iter().next().unwrap());
            let (ids, sealed) = (vec![message.id()], vec![SEGMENT]);
            let last_confirmed = message.last_confirmed();
            let appended = Appended { ids, tick: message.tick(), sealed, last_confirmed };
            self.publish(vec![message], None);
            return Ok(appended);
        }
        let txn = self.begin_txn(&shard(), term, None).await?;
        let appended = self.append_in_txn(&shard(), term, txn, batch).await?;
        let committed = self.commit_txn(&shard(), term, txn).await?;
        Ok(Appended { tick: committed.tick, ..appended })
    }

    async fn begin_txn(
        &self,
        _: &VChannel,
        _: Term,
        keepalive: Option<Duration>,
    ) -> Result<TxnContext, AppendError> {
        let keepalive = keepalive.filter(|span| !span.is_zero()).unwrap_or(Duration::from_secs(10));
        let txn = TxnId(self.state.lock().entry as i64 + 1);
        let txn = TxnContext { txn, keepalive };
        let begin = self.end(Header::BeginTxn { keepalive }, txn);
        self.state.lock().open.push((txn.txn, vec![begin]));
        Ok(txn)
    }

    async fn append_in_txn(
        &self,
        _: &VChannel,
        _: Term,
        txn: TxnContext,
        batch: Vec<Draft>,
    ) -> Result<Appended, AppendError> {
        let txned = batch.into_iter().map(|draft| Draft { txn: Some(txn), ..draft });
        let stored: Vec<Message> = txned.map(|draft| self.store(draft)).collect();
        let ids = stored.iter().map(Message::id).collect();
        let (tick, last_confirmed) = (stored[0].tick(), stored[0].last_confirmed());
        let appended = Appended { ids, tick, sealed: Vec::new(), last_confirmed };
        let mut state = self.state.lock();
        let open = state.open.iter_mut().find(|(id, _)| *id == txn.txn);
        open.ok_or(AppendError::TxnExpired(txn.txn))?.1.extend(stored);
        Ok(appended)
    }

    async fn commit_txn(&self, _: &VChannel, _: Term, txn: TxnContext) -> Result<Appended, AppendError> {
        let mut messages = self.close_txn(txn)?;
        let begin = messages.remove(0);
        let commit = self.end(Header::CommitTxn, txn);
        let (tick, last_confirmed) = (commit.tick(), commit.last_confirmed());
        let appended = Appended { ids: Vec::new(), tick, sealed: Vec::new(), last_confirmed };
        self.publish(messages, Some(TxnEnds { begin, commit }));
        Ok(appended)
    }

    async fn rollback_txn(&self, _: &VChannel, _: Term, txn: TxnContext) -> Result<(), AppendError> {
        self.close_txn(txn).map(|_| ())
    }

    async fn consume(
        &self,
        _: &PChannel,
        _: Term,
        subscription: Subscription,
    ) -> Result<Box<dyn Deliveries>, ConsumeError> {
        let elsewhere = subscription.filter.vchannel.as_ref().filter(|vchannel| **vchannel != shard());
        if let Some(vchannel) = elsewhere {
            return Err(ConsumeError::Invalid(format!("{vchannel} is not here")));
        }
        let (next, state) = (self.start(subscription.from), self.state.clone());
        let (news, reader) = (self.news.subscribe(), self.readers.clone());
        Ok(Box::new(Reader { state, next, subscription, news, _reader: reader }))
    }
}

impl MemoryLog {
    fn start(&self, from: ScanFrom) -> usize {
        let state = self.state.lock();
        let after = |tick| state.deliveries.iter().take_while(|delivery| delivery.tick <= tick).count();
        match from {
            ScanFrom::Earliest => 0,
            ScanFrom::Latest => state.deliveries.len(),
            ScanFrom::Checkpoint(checkpoint) => after(checkpoint.tick),
            ScanFrom::Tick(tick) => after(tick),
        }
    }
}

struct Reader {
    state: Arc<Mutex<State>>,
    next: usize,
    subscription: Subscription,
    news: watch::Receiver<u64>,
    _reader: Arc<()>,
}

#[async_trait]
impl Deliveries for Reader {
    async fn next(&mut self) -> Result<Delivery, ConsumeError> {
        loop {
            self.news.borrow_and_update();
            {
                let state = self.state.lock();
                if let ScanFrom::Checkpoint(from) = self.subscription.from
                    && from.resume < state.earliest
                {
                    return Err(ConsumeError::Truncated { earliest: state.earliest });
                }
                if let Some(delivery) = state.deliveries.get(self.next).cloned() {
                    self.next += 1;
                    if delivery.messages.iter().all(|message| self.subscription.filter.takes(message)) {
                        return Ok(delivery);
                    }
                    continue;
                }
                if state.closed {
                    return Err(ConsumeError::Closed("by the test".to_owned()));
                }
            }
            self.news.changed().await.unwrap();
        }
    }
}
