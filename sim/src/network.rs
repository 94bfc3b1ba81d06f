//! What lies between two members: calls get lost, late, repeated, or do not pass at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::timeout;
use parking_lot::Mutex;

use crate::member::{Condition, Member};

/// How long a caller waits for an answer before it takes it for lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a call that is late is on its way at most.
const WAY: Duration = Duration::from_secs(20);

/// An answer did not come: what was asked for may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer came")
    }
}

/// The network. Clones are the same.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// From whom to whom nothing passes.
    cut: BTreeSet<(Arc<str>, Arc<str>)>,
}

impl Network {
    /// Lets nothing pass from one to another.
    pub fn cut(&self, from: &Member, to: &Member) {
        from.scene.note(format_args!("nothing passes from {} to {}", from.name, to.name));
        from.scene.tally.count("fault partition");
        self.0.lock().cut.insert((from.name.clone(), to.name.clone()));
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        self.0.lock().cut.clear();
    }

    fn passes(&self, from: &Member, to: &Member) -> bool {
        !self.0.lock().cut.contains(&(from.name.clone(), to.name.clone()))
    }

    /// Makes a call, or loses it.
    ///
    /// # Errors
    /// [`NoAnswer`], after as long as it takes a caller to notice.
    pub async fn call<T>(
        &self,
        (from, to): (&Member, &Member),
        what: &str,
        call: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        let scene = &from.scene;
        from.pass().await;
        let sent = async {
            scene.dawdle(|weather| weather.call_delay).await;
            let lost = scene.strikes("call lost", |weather| weather.call_lost);
            if lost || !self.passes(from, to) || to.condition() == Condition::Dead {
                return std::future::pending().await;
            }
            to.before(format!("is asked by {}: {what}", from.name)).await;
            let answer = call.await;
            to.after().await;
            scene.dawdle(|weather| weather.call_delay).await;
            if scene.strikes("answer lost", |weather| weather.answer_lost) || !self.passes(to, from) {
                return std::future::pending().await;
            }
            answer
        };
        let answer = timeout(&*scene.clock, PATIENCE, sent).await.map_err(|_| NoAnswer);
        from.pass().await;
        scene.note(format_args!(
            "{} has {} of {}: {what}",
            from.name,
            if answer.is_ok() { "an answer" } else { "no answer" },
            to.name
        ));
        answer
    }

    /// Whether a call is to be late.
    #[must_use]
    pub fn delays(&self, from: &Member) -> bool {
        from.scene.strikes("call late", |weather| weather.call_late)
    }

    /// Sends a call that arrives when nobody waits for it any more, whatever became of its sender.
    pub async fn send_late(
        &self,
        (from, to): (&Member, &Member),
        what: &'static str,
        call: impl Future<Output = ()> + Send + 'static,
    ) -> NoAnswer {
        from.pass().await;
        let (network, sender, receiver) = (self.clone(), from.clone(), to.clone());
        let (way, patience) = (from.scene.span(WAY), from.scene.span(PATIENCE));
        from.scene.tasks.spawn("late call", async move {
            sender.scene.clock.sleep(way).await;
            if network.passes(&sender, &receiver) && receiver.condition() != Condition::Dead {
                receiver.before(format!("is asked by {}, late: {what}", sender.name)).await;
                call.await;
            }
        });
        from.scene.clock.sleep(patience).await;
        from.pass().await;
        NoAnswer
    }

    /// Whether a call is to be made twice.
    #[must_use]
    pub fn repeats(&self, from: &Member) -> bool {
        from.scene.strikes("call repeated", |weather| weather.call_repeated)
    }
}
