//! The consumers of one stream, each with a read under way.

use std::collections::BTreeMap;

use cinclus_types::message::Message;
use cinclus_types::{Checkpoint, Term, Tick};
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::delivered::Delivered;
use super::message::{checkpoint_wire, stored_wire, time_tick_wire};
use super::start::Wanted;
use crate::{ConsumeError, Deliveries, Delivery};

/// Messages that are sent together to those who take them together, and read together for everybody.
const BATCH_BYTES: usize = 256 << 10;

/// How a consumer wants what it gets.
struct Consumer {
    after: Tick,
    batches: bool,
    short_checkpoints: bool,
    stop: AbortHandle,
}

/// A read that ended.
pub(super) struct Read {
    consumer: i64,
    deliveries: Box<dyn Deliveries>,
    taken: Result<Vec<Delivery>, ConsumeError>,
}

/// Messages for a consumer, and whether they go together.
pub(super) struct Taken {
    pub(super) messages: Vec<Delivered>,
    pub(super) together: bool,
    /// Why there are no more.
    pub(super) ended: Option<ConsumeError>,
}

/// The consumers of a stream.
#[derive(Default)]
pub(super) struct Consumers {
    last: i64,
    open: BTreeMap<i64, Consumer>,
    /// A read is never given up half way as long as its consumer lives, so nothing is read twice or lost.
    reads: FuturesUnordered<Abortable<BoxFuture<'static, Read>>>,
}

fn read(consumer: i64, mut deliveries: Box<dyn Deliveries>) -> BoxFuture<'static, Read> {
    async move {
        let taken = deliveries.next_together(BATCH_BYTES).await;
        Read { consumer, deliveries, taken }
    }
    .boxed()
}

impl Consumers {
    /// Adds one; its number in the stream.
    pub(super) fn add(&mut self, wanted: &Wanted, deliveries: Box<dyn Deliveries>) -> i64 {
        self.last += 1;
        let (stop, registration) = AbortHandle::new_pair();
        let Wanted { after, batches, short_checkpoints, .. } = *wanted;
        self.open.insert(self.last, Consumer { after, batches, short_checkpoints, stop });
        self.reads.push(Abortable::new(read(self.last, deliveries), registration));
        self.last
    }

    /// Ends one: nothing of it comes any more.
    pub(super) fn close(&mut self, consumer: i64) {
        if let Some(closed) = self.open.remove(&consumer) {
            closed.stop.abort();
        }
    }

    /// The next read that ends; waits for ever if there is no consumer.
    pub(super) async fn next(&mut self) -> Read {
        loop {
            match self.reads.next().await {
                Some(Ok(read)) => return read,
                Some(Err(Aborted)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// What a read brought. The next one of its consumer is under way from now on.
    pub(super) fn take(&mut self, read_: Read, term: Term) -> Taken {
        let Read { consumer, deliveries, taken } = read_;
        let mut messages = Vec::new();
        let Some(of) = self.open.get_mut(&consumer) else {
            return Taken { messages, together: false, ended: None };
        };
        let together = of.batches;
        match taken {
            Ok(taken) => {
                for delivery in taken.iter().filter(|delivery| delivery.tick > of.after) {
                    write((consumer, term), delivery, of.short_checkpoints, &mut messages);
                }
                let (stop, registration) = AbortHandle::new_pair();
                of.stop = stop;
                self.reads.push(Abortable::new(read(consumer, deliveries), registration));
                Taken { messages, together, ended: None }
            }
            Err(error) => Taken { messages, together, ended: Some(error) },
        }
    }
}

/// The messages of a delivery, the last one with its checkpoint.
fn write((consumer, term): (i64, Term), delivery: &Delivery, short: bool, into: &mut Vec<Delivered>) {
    let wire = |message: &Message| stored_wire(consumer, message);
    match &delivery.txn {
        // Invariant W5. With nothing in between.
        Some(txn) => {
            let whole = std::iter::once(&txn.begin).chain(&delivery.messages).chain([&txn.commit]);
            into.extend(whole.map(wire));
        }
        None if delivery.messages.is_empty() => {
            into.push(time_tick_wire(consumer, term, delivery.checkpoint));
        }
        None => into.extend(delivery.messages.iter().map(wire)),
    }
    let commit = delivery.txn.as_ref().map(|txn| &txn.commit);
    let last = commit.or(delivery.messages.last());
    let behind = last.map(|last| Checkpoint { resume: last.id().next(), tick: last.tick() });
    if let Some(sent) = into.last_mut() {
        // Invariant W10. With an open transaction one goes on before its begin, and that has to be said.
        sent.goes_on_behind = short && behind == Some(delivery.checkpoint);
        sent.checkpoint = (!sent.goes_on_behind).then(|| checkpoint_wire(delivery.checkpoint));
    }
}
