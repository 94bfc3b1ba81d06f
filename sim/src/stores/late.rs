//! What was sent to an object storage and is so late that its sender may be gone when it takes effect: in the same
//! life, or in a later one, when others have the objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions, PutPayload, PutResult, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::scene::Scene;

/// The longest that anything is on its way within a life.
const WAY: Duration = Duration::from_secs(10);

/// What a storage says of it then; of a removal it says nothing.
pub type Landed = Result<Option<PutResult>>;

/// An effect on an object.
#[derive(Clone)]
pub enum Effect {
    /// It is put.
    Put(Path, PutPayload, PutOptions),
    /// It is removed.
    Remove(Path),
}

/// Effects on their way. Clones are the same.
#[derive(Clone, Default)]
pub struct Late(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    sent: u64,
    under_way: BTreeMap<u64, Effect>,
    /// A mutation: of what is late only a half is put.
    tears: bool,
}

impl Late {
    /// Those of a storage that keeps only a half of what is late.
    #[must_use]
    pub fn tearing(tears: bool) -> Late {
        Late(Arc::new(Mutex::new(Inner { tears, ..Inner::default() })))
    }

    /// Sends an effect, which comes to be whatever becomes of the sender.
    #[must_use]
    pub fn send(
        &self,
        store: &Arc<dyn ObjectStore>,
        scene: &Scene,
        mut effect: Effect,
    ) -> oneshot::Receiver<Landed> {
        let number = {
            let inner = &mut *self.0.lock();
            if let (Effect::Put(_, payload, _), true) = (&mut effect, inner.tears) {
                let whole = Bytes::from(payload.clone());
                *payload = whole.slice(..whole.len() / 2).into();
            }
            inner.sent += 1;
            inner.under_way.insert(inner.sent, effect);
            inner.sent
        };
        self.go(number, store, scene)
    }

    /// What is still on its way from an earlier life goes on in this one.
    pub fn go_on(&self, store: &Arc<dyn ObjectStore>, scene: &Scene) {
        let numbers: Vec<u64> = self.0.lock().under_way.keys().copied().collect();
        for number in numbers {
            // Whoever sent it does not wait any more.
            drop(self.go(number, store, scene));
        }
    }

    fn go(&self, number: u64, store: &Arc<dyn ObjectStore>, scene: &Scene) -> oneshot::Receiver<Landed> {
        let (done, outcome) = oneshot::channel();
        let (late, store, of_scene) = (self.clone(), store.clone(), scene.clone());
        let span = scene.span(WAY);
        scene.tasks.spawn("late effect", async move {
            of_scene.clock.sleep(span).await;
            let effect = late.0.lock().under_way.remove(&number);
            let ended = match effect {
                Some(Effect::Put(path, payload, options)) => {
                    let put = store.put_opts(&path, payload, options).await.map(Some);
                    of_scene.note(format_args!("a late put of {path} comes to be: {}", put.is_ok()));
                    put
                }
                Some(Effect::Remove(path)) => {
                    let removed = store.delete(&path).await.map(|()| None);
                    of_scene.note(format_args!("{path} is removed late: {}", removed.is_ok()));
                    removed
                }
                None => Ok(None),
            };
            let _ = done.send(ended);
        });
        outcome
    }
}
