//! The ticks of requests that may come again: the first call grants them, a repeated one gets the same.
//!
//! Ids of rows and the snapshot that a filter is read at follow from them, so a request that is repeated
//! after a lost answer, by whichever proxy and after whichever restart, makes the same messages again, and
//! the logs recognise them by their key. A name is forgotten after a while, by the way when another is stored.

use std::collections::BTreeSet;
use std::time::Duration;

use cinclus_env::DynClock;
use cinclus_meta::{CommitOutcome, DynMetaStore, MetaError, Txn};
use cinclus_rpc::CoordError;
use cinclus_types::{Tick, TickRange};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::tso::Tso;
use crate::{StartError, keys};

/// How many forgotten names leave the store together with a new one.
const FORGOTTEN_AT_ONCE: usize = 8;

/// How often a lost answer is looked up before the caller is told.
const ATTEMPTS: usize = 3;

/// The remembered requests.
pub struct Requests {
    meta: DynMetaStore,
    tso: Tso,
    clock: DynClock,
    age_max: Duration,
    /// The stored names by their age and ticks. What another coordinator stored is missing and found by asking.
    stored: Mutex<BTreeSet<(u64, Tick, String)>>,
}

/// What is stored of a request.
#[derive(Serialize, Deserialize)]
struct Noted {
    /// Its ticks.
    ticks: TickRange,
    /// When it came, in milliseconds of the calendar. Ticks may lag behind the clock.
    unix_ms: u64,
}

impl Requests {
    /// Reads what is stored. A name is kept for `age_max` at least.
    ///
    /// # Errors
    /// If the metadata cannot be read.
    pub async fn open(
        meta: DynMetaStore,
        tso: Tso,
        clock: DynClock,
        age_max: Duration,
    ) -> Result<Requests, StartError> {
        let mut stored = BTreeSet::new();
        for entry in meta.scan(keys::REQUESTS).await?.1 {
            let noted = decode(&entry.key, &entry.value)?;
            stored.insert((noted.unix_ms, noted.ticks.first, entry.key));
        }
        Ok(Requests { meta, tso, clock, age_max, stored: Mutex::new(stored) })
    }

    /// The `count` ticks of the request of this name.
    ///
    /// # Errors
    /// If the store does not answer. The ticks may be stored then: calling again gives the same ones.
    pub async fn ticks(&self, name: &str, count: u32) -> Result<TickRange, CoordError> {
        let key = keys::request(name);
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            if let Some(entry) = self.meta.get(&key).await.map_err(unavailable)? {
                return decode(&key, &entry.value).map(|noted| noted.ticks).map_err(unavailable);
            }
            let ticks = self.tso.grant(count).await?;
            let noted = Noted { ticks, unix_ms: self.clock.unix_ms() };
            let old = self.forgotten(noted.unix_ms);
            let put = Txn::new().require_absent(key.clone()).put(key.clone(), json!(noted).to_string());
            let txn = old.iter().fold(put, |txn, (.., old)| txn.delete(old.clone()));
            match self.meta.commit(txn).await {
                Ok(CommitOutcome::Committed(_)) => {
                    let mut stored = self.stored.lock();
                    stored.retain(|kept| !old.contains(kept));
                    stored.insert((noted.unix_ms, ticks.first, key));
                    return Ok(ticks);
                }
                // Somebody asked at the same time: the first one's ticks are everybody's.
                Ok(CommitOutcome::Conflict(_)) => "it was stored and gone".clone_into(&mut last),
                Err(MetaError::Unknown(reason)) => last = reason,
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(CoordError::Unavailable(format!("the request could not be noted down: {last}")))
    }

    /// The oldest names, as far as they may be forgotten now.
    fn forgotten(&self, now_ms: u64) -> Vec<(u64, Tick, String)> {
        let age_max = u64::try_from(self.age_max.as_millis()).unwrap_or(u64::MAX);
        let old = |(noted_ms, ..): &&(u64, Tick, String)| now_ms.saturating_sub(*noted_ms) > age_max;
        self.stored.lock().iter().take_while(old).take(FORGOTTEN_AT_ONCE).cloned().collect()
    }
}

fn unavailable(error: impl std::fmt::Display) -> CoordError {
    CoordError::Unavailable(error.to_string())
}

fn decode(key: &str, value: &[u8]) -> Result<Noted, StartError> {
    serde_json::from_slice(value)
        .map_err(|error| StartError::Corrupt { key: key.to_owned(), reason: error.to_string() })
}
