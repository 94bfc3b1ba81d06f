//! How much was done to the house, and how much of it was checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counters by name. Clones are the same.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    /// Counts one more.
    pub fn count(&self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts several more.
    pub fn add(&self, what: &'static str, more: u64) {
        *self.0.lock().entry(what).or_default() += more;
    }

    /// Keeps the greatest; the name begins with "most".
    pub fn most(&self, what: &'static str, value: u64) {
        let mut counts = self.0.lock();
        let most = counts.entry(what).or_default();
        *most = value.max(*most);
    }

    /// Takes over what another one counted.
    pub fn take(&self, counts: &BTreeMap<&'static str, u64>) {
        for (what, count) in counts {
            if what.starts_with("most") { self.most(what, *count) } else { self.add(what, *count) }
        }
    }

    /// All counters.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().clone()
    }
}
