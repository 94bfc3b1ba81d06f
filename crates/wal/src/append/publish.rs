//! Publish: what an ack makes true.

use std::time::Duration;

use cinclus_rpc::{AppendError, Appended};
use cinclus_types::message::Message;
use cinclus_types::{MessageId, Tick};
use rustc_hash::FxHashMap;

use super::batch::{InFlight, PendingAnswer, PendingAppend};
use super::place::Live;
use super::request::Reply;
use super::stamp::Stamper;
use crate::shard::{Answer, DedupKey, DedupLimits};
use crate::shared::Shared;

/// Requests with a key whose first one is in flight: the same request again waits for its answer.
pub(crate) type KeysInFlight = FxHashMap<DedupKey, Vec<Reply<Appended>>>;

/// The parts of a writer that an ack changes.
pub(crate) struct Publisher<'a> {
    pub shared: &'a Shared,
    pub live: &'a mut Live,
    pub stamper: &'a mut Stamper,
    pub keys: &'a mut KeysInFlight,
    pub limits: DedupLimits,
    pub now: Duration,
}

impl Publisher<'_> {
    /// Publishes the oldest batch in flight, which the storage has under these ids.
    pub(crate) fn publish(&mut self, flight: InFlight, ids: &[MessageId]) {
        let stored = flight.placed.into_iter().zip(ids);
        let messages: Vec<(Message, u64)> =
            stored.map(|((placed, bytes), id)| (placed.stored(*id), bytes)).collect();
        let confirmed: Vec<MessageId> =
            messages.iter().map(|(message, _)| message.last_confirmed()).collect();
        if let Some(last) = ids.last() {
            self.stamper.last_acked = Some(*last);
            self.shared.acknowledge(last.next());
        }
        // Invariant W2. Buffer and frontier first: whoever is told "appended" finds it.
        self.shared.buffer.publish(messages, flight.frontier, self.now);
        self.shared.frontier.send_replace(flight.frontier);
        self.shared.tell();
        for answer in flight.answers {
            self.answer(answer, ids, &confirmed);
        }
    }

    fn answer(&mut self, answer: PendingAnswer, ids: &[MessageId], confirmed: &[MessageId]) {
        // Callers that went away do not need their answers.
        match answer {
            PendingAnswer::Appended(append) => self.answer_append(append, ids, confirmed),
            PendingAnswer::Begun { reply, context, at } => {
                if let Some(id) = ids.get(at) {
                    self.live.txns.begin_stored(context.txn, *id);
                }
                let _ = reply.send(Ok(context));
            }
            PendingAnswer::Refused { reply, error } => {
                let _ = reply.send(Err(error));
            }
            PendingAnswer::Ticked { replies, tick } => {
                for reply in replies {
                    let _ = reply.send(Ok(tick));
                }
            }
        }
    }

    fn answer_append(&mut self, append: PendingAppend, ids: &[MessageId], confirmed: &[MessageId]) {
        let PendingAppend { reply, tick, bodies, sealed, key, .. } = append;
        // That of an earlier message holds for a later one too: ends of transactions get the batch's first.
        let first = bodies.first().copied().unwrap_or_default();
        let last_confirmed = confirmed.get(first).copied().unwrap_or_default();
        let own = bodies.into_iter().filter_map(|at| ids.get(at).copied()).collect();
        let appended = Appended { ids: own, tick, sealed, last_confirmed };
        if let Some(key) = key {
            for waiting in self.keys.remove(&key).unwrap_or_default() {
                let _ = waiting.send(Ok(appended.clone()));
            }
            let (ids, sealed) = (appended.ids.clone(), appended.sealed.clone());
            let answer = Answer { tick, ids, sealed, last_confirmed };
            self.live.state.dedup.remember(key, answer, self.limits);
        }
        let _ = reply.send(Ok(appended));
    }
}

/// Answers everything in flight with "may have happened".
pub(crate) fn fail(in_flight: impl IntoIterator<Item = InFlight>, keys: KeysInFlight, reason: &str) {
    let unknown = || AppendError::Unknown(reason.to_owned());
    for answer in in_flight.into_iter().flat_map(|flight| flight.answers) {
        match answer {
            PendingAnswer::Appended(append) => {
                let _ = append.reply.send(Err(unknown()));
            }
            PendingAnswer::Begun { reply, .. } => {
                let _ = reply.send(Err(unknown()));
            }
            PendingAnswer::Refused { reply, .. } => {
                // Nothing of it was sent.
                let _ = reply.send(Err(AppendError::NotReady(reason.to_owned())));
            }
            PendingAnswer::Ticked { replies, .. } => {
                // Nothing was to be stored for them, or nothing that matters: they may ask again.
                for reply in replies {
                    let _ = reply.send(Err(AppendError::NotReady(reason.to_owned())));
                }
            }
        }
    }
    for reply in keys.into_values().flatten() {
        let _ = reply.send(Err(unknown()));
    }
}

/// The answer that a remembered request gets again.
pub(crate) fn again(answer: &Answer) -> Appended {
    let (ids, sealed) = (answer.ids.clone(), answer.sealed.clone());
    Appended { ids, tick: answer.tick, sealed, last_confirmed: answer.last_confirmed }
}

/// Those who wait for a tick, with the tick that they want.
pub(crate) type TickWaiters = Vec<(Tick, Reply<Tick>)>;
