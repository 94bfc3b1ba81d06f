//! Requests that were answered: the same request again gets the same answer and is not stored twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cinclus_types::message::{Draft, Header, Message};
use cinclus_types::{BroadcastId, MessageId, SegmentId, Tick, VChannel};
use serde::{Deserialize, Serialize};

use crate::config::WalConfig;

/// What names a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DedupKey {
    /// A producer's idempotency key in a VChannel.
    Request(VChannel, String),
    /// A broadcast's copy in a VChannel (C2).
    Broadcast(VChannel, BroadcastId),
}

impl DedupKey {
    /// What names the request of a stored message: of one on its own, or of a transaction's commit.
    #[must_use]
    pub fn of_message(message: &Message) -> Option<DedupKey> {
        let vchannel = message.vchannel()?;
        let broadcast = message.broadcast().map(|broadcast| broadcast.id);
        DedupKey::new(vchannel, broadcast, message.idempotency_key())
    }

    /// What names the request of a draft.
    #[must_use]
    pub fn of_draft(draft: &Draft) -> Option<DedupKey> {
        let vchannel = draft.vchannel.as_ref()?;
        let broadcast = draft.broadcast.as_ref().map(|broadcast| broadcast.id);
        DedupKey::new(vchannel, broadcast, draft.idempotency_key.as_deref())
    }

    fn new(vchannel: &VChannel, broadcast: Option<BroadcastId>, key: Option<&str>) -> Option<DedupKey> {
        match (broadcast, key) {
            (Some(broadcast), _) => Some(DedupKey::Broadcast(vchannel.clone(), broadcast)),
            (None, Some(key)) => Some(DedupKey::Request(vchannel.clone(), key.to_owned())),
            (None, None) => None,
        }
    }
}

/// The segments that a message closes and says so in its header.
#[must_use]
pub fn closed_segments(header: &Header) -> &[SegmentId] {
    if let Header::ManualFlush { segments, .. }
    | Header::AlterCollection { segments, .. }
    | Header::TruncateCollection { segments, .. } = header
    {
        segments
    } else {
        &[]
    }
}

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The effective tick.
    pub tick: Tick,
    /// The ids of its messages.
    pub ids: Vec<MessageId>,
    /// The segments that it closed.
    pub sealed: Vec<SegmentId>,
    /// From here a reader gets everything with a greater tick; older snapshots do not say it.
    #[serde(default)]
    pub last_confirmed: MessageId,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupLimits {
    /// Idempotency keys of the whole PChannel.
    pub keys_max: usize,
    /// Age of an idempotency key, in ticks of the log.
    pub key_age_max: Duration,
    /// Age of a broadcast, in ticks of the log.
    pub broadcast_age_max: Duration,
}

impl DedupLimits {
    /// The limits of a configuration.
    #[must_use]
    pub fn of(config: &WalConfig) -> DedupLimits {
        DedupLimits {
            keys_max: config.dedup_keys_max,
            key_age_max: config.dedup_age_max,
            ..DedupLimits::default()
        }
    }
}

impl Default for DedupLimits {
    fn default() -> DedupLimits {
        DedupLimits {
            keys_max: 4096,
            key_age_max: Duration::from_secs(600),
            broadcast_age_max: Duration::from_secs(7 * 86_400),
        }
    }
}

/// The remembered answers of one PChannel. Pure: what is forgotten depends on ticks and counts only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub struct Dedup {
    answers: BTreeMap<DedupKey, Answer>,
    requests: VecDeque<(Tick, DedupKey)>,
    broadcasts: VecDeque<(Tick, DedupKey)>,
}

/// The persisted form: answers in the order of their ticks.
#[derive(Serialize, Deserialize)]
struct Rows {
    requests: Vec<(DedupKey, Answer)>,
    broadcasts: Vec<(DedupKey, Answer)>,
}

impl From<Rows> for Dedup {
    fn from(rows: Rows) -> Dedup {
        let mut dedup = Dedup::default();
        for (key, answer) in rows.requests.into_iter().chain(rows.broadcasts) {
            dedup.insert(key, answer);
        }
        dedup
    }
}

impl From<Dedup> for Rows {
    fn from(dedup: Dedup) -> Rows {
        let rows = |order: VecDeque<(Tick, DedupKey)>| {
            let found = order.into_iter().filter_map(|(_, key)| {
                let answer = dedup.answers.get(&key)?.clone();
                Some((key, answer))
            });
            found.collect()
        };
        Rows { requests: rows(dedup.requests), broadcasts: rows(dedup.broadcasts) }
    }
}

impl Dedup {
    /// The answer that this request got before.
    #[must_use]
    pub fn answer(&self, key: &DedupKey) -> Option<&Answer> {
        self.answers.get(key)
    }

    /// How many answers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Remembers an answer and forgets what is beyond the limits. A key that is known keeps its first
    /// answer.
    pub fn remember(&mut self, key: DedupKey, answer: Answer, limits: DedupLimits) {
        let now = answer.tick;
        self.insert(key, answer);
        let old = |order: &VecDeque<(Tick, DedupKey)>, age: Duration| {
            order.front().is_some_and(|(tick, _)| tick.plus(age) <= now)
        };
        while self.requests.len() > limits.keys_max || old(&self.requests, limits.key_age_max) {
            if let Some((_, key)) = self.requests.pop_front() {
                self.answers.remove(&key);
            }
        }
        while old(&self.broadcasts, limits.broadcast_age_max) {
            if let Some((_, key)) = self.broadcasts.pop_front() {
                self.answers.remove(&key);
            }
        }
    }

    /// Forgets a broadcast in every VChannel: the coordinator has persisted that all of its
    /// acknowledgements are in.
    pub fn forget_broadcast(&mut self, broadcast: BroadcastId) {
        let is_it = |key: &DedupKey| matches!(key, DedupKey::Broadcast(_, id) if *id == broadcast);
        self.broadcasts.retain(|(_, key)| !is_it(key));
        self.answers.retain(|key, _| !is_it(key));
    }

    fn insert(&mut self, key: DedupKey, answer: Answer) {
        if self.answers.contains_key(&key) {
            return;
        }
        match &key {
            DedupKey::Request(..) => self.requests.push_back((answer.tick, key.clone())),
            DedupKey::Broadcast(..) => self.broadcasts.push_back((answer.tick, key.clone())),
        }
        self.answers.insert(key, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(seconds: u64) -> Answer {
        let (tick, ids) = (Tick::from_unix_ms(seconds * 1_000), vec![MessageId(9)]);
        Answer { tick, ids, sealed: Vec::new(), last_confirmed: MessageId(8) }
    }

    fn request(name: &str) -> DedupKey {
        DedupKey::Request(VChannel::new("log_0_1v0"), name.to_owned())
    }

    #[test]
    fn the_first_answer_stays() {
        let mut dedup = Dedup::default();
        dedup.remember(request("a"), answer(1), DedupLimits::default());
        dedup.remember(request("a"), answer(2), DedupLimits::default());
        assert_eq!(dedup.answer(&request("a")), Some(&answer(1)));
    }

    #[test]
    fn keys_are_forgotten_by_count_and_age_but_broadcasts_stay() {
        let limits = DedupLimits { keys_max: 2, key_age_max: Duration::from_secs(10), ..Default::default() };
        let broadcast = DedupKey::Broadcast(VChannel::new("log_0_1v0"), BroadcastId(4));
        let mut dedup = Dedup::default();
        dedup.remember(broadcast.clone(), answer(1), limits);
        for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
            dedup.remember(request(name), answer(at as u64 + 1), limits);
        }
        assert!(dedup.answer(&request("a")).is_none() && dedup.answer(&request("b")).is_some());
        dedup.remember(request("d"), answer(12), limits);
        assert!(dedup.answer(&request("b")).is_none() && dedup.answer(&request("c")).is_some());
        assert!(dedup.answer(&broadcast).is_some());
        dedup.forget_broadcast(BroadcastId(4));
        assert!(dedup.answer(&broadcast).is_none());
    }

    #[test]
    fn the_persisted_form_reads_back() {
        let mut dedup = Dedup::default();
        dedup.remember(request("a"), answer(1), DedupLimits::default());
        let broadcast = DedupKey::Broadcast(VChannel::new("log_0_1v0"), BroadcastId(4));
        dedup.remember(broadcast, answer(2), DedupLimits::default());
        let text = serde_json::to_string(&dedup).unwrap();
        assert_eq!(serde_json::from_str::<Dedup>(&text).unwrap(), dedup);
    }
}
