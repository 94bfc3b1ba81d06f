//! A reader written to Milvus' rules only: a reorder buffer that lets go at stored TimeTicks, a buffer of
//! transactions, and `_lc` as the one point to resume at. It knows nothing of our own readers.

use std::collections::{BTreeMap, BTreeSet};

use cinclus_env::Random;
use cinclus_types::message::{Header, Kind, Message};
use cinclus_types::{MessageId, Tick, TxnId};

use crate::common::*;
use crate::faults::{run, visible};

struct Builder {
    bodies: Vec<Message>,
    expires: Tick,
    keepalive: std::time::Duration,
}

/// One scan of the log.
#[derive(Default)]
struct ForeignReader {
    seen: BTreeSet<MessageId>,
    waiting: BTreeMap<Tick, Message>,
    released: Tick,
    txns: BTreeMap<TxnId, Builder>,
    /// Messages up to this tick were consumed before.
    after: Tick,
}

/// A consumed message or transaction: effective tick, where to resume, texts.
struct Consumed {
    tick: Tick,
    last_confirmed: MessageId,
    rows: Vec<String>,
}

impl ForeignReader {
    /// Takes a record; gives what a TimeTick sets free.
    fn push(&mut self, message: &Message) -> Vec<Consumed> {
        assert!(message.tick() > self.released, "a message below a TimeTick that was read");
        if !self.seen.insert(message.id()) {
            return Vec::new();
        }
        if message.kind() != Kind::TimeTick {
            self.waiting.insert(message.tick(), message.clone());
            return Vec::new();
        }
        let later = self.waiting.split_off(&message.tick().next());
        let free = std::mem::replace(&mut self.waiting, later);
        self.released = message.tick();
        let consumed: Vec<Consumed> = free.into_values().filter_map(|message| self.txn(message)).collect();
        self.txns.retain(|_, builder| builder.expires > message.tick());
        consumed.into_iter().filter(|consumed| consumed.tick > self.after).collect()
    }

    fn txn(&mut self, message: Message) -> Option<Consumed> {
        let (tick, last_confirmed) = (message.tick(), message.last_confirmed());
        let rows = |messages: &[Message]| messages.iter().filter(|m| m.kind().is_dml()).map(text).collect();
        let Some(context) = message.txn() else {
            return Some(Consumed { tick, last_confirmed, rows: rows(&[message]) });
        };
        match message.header() {
            Header::BeginTxn { keepalive } => {
                let expires = tick.plus(*keepalive);
                let builder = Builder { bodies: Vec::new(), expires, keepalive: *keepalive };
                self.txns.entry(context.txn).or_insert(builder);
                None
            }
            Header::CommitTxn => {
                let builder = self.txns.remove(&context.txn)?;
                Some(Consumed { tick, last_confirmed, rows: rows(&builder.bodies) })
            }
            Header::RollbackTxn => {
                self.txns.remove(&context.txn);
                None
            }
            _ => {
                let builder = self.txns.get_mut(&context.txn)?;
                builder.expires = tick.plus(builder.keepalive);
                builder.bodies.push(message);
                None
            }
        }
    }
}

fn read(log: &[Message], random: &Random) -> BTreeMap<String, Tick> {
    let mut rows = BTreeMap::new();
    let (mut reader, mut from) = (ForeignReader::default(), MessageId::EARLIEST);
    'resumed: loop {
        let start = from;
        for message in log.iter().filter(|message| message.id() >= start) {
            for consumed in reader.push(message) {
                for row in consumed.rows {
                    assert!(rows.insert(row, consumed.tick).is_none(), "consumed twice");
                }
                reader.after = consumed.tick;
                from = consumed.last_confirmed;
                if random.chance(0.05) {
                    reader = ForeignReader { after: consumed.tick, ..ForeignReader::default() };
                    continue 'resumed;
                }
            }
        }
        return rows;
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_reader_gets_every_committed_message_once() {
    for seed in 0..12 {
        let run = run(2_000 + seed).await;
        assert_eq!(read(&run.log, &Random::seeded(seed)), visible(&run.log), "seed {seed}");
    }
}
