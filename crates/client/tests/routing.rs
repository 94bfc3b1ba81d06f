//! Calls find the owner of a log, wait while it moves, and end when patience does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_client::{Client, ClientConfig, Nodes};
use cinclus_env::Env;
use cinclus_rpc::{
    AppendError, Appended, ChannelStatus, ConsumeError, Deliveries, LogApi, NodeApi, NodeError, QueryAnswer,
    ReadError, RollbackCause, SearchAnswer, ShardQuery, ShardSearch, ShardStatistics, Subscription,
};
use cinclus_types::message::{Draft, Header, TxnContext};
use cinclus_types::{
    Assignment, AssignmentView, BroadcastId, CollectionId, MessageId, NodeId, NodeInfo, PChannel, Term, Tick,
    TxnId, VChannel,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Answers appends and statistics as a script says, and notes under which terms it was asked.
#[derive(Default)]
struct Scripted {
    appends: Mutex<VecDeque<Result<Appended, AppendError>>>,
    commits: Mutex<VecDeque<Result<Appended, AppendError>>>,
    reads: Mutex<VecDeque<Result<ShardStatistics, ReadError>>>,
    asked: Mutex<Vec<Term>>,
    forgotten: Mutex<Vec<(PChannel, Term, BroadcastId)>>,
}

fn done(tick: u64) -> Appended {
    Appended { ids: vec![], tick: Tick(tick), sealed: vec![], last_confirmed: MessageId::EARLIEST }
}

fn not_ready() -> Result<Appended, AppendError> {
    Err(AppendError::NotReady("replaying".to_owned()))
}

#[async_trait]
impl LogApi for Scripted {
    async fn append(&self, _: &PChannel, term: Term, _: Vec<Draft>) -> Result<Appended, AppendError> {
        self.asked.lock().push(term);
        self.appends.lock().pop_front().unwrap_or_else(|| Ok(done(term.0 as u64)))
    }

    async fn check_owner(&self, _: &PChannel, _: Term) -> Result<(), AppendError> {
        Ok(())
    }

    async fn begin_txn(&self, _: &VChannel, _: Term, _: Option<Duration>) -> Result<TxnContext, AppendError> {
        Ok(TxnContext { txn: TxnId(1), keepalive: Duration::from_secs(1) })
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
        self.commits.lock().pop_front().unwrap_or_else(|| Err(AppendError::Unavailable("away".to_owned())))
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
impl NodeApi for Scripted {
    async fn open_channel(&self, _: &PChannel, _: Term) -> Result<(), NodeError> {
        Ok(())
    }

    async fn close_channel(&self, _: &PChannel, _: Term) -> Result<(), NodeError> {
        Ok(())
    }

    async fn forget_broadcasts(&self, channel: &PChannel, term: Term, broadcasts: &[BroadcastId]) {
        self.forgotten.lock().extend(broadcasts.iter().map(|id| (channel.clone(), term, *id)));
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
        let scripted = self.reads.lock().pop_front();
        scripted.unwrap_or_else(|| Err(ReadError::NotServed(vchannel.clone())))
    }

    async fn status(&self) -> Vec<ChannelStatus> {
        Vec::new()
    }
}

/// Nodes by their ids.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<BTreeMap<NodeId, Arc<Scripted>>>>);

impl Nodes for Known {
    fn node(&self, info: &NodeInfo) -> Option<Arc<dyn NodeApi>> {
        self.0.lock().get(&info.id).cloned().map(|node| node as Arc<dyn NodeApi>)
    }
}

/// A client of two nodes; the log is not assigned yet.
struct World {
    env: Env,
    view: watch::Sender<AssignmentView>,
    known: Known,
    client: Client,
}

impl World {
    fn new() -> World {
        let (env, known) = (Env::test(1), Known::default());
        for id in 1..=2 {
            known.0.lock().insert(NodeId(id), Arc::default());
        }
        let view = watch::Sender::new(AssignmentView::default());
        let nodes = Arc::new(known.clone());
        let client = Client::new(view.subscribe(), nodes, env.clock.clone(), ClientConfig::default());
        World { env, view, known, client }
    }

    fn node(&self, id: i64) -> Arc<Scripted> {
        self.known.0.lock()[&NodeId(id)].clone()
    }

    fn assign(&self, node: i64, term: i64) {
        let node = NodeInfo { id: NodeId(node), address: String::new() };
        self.view.send_modify(|view| {
            view.version.local += 1;
            view.channels.insert(log(), Assignment { term: Term(term), node });
        });
    }

    /// The answer, and how long it took.
    async fn append(&self) -> (Result<Appended, AppendError>, Duration) {
        let start = self.env.clock.monotonic();
        let answer = self.client.append(&shard(), vec![draft()]).await;
        (answer, self.env.clock.monotonic() - start)
    }
}

fn log() -> PChannel {
    PChannel::new("log_0")
}

fn shard() -> VChannel {
    log().shard(CollectionId(7), 0)
}

fn draft() -> Draft {
    Draft::new(shard(), Header::RollbackTxn, Bytes::new())
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_call_waits_until_its_log_is_assigned() {
    let world = World::new();
    let mut append = Box::pin(world.append());
    assert!(futures::poll!(&mut append).is_pending());
    // A change of other logs does not end the wait.
    world.view.send_modify(|view| view.version.local += 1);
    assert!(futures::poll!(&mut append).is_pending());
    world.assign(1, 4);
    assert_eq!(append.await, (Ok(done(4)), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn patience_with_a_log_that_nobody_has_ends_with_not_ready() {
    let (answer, took) = World::new().append().await;
    let text = "log_0 did not become ready within 30s: it is not assigned to a node";
    assert_eq!((answer, took), (Err(AppendError::NotReady(text.to_owned())), PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_not_ready_is_asked_again_with_growing_pauses() {
    let world = World::new();
    world.assign(1, 1);
    world.node(1).appends.lock().extend((0..4).map(|_| not_ready()));
    let (answer, took) = world.append().await;
    assert_eq!(answer, Ok(done(1)));
    assert_eq!(took, Duration::from_millis(5 + 10 + 20 + 40));
    assert_eq!(world.node(1).asked.lock().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn patience_with_a_log_that_never_gets_ready_ends_with_its_reason() {
    let world = World::new();
    world.assign(1, 1);
    world.node(1).appends.lock().extend((0..1_000).map(|_| not_ready()));
    let (answer, took) = world.append().await;
    let text = "log_0 did not become ready within 30s: the log is not ready: replaying";
    assert_eq!((answer, took), (Err(AppendError::NotReady(text.to_owned())), PATIENCE));
    // The pauses grow to half a second and no further.
    assert!((60..80).contains(&world.node(1).asked.lock().len()));
}

#[tokio::test(start_paused = true)]
async fn a_moved_log_is_followed_as_soon_as_the_view_says_so() {
    for refusal in [AppendError::NotOwner, AppendError::Closing] {
        let world = World::new();
        world.assign(1, 1);
        world.node(1).appends.lock().push_back(Err(refusal));
        let mut append = Box::pin(world.append());
        assert!(futures::poll!(&mut append).is_pending());
        world.assign(2, 2);
        assert_eq!(append.await, (Ok(done(2)), Duration::ZERO));
        assert_eq!(
            (&*world.node(1).asked.lock(), &*world.node(2).asked.lock()),
            (&vec![Term(1)], &vec![Term(2)])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_has_not_heard_of_its_term_is_asked_again() {
    let world = World::new();
    world.assign(1, 1);
    world.node(1).appends.lock().extend([Err(AppendError::NotOwner), Err(AppendError::NotOwner)]);
    let (answer, took) = world.append().await;
    assert_eq!(answer, Ok(done(1)));
    assert_eq!(took, Duration::from_millis(10 + 20));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_cannot_be_reached_is_waited_for() {
    let world = World::new();
    world.assign(9, 1);
    let mut append = Box::pin(world.append());
    assert!(futures::poll!(&mut append).is_pending());
    world.assign(2, 2);
    assert_eq!(append.await.0, Ok(done(2)));

    let world = World::new();
    world.assign(9, 1);
    let text = "log_0 did not become ready within 30s: its owner cannot be reached";
    assert_eq!(world.append().await.0, Err(AppendError::NotReady(text.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_happened_and_what_can_never_happen_is_handed_back_at_once() {
    let errors = [
        AppendError::Unknown("the writer died".to_owned()),
        AppendError::Unavailable("the disk fails".to_owned()),
        AppendError::Overloaded("too much".to_owned()),
        AppendError::OutOfSpace { need: 2, available: 1 },
        AppendError::CollectionNotFound(CollectionId(7)),
        AppendError::Corrupt("segment 3".to_owned()),
    ];
    for error in errors {
        let world = World::new();
        world.assign(1, 1);
        world.node(1).appends.lock().push_back(Err(error.clone()));
        assert_eq!(world.append().await, (Err(error), Duration::ZERO));
        assert_eq!(world.node(1).asked.lock().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn reads_follow_a_moved_shard_and_hand_everything_else_back() {
    let world = World::new();
    world.assign(1, 1);
    let serving = ShardStatistics { serving: true, ..ShardStatistics::default() };
    world.node(2).reads.lock().push_back(Ok(serving.clone()));
    let shard = shard();
    let mut read = Box::pin(world.client.statistics(&shard));
    assert!(futures::poll!(&mut read).is_pending());
    world.assign(2, 2);
    assert_eq!(read.await, Ok(serving));

    let error = ReadError::TimedOut { asked: Tick(9), tsafe: Tick(3) };
    world.node(2).reads.lock().push_back(Err(error.clone()));
    assert_eq!(world.client.statistics(&shard).await, Err(error));

    let text = format!("log_0 did not become ready within 30s: channel not available[channel={shard}]");
    assert_eq!(world.client.statistics(&shard).await, Err(ReadError::Unavailable(text)));
}

#[tokio::test(start_paused = true)]
async fn patience_also_ends_when_no_view_comes_any_more() {
    let World { env, view, client, .. } = World::new();
    drop(view);
    let start = env.clock.monotonic();
    let answer = client.append(&shard(), vec![draft()]).await;
    assert!(matches!(answer, Err(AppendError::NotReady(_))));
    assert_eq!(env.clock.monotonic() - start, PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_not_repeated() {
    let world = World::new();
    world.assign(1, 1);
    world.node(1).appends.lock().extend((0..10).map(|_| not_ready()));
    let mut append = Box::pin(world.append());
    assert!(futures::poll!(&mut append).is_pending());
    drop(append);
    world.env.clock.sleep(PATIENCE).await;
    assert_eq!(world.node(1).asked.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_was_lost_is_unknown_until_the_log_says_what_became_of_it() {
    let lost = || Err(AppendError::Unknown("lost".to_owned()));
    let away = || Err(AppendError::Unavailable("away".to_owned()));
    let rolled_back = || Err(AppendError::TxnRolledBack(TxnId(1), RollbackCause::HoldsLog));
    for (answers, told) in [
        (vec![lost(), away(), Ok(done(7))], Ok(Tick(7))),
        (vec![lost(), away()], Err(AppendError::Unknown("lost".to_owned()))),
        (
            vec![lost(), away(), Err(AppendError::TxnExpired(TxnId(1)))],
            Err(AppendError::TxnExpired(TxnId(1))),
        ),
        (vec![rolled_back()], rolled_back().map(|done: Appended| done.tick)),
        (vec![away()], Err(AppendError::Unavailable("away".to_owned()))),
    ] {
        let world = World::new();
        world.assign(1, 1);
        let txn = world.client.logs().begin(&shard(), None).await.unwrap();
        world.node(1).commits.lock().extend(answers);
        assert_eq!(txn.commit().await, told);
    }
}

#[tokio::test(start_paused = true)]
async fn broadcasts_are_forgotten_by_the_owner_and_by_nobody_if_there_is_none() {
    let world = World::new();
    world.client.forget_broadcasts(&log(), &[BroadcastId(1)]).await;
    world.assign(2, 5);
    world.client.forget_broadcasts(&log(), &[BroadcastId(2)]).await;
    assert_eq!(*world.node(2).forgotten.lock(), [(log(), Term(5), BroadcastId(2))]);
}
