//! Random numbers from a seed.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, RngExt, SeedableRng, TryRng};

/// A shared source of random numbers. Clones draw from the same stream; [`Random::fork`] starts a new
/// one that depends on the seed and a name only, so that one part's draws do not shift another's.
#[derive(Clone)]
pub struct Random {
    seed: u64,
    stream: Arc<Mutex<StdRng>>,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Random(seed {})", self.seed)
    }
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Random {
        Random { seed, stream: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// A stream that the operating system seeds.
    ///
    /// # Panics
    /// If the operating system has no randomness to give: nothing can be safe then.
    #[must_use]
    pub fn from_os() -> Random {
        let seed = SysRng.try_next_u64().expect("the operating system gives randomness");
        Random::seeded(seed)
    }

    /// The seed of this stream, for messages that say how to repeat a run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A stream of its own for the part called `name`; the same seed and name give the same stream.
    #[must_use]
    pub fn fork(&self, name: &str) -> Random {
        // FNV-1a over the name, then one round of splitmix64 with the seed.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut mixed = self.seed ^ hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random::seeded(mixed ^ (mixed >> 31))
    }

    /// Any number.
    #[must_use]
    pub fn u64(&self) -> u64 {
        self.stream.lock().next_u64()
    }

    /// A number of `range`, each equally likely.
    ///
    /// # Panics
    /// If the range is empty.
    #[must_use]
    pub fn range(&self, range: std::ops::Range<u64>) -> u64 {
        self.stream.lock().random_range(range)
    }

    /// A number of [0, 1).
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.stream.lock().random()
    }

    /// True with this probability, 0 to 1.
    #[must_use]
    pub fn chance(&self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Fills a buffer.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.stream.lock().fill_bytes(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_depends_on_seed_and_name_only() {
        let one = Random::seeded(7);
        let before = one.fork("disk").u64();
        let _ = one.u64();
        assert_eq!(one.fork("disk").u64(), before);
        assert_ne!(one.fork("network").u64(), before);
        assert_ne!(Random::seeded(8).fork("disk").u64(), before);
    }

    #[test]
    fn draws_stay_in_their_range() {
        let random = Random::seeded(1);
        for _ in 0..1_000 {
            assert!((5..9).contains(&random.range(5..9)));
            assert!((0.0..1.0).contains(&random.fraction()));
        }
        let mut buffer = [0; 32];
        random.fill(&mut buffer);
        assert_ne!(buffer, [0; 32]);
        assert_ne!(Random::from_os().seed(), Random::from_os().seed());
    }
}
