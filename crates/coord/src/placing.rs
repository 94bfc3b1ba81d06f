//! Shards of collections that are being created: the catalog does not show them yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_types::{PChannel, VChannel};
use parking_lot::{Mutex, MutexGuard};

/// How many new shards are on their way into each log. Clones are the same.
#[derive(Clone, Default)]
pub struct Placing(Arc<Mutex<BTreeMap<PChannel, usize>>>);

/// Some of them; dropped when the catalog shows them, or when they do not come after all.
pub struct Placed {
    placing: Placing,
    channels: Vec<PChannel>,
}

impl Placing {
    /// What is on its way. Nobody else places anything while this is held.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<PChannel, usize>> {
        self.0.lock()
    }

    /// Notes shards while `counts`, from [`Placing::lock`], is held.
    #[must_use]
    pub fn note(&self, counts: &mut BTreeMap<PChannel, usize>, shards: &[VChannel]) -> Placed {
        let channels: Vec<PChannel> = shards.iter().map(VChannel::pchannel).collect();
        for channel in &channels {
            *counts.entry(channel.clone()).or_default() += 1;
        }
        Placed { placing: self.clone(), channels }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let mut counts = self.placing.lock();
        for channel in &self.channels {
            if let Some(count) = counts.get_mut(channel) {
                *count -= 1;
            }
        }
        counts.retain(|_, count| *count > 0);
    }
}
