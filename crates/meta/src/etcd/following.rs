//! A watch in etcd that survives its connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tonic::Streaming;

use super::connection::{Connection, Repeat};
use super::failure::Failure;
use super::keyspace::{KeyRange, Keyspace};
use super::proto::event::Type;
use super::proto::watch_client::WatchClient;
use super::proto::watch_request::Request as Wish;
use super::proto::{Event, WatchCreateRequest, WatchRequest, WatchResponse};
use crate::entry::Revision;
use crate::error::WatchError;
use crate::watch::{Change, ChangeKind, ChangeSource};

/// An answer of etcd in parts is smaller.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The first pause before connecting again; each further one is twice as long, up to 32 times.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_DOUBLINGS: u32 = 5;
/// How often in a row etcd may cancel the watch without a reason that we know.
const CANCELS_MAX: u32 = 3;

type Answers = Streaming<WatchResponse>;

/// The changes of a range after a revision.
pub(super) struct Following {
    connection: Arc<Connection>,
    keys: Keyspace,
    range: KeyRange,
    /// Everything up to here was received.
    after: Revision,
    state: State,
    /// Commits that were received and not yet asked for.
    ready: VecDeque<Vec<Change>>,
    /// What has come of a commit whose end may come in the next part of an answer.
    part: Vec<Change>,
    failures: u32,
    cancels: u32,
}

/// Kept between calls, so that a call that is dropped while it waits loses nothing.
enum State {
    Idle,
    Opening(BoxFuture<'static, Result<Answers, Failure>>),
    Open(Box<Answers>),
}

impl Following {
    pub(super) fn new(
        connection: Arc<Connection>,
        keys: Keyspace,
        prefix: &str,
        after: Revision,
    ) -> Following {
        Following {
            range: keys.under(prefix),
            connection,
            keys,
            after,
            state: State::Idle,
            ready: VecDeque::new(),
            part: Vec::new(),
            failures: 0,
            cancels: 0,
        }
    }

    fn open(&self) -> BoxFuture<'static, Result<Answers, Failure>> {
        let wish = WatchCreateRequest {
            key: self.range.from.clone(),
            range_end: self.range.end.clone(),
            // From the last known revision, not the one after it: after a compaction etcd may have forgotten
            // the deletes of the very revision it was compacted at, and only refuses revisions before it.
            start_revision: self.after.0.max(1) as i64,
            progress_notify: true,
            fragment: true,
        };
        let pause = match self.failures.checked_sub(1) {
            Some(before) => PAUSE * 2_u32.pow(before.min(PAUSE_DOUBLINGS)),
            None => Duration::ZERO,
        };
        let connection = self.connection.clone();
        Box::pin(async move {
            if !pause.is_zero() {
                connection.clock().sleep(pause).await;
            }
            let open = |channel, request: tonic::Request<WatchRequest>| async move {
                let mut client = WatchClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
                // The wish stays open: its end would end the watch.
                let wishes = request.map(|wish| stream::iter([wish]).chain(stream::pending()));
                client.watch(wishes).await
            };
            let wish = WatchRequest { request: Some(Wish::Create(wish)) };
            connection.call(wish, Repeat::Always, open).await
        })
    }

    /// Takes up an answer.
    fn take(&mut self, answer: WatchResponse) -> Result<(), WatchError> {
        if answer.compact_revision > 0 {
            // Invariant M3.
            return Err(WatchError::Compacted { oldest: Revision(answer.compact_revision as u64) });
        }
        if answer.canceled {
            return self.canceled(answer.cancel_reason);
        }
        (self.failures, self.cancels) = (0, 0);
        let is_progress = answer.events.is_empty() && !answer.created && self.part.is_empty();
        for event in answer.events {
            self.add(event);
        }
        if !answer.fragment {
            self.finish_commit();
        }
        if is_progress && let Some(header) = answer.header {
            self.after = self.after.max(Revision(header.revision as u64));
        }
        Ok(())
    }

    fn add(&mut self, event: Event) {
        let is_delete = event.r#type() == Type::Delete;
        let Some(found) = event.kv else { return };
        let revision = Revision(found.mod_revision as u64);
        if revision <= self.after {
            return;
        }
        if self.part.first().is_some_and(|first| first.revision != revision) {
            self.finish_commit();
        }
        let kind = if is_delete {
            self.keys.own(&found.key).map(|key| ChangeKind::Delete { key: key.to_owned() })
        } else {
            self.keys.entry(found).map(ChangeKind::Put)
        };
        self.part.extend(kind.map(|kind| Change { revision, kind }));
    }

    fn finish_commit(&mut self) {
        let Some(revision) = self.part.first().map(|first| first.revision) else { return };
        let mut commit = std::mem::take(&mut self.part);
        commit.sort_by(|one, other| one.key().cmp(other.key()));
        self.ready.push_back(commit);
        self.after = revision;
    }

    /// The watch was ended by etcd.
    fn canceled(&mut self, reason: String) -> Result<(), WatchError> {
        self.cancels += 1;
        if self.cancels >= CANCELS_MAX {
            return Err(WatchError::Unavailable(reason));
        }
        // Such as a token that has ended.
        self.connection.forget_token();
        self.broken(&Failure::Busy(reason))
    }

    /// The stream is over: the next one goes on after the last whole commit.
    fn broken(&mut self, failure: &Failure) -> Result<(), WatchError> {
        self.state = State::Idle;
        self.part.clear();
        match failure {
            Failure::Away(_) | Failure::Busy(_) | Failure::Login(_) | Failure::Lost(_) => {
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(reason = failure.reason(), "a watch of the metadata connects again");
                Ok(())
            }
            Failure::Refused(reason) | Failure::Compacted(reason) | Failure::LeaseGone(reason) => {
                Err(WatchError::Unavailable(reason.clone()))
            }
        }
    }
}

#[async_trait]
impl ChangeSource for Following {
    async fn next(&mut self) -> Result<Vec<Change>, WatchError> {
        loop {
            if let Some(commit) = self.ready.pop_front() {
                return Ok(commit);
            }
            match &mut self.state {
                State::Idle => self.state = State::Opening(self.open()),
                State::Opening(opening) => match opening.await {
                    Ok(answers) => self.state = State::Open(Box::new(answers)),
                    Err(failure) => self.broken(&failure)?,
                },
                State::Open(answers) => match answers.message().await {
                    Ok(Some(answer)) => self.take(answer)?,
                    Ok(None) => self.broken(&Failure::Lost("the watch ended".to_owned()))?,
                    Err(status) => {
                        self.connection.pass_over(self.connection.current());
                        self.broken(&Failure::of(&status))?;
                    }
                },
            }
        }
    }
}
