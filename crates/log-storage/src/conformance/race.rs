//! Two processes take a log from each other while both append at full speed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cinclus_env::{DynClock, Env};
use cinclus_types::MessageId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{channel, read_from};
use crate::error::LogError;
use crate::record::{Record, StoredRecord};
use crate::storage::{DynLogStorage, LogWriter, OpenOptions};

/// What writers sent and were told. Writer `w`, counted in the order of opens, sends `w n` for n from 0.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What was acknowledged, and as which record.
    pub acked: BTreeMap<MessageId, String>,
}

impl History {
    /// The text of a writer's record.
    #[must_use]
    pub fn text(writer: u64, number: u64) -> String {
        format!("{writer} {number}")
    }

    /// A batch of that one record.
    #[must_use]
    pub fn record(writer: u64, number: u64) -> Vec<Record> {
        vec![Record::new(Self::text(writer, number), Vec::new())]
    }

    /// Checks everything that is in the log from `from` on.
    pub fn check(&self, from: MessageId, found: &[StoredRecord]) {
        assert!(found.is_sorted_by(|one, other| one.id < other.id), "ids do not increase");
        let text = |record: &StoredRecord| String::from_utf8_lossy(&record.record.payload).into_owned();
        let there: BTreeMap<MessageId, String> =
            found.iter().map(|record| (record.id, text(record))).collect();
        for (id, text) in self.acked.range(from..) {
            assert_eq!(there.get(id), Some(text), "{id} was acknowledged");
        }
        // L3 and L4: of each writer a first part, and nothing of it after the next one's first.
        let mut last: Option<(u64, u64)> = None;
        for text in there.values() {
            let (writer, number) = text.split_once(' ').expect("a writer and a number");
            let number_of = |text: &str| text.parse::<u64>().expect("a number");
            let at = (number_of(writer), number_of(number));
            let follows = match last {
                None => from > MessageId::EARLIEST || at.1 == 0,
                Some((writer, number)) => at == (writer, number + 1) || (at.0 > writer && at.1 == 0),
            };
            assert!(follows, "{at:?} after {last:?}");
            last = Some(at);
        }
    }
}

/// Opens a writer, as often as it takes.
pub async fn insist(storage: &DynLogStorage, term: u64) -> Box<dyn LogWriter> {
    let term = cinclus_types::Term(i64::try_from(term).expect("a term of a test"));
    let options = OpenOptions { term, acknowledged: MessageId::EARLIEST };
    loop {
        match storage.open_writer(&channel(), options).await {
            Ok(writer) => return writer,
            Err(error) => assert!(matches!(error, LogError::Unavailable(_)), "{error}"),
        }
    }
}

/// How a race is run.
#[derive(Clone, Copy, Debug)]
pub struct Race {
    /// How often the log has a new owner.
    pub moves: u64,
    /// Appends of an owner that wait for their acks at once.
    pub window: u64,
}

/// How far the newest writer is.
#[derive(Clone, Copy, Debug)]
struct Progress {
    writer: u64,
    acked: u64,
    ended: bool,
}

/// One process: takes the log, appends until it is fenced, and takes it again.
#[derive(Clone)]
struct Owner {
    storage: DynLogStorage,
    race: Race,
    moves: Arc<AtomicU64>,
    /// Only one process opens at a time, so that the order of the writers is known.
    opening: Arc<tokio::sync::Mutex<()>>,
    newest: watch::Sender<Progress>,
    history: Arc<Mutex<History>>,
}

impl Owner {
    async fn run(self) {
        loop {
            let opening = self.opening.lock().await;
            let number = self.moves.fetch_add(1, Ordering::SeqCst);
            if number >= self.race.moves {
                return;
            }
            self.let_the_other_have_some(number).await;
            let writer = insist(&self.storage, number).await;
            self.newest.send_replace(Progress { writer: number, acked: 0, ended: false });
            drop(opening);
            self.append_until_fenced(number, writer).await;
            self.newest.send_modify(|newest| newest.ended |= newest.writer == number);
        }
    }

    /// Waits for acks of the writer before, unless that has ended by itself: for none, a few, or many, in turn. A
    /// storage that opens faster than it appends would else give nobody an ack.
    async fn let_the_other_have_some(&self, number: u64) {
        let wanted = number % 4 * self.race.window / 2;
        let mut newest = self.newest.subscribe();
        let enough = newest.wait_for(|newest| newest.ended || newest.acked >= wanted).await;
        enough.expect("the sender is here");
    }

    async fn append_until_fenced(&self, writer_number: u64, mut writer: Box<dyn LogWriter>) {
        let mut number = 0;
        while self.moves.load(Ordering::SeqCst) <= self.race.moves {
            let mut waiting = Vec::new();
            for _ in 0..self.race.window {
                waiting.push((number, writer.append(History::record(writer_number, number))));
                number += 1;
            }
            for (number, ack) in waiting {
                match ack.await {
                    Ok(ids) => {
                        let text = History::text(writer_number, number);
                        assert_eq!(self.history.lock().acked.insert(ids[0], text), None);
                        self.newest
                            .send_modify(|newest| newest.acked += u64::from(newest.writer == writer_number));
                    }
                    Err(LogError::Fenced | LogError::Unavailable(_)) => return,
                    Err(error) => panic!("{error}"),
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A third process that follows the log all the time. It starts again where it was when its reader ends.
async fn follow(storage: DynLogStorage, clock: DynClock, done: Arc<AtomicBool>) -> Vec<StoredRecord> {
    let mut all: Vec<StoredRecord> = Vec::new();
    let mut reader = loop {
        match storage.read(&channel(), MessageId::EARLIEST).await {
            Ok(reader) => break reader,
            Err(error) => assert!(matches!(error, LogError::NotFound(_)), "{error}"),
        }
        clock.sleep(Duration::from_millis(1)).await;
    };
    loop {
        let was_done = done.load(Ordering::SeqCst);
        match reader.next_batch().await {
            Ok(batch) if batch.is_empty() && was_done => return all,
            Ok(batch) if batch.is_empty() => clock.sleep(Duration::from_millis(5)).await,
            Ok(batch) => all.extend(batch),
            Err(error) => assert!(matches!(error, LogError::Unavailable(_)), "{error}"),
        }
    }
}

/// **L3**, **L4**, **L5** under load: a log moves again and again between two owners that append all the time,
/// and a third storage follows it. Nothing that was acknowledged is lost, nothing of an owner comes after its fence,
/// the order is kept, and the follower sees the log as it is. `calm` is called when the race is over: faults end
/// there. Says how many appends were acknowledged.
pub async fn ownership_moves_while_both_append(
    owners: [DynLogStorage; 2],
    follower: DynLogStorage,
    race: Race,
    env: &Env,
    calm: impl FnOnce(),
) -> usize {
    let (moves, opening, history) = (Arc::default(), Arc::default(), Arc::<Mutex<History>>::default());
    let (newest, _) = watch::channel(Progress { writer: 0, acked: 0, ended: true });
    let done = Arc::new(AtomicBool::new(false));
    let last = owners[0].clone();
    let following = follow(follower.clone(), env.clock.clone(), Arc::clone(&done));
    let following = env.tasks.spawn("follower", following);
    let owners = owners.map(|storage| {
        let (moves, opening) = (Arc::clone(&moves), Arc::clone(&opening));
        let newest = newest.clone();
        let owner = Owner { storage, race, moves, opening, newest, history: Arc::clone(&history) };
        env.tasks.spawn("owner", owner.run())
    });
    for owner in owners {
        owner.join().await;
    }
    env.tasks.check();
    calm();
    let writer = insist(&last, race.moves).await;
    done.store(true, Ordering::SeqCst);
    let followed = following.join().await.expect("the follower ends");
    env.tasks.check();
    let found = read_from(&follower, MessageId::EARLIEST).await;
    let history = history.lock();
    history.check(MessageId::EARLIEST, &found);
    assert!(followed == found, "the follower saw something else than the log holds");
    drop(writer);
    history.acked.len()
}
