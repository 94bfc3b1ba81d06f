//! A client that writes.

use tokio_util::sync::CancellationToken;

use super::calls::{CallError, Calls};
use super::history::KEYS_OF_A_CLIENT;
use super::request::{Request, Write};
use super::scene::Scene;
use super::violation::{Broken, Violation};
use crate::outside::rows::Noise;

/// From so many rows on more are deleted than inserted.
const ROWS_MAX: usize = 5000;

/// A client: one request at a time, on keys that nobody else writes.
pub(super) struct Writer {
    number: usize,
    calls: Calls,
    chance: Noise,
    /// Whether its requests have names and are repeated until they are answered.
    named: bool,
    next_key: i64,
    version: i64,
    /// Keys with a row, and with no write that has no answer.
    rows: Vec<i64>,
    /// A write that is to come again, and the timestamp that it got.
    again: Option<(Request, u64)>,
}

impl Writer {
    /// The client with this number.
    pub(super) fn new(number: usize, calls: Calls, chance: Noise, named: bool) -> Writer {
        let next_key = number as i64 * KEYS_OF_A_CLIENT;
        Writer { number, calls, chance, named, next_key, version: 0, rows: Vec::new(), again: None }
    }

    /// Writes until it is told to rest.
    pub(super) async fn run(&mut self, scene: &Scene, rest: &CancellationToken) {
        while !rest.is_cancelled() {
            let request = self.next();
            scene.with(|moving| moving.history.send(&request));
            let name = self.name(&request);
            if let Some(timestamp) = self.write(scene, &request, name.as_deref()).await {
                self.keep(&request);
                if self.named {
                    self.repeat(scene, request, timestamp).await;
                }
            }
        }
    }

    fn name(&self, request: &Request) -> Option<String> {
        self.named.then(|| format!("drill-{}-{}", self.number, request.version))
    }

    /// Sends it; with a name until it is acknowledged, without one until it was on its way.
    async fn write(&mut self, scene: &Scene, request: &Request, name: Option<&str>) -> Option<u64> {
        loop {
            let fault = scene.fault();
            let error = match self.calls.write(request, name).await {
                Ok(timestamp) => {
                    scene.acknowledged(self.number, fault, request);
                    return Some(timestamp);
                }
                Err(error) => error,
            };
            let sent = !matches!(error, CallError::NotSent(_));
            scene.with(|moving| {
                let counts = &mut moving.counts;
                match &error {
                    CallError::DiskFull(_) => counts.disk_full += 1,
                    CallError::Failed(_) => counts.failed += 1,
                    CallError::NotSent(_) => {}
                }
                match name {
                    _ if !sent => {}
                    Some(_) => counts.retried += 1,
                    None => counts.unknown += 1,
                }
                moving.last_error = error.to_string();
            });
            self.calls.pause().await;
            if sent && name.is_none() {
                return None;
            }
        }
    }

    /// Sends a write once more that was acknowledged some time ago: it has the same answer, and no effect on what was
    /// written since.
    async fn repeat(&mut self, scene: &Scene, request: Request, timestamp: u64) {
        let dice = self.chance.below(16);
        if dice == 0 && self.again.is_none() {
            self.again = Some((request, timestamp));
        }
        if dice != 1 {
            return;
        }
        let Some((request, first)) = self.again.take() else { return };
        let name = self.name(&request);
        let Ok(again) = self.calls.write(&request, name.as_deref()).await else { return };
        scene.with(|moving| {
            moving.counts.repeats += 1;
            if again != first {
                let said = format!(
                    "its write came again and was acknowledged as another one ({again}, not {first})"
                );
                let violation = Violation::new(Broken::Repeated, request.keys[0], said);
                let violations = moving.history.once(vec![violation]);
                moving.violations.extend(violations);
            }
        });
    }

    /// Its rows can be written again.
    fn keep(&mut self, request: &Request) {
        if request.write != Write::Delete {
            self.rows.extend(&request.keys);
        }
    }

    fn next(&mut self) -> Request {
        self.version += 1;
        let full = self.rows.len() > ROWS_MAX;
        let write = match self.chance.below(8) {
            _ if self.rows.is_empty() => Write::Insert,
            0..=3 if !full => Write::Insert,
            0..=5 => Write::Upsert,
            _ => Write::Delete,
        };
        let many = [1, 2, 8, 32][self.chance.below(4) as usize];
        let keys = match write {
            Write::Insert => {
                let from = self.next_key;
                self.next_key += many;
                (from..self.next_key).collect()
            }
            Write::Upsert | Write::Delete => (0..many).map_while(|_| self.take()).collect(),
        };
        Request { write, keys, version: self.version }
    }

    /// Takes a row out; often one of the last, which are in the log only.
    fn take(&mut self) -> Option<i64> {
        let len = self.rows.len() as u64;
        if len == 0 {
            return None;
        }
        let back =
            if self.chance.below(2) == 0 { self.chance.below(len) } else { self.chance.below(len.min(100)) };
        Some(self.rows.swap_remove((len - 1 - back) as usize))
    }
}
