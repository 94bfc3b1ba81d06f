//! The streaming client on nodes that take a log from each other while it reads and writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_client::{Client, ClientConfig, Consumer, Nodes};
use cinclus_node::Node;
use cinclus_rpc::{AppendError, DeliveryKind, NodeApi, ScanFilter, ScanFrom};
use cinclus_types::{Assignment, AssignmentView, NodeId, NodeInfo, Term};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::shard::Shard;
use crate::world::{Life, World};

/// The nodes, by the terms under which they own the log.
#[derive(Clone, Default)]
struct Owners(Arc<Mutex<BTreeMap<NodeId, Arc<Node>>>>);

impl Nodes for Owners {
    fn node(&self, info: &NodeInfo) -> Option<Arc<dyn NodeApi>> {
        self.0.lock().get(&info.id).cloned().map(|node| node as Arc<dyn NodeApi>)
    }
}

/// One log, its owners, and who follows them.
struct Cluster<'a> {
    world: &'a World,
    view: watch::Sender<AssignmentView>,
    owners: Owners,
    lives: Vec<Life>,
    client: Client,
}

impl Cluster<'_> {
    fn begin(world: &World, first: Life) -> Cluster<'_> {
        let (view, owners) = (watch::Sender::new(AssignmentView::default()), Owners::default());
        let nodes = Arc::new(owners.clone());
        let clock = first.env.clock.clone();
        let client = Client::new(view.subscribe(), nodes, clock, ClientConfig::default());
        let mut cluster = Cluster { world, view, owners, lives: Vec::new(), client };
        cluster.publish(first);
        cluster
    }

    fn publish(&mut self, life: Life) {
        let (term, node) = (life.term, life.node.clone());
        self.owners.0.lock().insert(NodeId(term.0), node);
        let info = NodeInfo { id: NodeId(term.0), address: String::new() };
        self.view.send_modify(|view| {
            view.version.local += 1;
            view.channels.insert(self.world.channels[0].clone(), Assignment { term, node: info });
        });
        self.lives.push(life);
    }

    /// A node that nobody told to go loses the log to the next one; that is published a little later.
    async fn fail_over(&mut self) {
        let before = self.lives.last().unwrap().clone();
        let next = Life::begin(self.world, Term(before.term.0 + 1), before.env.clock.clone()).await;
        before.pause(Duration::from_millis(30)).await;
        self.publish(next);
    }
}

/// The keys of all rows, until so many came, and how many deliveries were transactions.
async fn read(consumer: &mut Consumer, shard: &Shard, rows: usize) -> (Vec<i64>, usize) {
    let (mut seen, mut txns) = (Vec::new(), 0);
    while seen.len() < rows {
        let delivery = consumer.next().await.unwrap();
        assert_eq!(consumer.checkpoint(), Some(delivery.checkpoint));
        seen.extend(crate::consume::keys(shard, &delivery));
        txns += usize::from(delivery.kind == DeliveryKind::Txn);
    }
    (seen, txns)
}

#[test]
fn a_consumer_sees_every_row_once_while_nodes_take_the_log_from_each_other() {
    let world = World::new(75, 1);
    let (shard, channel) = (Shard::new(&world.channels[0], 1), world.channels[0].clone());
    world.live(async |life: Life| {
        life.create(&shard).await;
        let mut cluster = Cluster::begin(&world, life);
        let client = cluster.client.clone();
        let filter = crate::consume::inserts(&shard);
        let mut early = client.logs().consume(&channel, ScanFrom::Earliest, filter.clone()).unwrap();
        let mut tail = client.logs().consume(&channel, ScanFrom::Latest, filter).unwrap();
        let start = tail.next().await.unwrap();
        assert_eq!((start.kind, start.messages.len()), (DeliveryKind::TimeTick, 0));
        let row = |key| shard.insert(world.dim, shard.partition(0), &[(key, key)]);
        let load = async {
            for round in 0..5_i64 {
                for at in 0..20 {
                    client.append(&shard.vchannel, vec![row(round * 100 + at)]).await.unwrap();
                }
                // Begun under one owner, committed under the next.
                let mut txn = client.logs().begin(&shard.vchannel, None).await.unwrap();
                txn.append(vec![row(round * 100 + 50)]).await.unwrap();
                cluster.fail_over().await;
                txn.append(vec![row(round * 100 + 51)]).await.unwrap();
                txn.commit().await.unwrap();
            }
        };
        let rows = 5 * 22;
        let reads = async { tokio::join!(read(&mut early, &shard, rows), read(&mut tail, &shard, rows)) };
        let (reads, ()) = tokio::join!(reads, load);
        let wanted: Vec<i64> =
            (0..5).flat_map(|round| (0..20).chain([50, 51]).map(move |at| round * 100 + at)).collect();
        assert_eq!(reads.0, (wanted.clone(), 5));
        assert_eq!(reads.1, (wanted, 5));
    });
}

#[test]
fn a_rolled_back_transaction_is_never_seen_and_one_without_messages_expires() {
    let world = World::new(76, 1);
    let (shard, channel) = (Shard::new(&world.channels[0], 1), world.channels[0].clone());
    world.live(async |life: Life| {
        life.create(&shard).await;
        let cluster = Cluster::begin(&world, life);
        let logs = cluster.client.logs();
        let row = |key| vec![shard.insert(world.dim, shard.partition(0), &[(key, key)])];
        let mut gone = logs.begin(&shard.vchannel, None).await.unwrap();
        gone.append(row(1)).await.unwrap();
        gone.rollback().await.unwrap();
        let mut late = logs.begin(&shard.vchannel, Some(Duration::from_secs(1))).await.unwrap();
        late.append(row(2)).await.unwrap();
        cluster.lives[0].pause(Duration::from_secs(2)).await;
        let txn = late.context().txn;
        assert_eq!(late.append(row(3)).await, Err(AppendError::TxnExpired(txn)));
        assert_eq!(late.commit().await, Err(AppendError::TxnExpired(txn)));
        logs.append(&shard.vchannel, row(4)).await.unwrap();
        let filter = crate::consume::inserts(&shard);
        let mut consumer = logs.consume(&channel, ScanFrom::Earliest, filter).unwrap();
        assert_eq!(read(&mut consumer, &shard, 1).await, (vec![4], 0));
        let elsewhere = ScanFilter::of(cinclus_types::PChannel::new("log_9").control());
        assert!(logs.consume(&channel, ScanFrom::Earliest, elsewhere).is_err());
    });
}
