//! A client that reads what others wrote.

use tokio_util::sync::CancellationToken;

use super::calls::Calls;
use super::scene::Scene;
use crate::outside::rows::KEY;

/// A client: one Strong read at a time.
pub(super) struct Reader {
    number: usize,
    calls: Calls,
}

impl Reader {
    /// The client with this number.
    pub(super) fn new(number: usize, calls: Calls) -> Reader {
        Reader { number, calls }
    }

    /// Reads until it is told to rest.
    pub(super) async fn run(&mut self, scene: &Scene, rest: &CancellationToken) {
        while !rest.is_cancelled() {
            self.read(scene).await;
        }
    }

    async fn read(&mut self, scene: &Scene) {
        let (expected, filter) = scene.with(|moving| {
            let keys = moving.keys_to_read();
            let filter = format!("{KEY} in {keys:?}");
            (moving.history.expect(keys), filter)
        });
        let fault = scene.fault();
        match self.calls.rows(filter).await {
            Ok(found) => {
                scene.with(|moving| {
                    let violations = moving.history.judge(&expected, &found);
                    moving.violations.extend(violations);
                });
                scene.read(self.number, fault);
            }
            Err(error) => {
                scene.with(|moving| moving.last_error = error.to_string());
                self.calls.pause().await;
            }
        }
    }
}
