//! How fresh a read must be: Milvus' levels and timestamps in our words.

use std::time::Duration;

use cinclus_env::mutated;
use cinclus_rpc::Freshness;
use cinclus_types::{ConsistencyLevel, Tick};

use crate::status::ProxyError;

/// What a request says about freshness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `consistency_level`, as on the wire.
    pub level: i32,
    /// `use_default_consistency`.
    pub use_default: bool,
    /// `guarantee_timestamp`.
    pub guarantee: u64,
    /// Whether the read is one of an iterator.
    pub iterator: bool,
}

/// `guarantee_timestamp` values that are words.
const STRONG: u64 = 0;
const EVENTUALLY: u64 = 1;
const BOUNDED: u64 = 2;

impl Asked {
    /// The snapshot that an iterator asks for; `None` for its first read and for other reads.
    #[must_use]
    pub fn snapshot(&self) -> Option<Tick> {
        let fixed = self.iterator && self.guarantee > BOUNDED && !mutated("IteratorReadsAnew");
        fixed.then_some(Tick(self.guarantee))
    }

    /// The freshness of a read of a collection whose level is `default`, asked at `now`. Bounded reads may
    /// lag behind by `graceful`.
    ///
    /// # Errors
    /// A level that does not exist.
    pub fn freshness(
        &self,
        default: ConsistencyLevel,
        now: Tick,
        graceful: Duration,
    ) -> Result<Freshness, ProxyError> {
        if let Some(tick) = self.snapshot() {
            return Ok(Freshness::Snapshot(tick));
        }
        let level = if self.use_default {
            default
        } else {
            ConsistencyLevel::from_number(self.level)
                .ok_or_else(|| ProxyError::Invalid(format!("unknown consistency level {}", self.level)))?
        };
        let lagging = now.minus(graceful);
        Ok(match level {
            // Level 0 is also what a client sends that names no level but a timestamp.
            ConsistencyLevel::Strong if !self.use_default => self.by_timestamp(lagging),
            ConsistencyLevel::Strong => Freshness::Strong,
            // A client's own last write that is newer than the bound is shown too.
            ConsistencyLevel::Bounded => {
                let own = Tick(self.guarantee);
                Freshness::AtLeast(if own <= now { own.max(lagging) } else { lagging })
            }
            ConsistencyLevel::Eventually => Freshness::AtLeast(Tick(EVENTUALLY)),
            ConsistencyLevel::Session | ConsistencyLevel::Customized => self.by_timestamp(lagging),
        })
    }

    fn by_timestamp(&self, lagging: Tick) -> Freshness {
        match self.guarantee {
            STRONG => Freshness::Strong,
            EVENTUALLY => Freshness::AtLeast(Tick(EVENTUALLY)),
            BOUNDED => Freshness::AtLeast(lagging),
            tick => Freshness::AtLeast(Tick(tick)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACEFUL: Duration = Duration::from_secs(5);
    const NOW: Tick = Tick::from_unix_ms(1_700_000_000_000);

    fn check(level: i32, use_default: bool, guarantee: u64, default: ConsistencyLevel) -> Freshness {
        Asked { level, use_default, guarantee, iterator: false }.freshness(default, NOW, GRACEFUL).unwrap()
    }

    #[test]
    fn each_level_has_milvus_meaning() {
        use ConsistencyLevel::{Bounded, Customized, Eventually, Session, Strong};
        let lagging = Freshness::AtLeast(NOW.minus(GRACEFUL));
        let tick = NOW.minus(Duration::from_secs(1)).0;
        let then = Freshness::AtLeast(Tick(tick));
        let eventually = Freshness::AtLeast(Tick(1));
        assert_eq!(check(0, false, 0, Bounded), Freshness::Strong);
        assert_eq!(check(0, false, 1, Bounded), eventually);
        assert_eq!(check(0, false, 2, Bounded), lagging);
        assert_eq!(check(0, false, tick, Bounded), then);
        assert_eq!(check(1, false, tick, Strong), then);
        assert_eq!(check(2, false, 2, Strong), lagging);
        assert_eq!(check(3, false, tick, Strong), eventually);
        assert_eq!(check(4, false, tick, Strong), then);
        assert_eq!(check(0, true, 1, Strong), Freshness::Strong);
        assert_eq!(check(0, true, tick, Session), then);
        assert_eq!(check(0, true, 1, Eventually), eventually);
        assert_eq!(check(0, true, 1, Customized), eventually);
    }

    #[test]
    fn a_bounded_read_shows_the_own_write_but_not_the_future() {
        let own = NOW.minus(Duration::from_millis(3));
        let bounded = ConsistencyLevel::Bounded;
        assert_eq!(check(0, true, own.0, bounded), Freshness::AtLeast(own));
        assert_eq!(check(0, true, 1, bounded), Freshness::AtLeast(NOW.minus(GRACEFUL)));
        assert_eq!(check(0, true, u64::MAX, bounded), Freshness::AtLeast(NOW.minus(GRACEFUL)));
    }

    #[test]
    fn an_iterator_reads_the_snapshot_it_was_given() {
        let asked = Asked { use_default: true, guarantee: NOW.0, iterator: true, level: 0 };
        assert_eq!(asked.freshness(ConsistencyLevel::Strong, NOW, GRACEFUL), Ok(Freshness::Snapshot(NOW)));
        assert_eq!(Asked { guarantee: 0, ..asked }.snapshot(), None);
    }

    #[test]
    fn an_unknown_level_is_refused() {
        let asked = Asked { level: 9, ..Asked::default() };
        assert!(asked.freshness(ConsistencyLevel::Strong, NOW, GRACEFUL).is_err());
    }
}
