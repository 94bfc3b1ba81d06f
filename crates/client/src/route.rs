//! Finds the owner of a log, calls it, and waits while there is none.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, timeout};
use cinclus_rpc::{AppendError, ConsumeError, ReadError};
use cinclus_types::{Advice, Assignment, AssignmentView, NodeInfo, PChannel, Term};
use tokio::sync::watch;

use crate::ClientConfig;

/// The assignment view, and how patiently it is followed.
#[derive(Clone)]
pub(crate) struct Router {
    pub(crate) view: watch::Receiver<AssignmentView>,
    pub(crate) clock: DynClock,
    pub(crate) config: ClientConfig,
}

/// An error that says whether the call may be repeated here or elsewhere.
pub(crate) trait Repeatable: std::fmt::Display {
    /// Nothing happened, and the same owner will take it soon.
    fn is_not_ready(&self) -> bool;
    /// Nothing happened, and the owner has changed.
    fn is_moved(&self) -> bool;
    /// What to answer when the log was not ready in time.
    fn never_ready(text: String) -> Self;
}

impl Repeatable for AppendError {
    fn is_not_ready(&self) -> bool {
        matches!(self, AppendError::NotReady(_))
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(text: String) -> Self {
        AppendError::NotReady(text)
    }
}

impl Repeatable for ReadError {
    fn is_not_ready(&self) -> bool {
        matches!(self, ReadError::NotFullyLoaded(_))
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(text: String) -> Self {
        ReadError::Unavailable(text)
    }
}

impl Repeatable for ConsumeError {
    fn is_not_ready(&self) -> bool {
        self.advice() == Advice::Retry
    }

    fn is_moved(&self) -> bool {
        self.advice() == Advice::Reroute
    }

    fn never_ready(text: String) -> Self {
        ConsumeError::Unavailable(text)
    }
}

/// Why the last try of a call failed.
#[derive(Default)]
struct Refused {
    /// The term of the owner that does not own the log, or cannot be reached.
    term: Option<Term>,
    reason: Option<String>,
}

impl Router {
    /// Calls the owner; waits for a new one while there is none. Only what certainly had no effect is
    /// repeated.
    pub(crate) async fn call<N, T, E, F>(
        &self,
        channel: &PChannel,
        find: impl Fn(&NodeInfo) -> Option<Arc<N>>,
        mut call: impl FnMut(Arc<N>, Term) -> F,
    ) -> Result<T, E>
    where
        N: ?Sized,
        E: Repeatable,
        F: Future<Output = Result<T, E>>,
    {
        let mut view = self.view.clone();
        let deadline = self.clock.monotonic() + self.config.ready_patience;
        let mut pause = self.config.backoff_min;
        let mut refused = Refused::default();
        loop {
            let left = deadline.saturating_sub(self.clock.monotonic());
            let Some(owner) = self.owner(&mut view, channel, refused.term, (pause, left)).await else {
                return Err(E::never_ready(self.gave_up(channel, &refused)));
            };
            let again = match find(&owner.node) {
                None => {
                    let reason = Some("its owner cannot be reached".to_owned());
                    refused = Refused { term: Some(owner.term), reason };
                    Duration::ZERO
                }
                Some(node) => match call(node, owner.term).await {
                    Err(error) if error.is_moved() => {
                        refused = Refused { term: Some(owner.term), reason: Some(error.to_string()) };
                        Duration::ZERO
                    }
                    Err(error) if error.is_not_ready() => {
                        refused = Refused { term: None, reason: Some(error.to_string()) };
                        pause
                    }
                    answer => return answer,
                },
            };
            let left = deadline.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return Err(E::never_ready(self.gave_up(channel, &refused)));
            }
            self.clock.sleep(again.min(left)).await;
            pause = (pause * 2).min(self.config.backoff_max);
        }
    }

    /// The owner in the newest view. While there is none it is awaited for all the time that is left; one
    /// that refused is asked again after a pause, if no other has come by then.
    async fn owner(
        &self,
        view: &mut watch::Receiver<AssignmentView>,
        channel: &PChannel,
        refused: Option<Term>,
        (pause, left): (Duration, Duration),
    ) -> Option<Assignment> {
        let until = self.clock.monotonic() + left;
        let again = self.clock.monotonic() + pause.min(left);
        loop {
            let current = view.borrow_and_update().channels.get(channel).cloned();
            let wake = match &current {
                Some(owner) if Some(owner.term) != refused => return current,
                Some(_) => again,
                None => until,
            };
            let span = wake.saturating_sub(self.clock.monotonic());
            match timeout(&*self.clock, span, view.changed()).await {
                Ok(Ok(())) => {}
                // No view comes any more: the owner that there is may still come back.
                Ok(Err(_)) => {
                    self.clock.sleep_until(wake).await;
                    return current;
                }
                Err(_) => return current,
            }
        }
    }

    fn gave_up(&self, channel: &PChannel, refused: &Refused) -> String {
        let patience = self.config.ready_patience;
        let reason = refused.reason.as_deref().unwrap_or("it is not assigned to a node");
        format!("{channel} did not become ready within {patience:?}: {reason}")
    }
}
