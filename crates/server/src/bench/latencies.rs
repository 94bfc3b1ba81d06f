//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Times of one kind of operation, exact to one part in a thousand.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// Longer ones count as this long.
const NANOS_MAX: u64 = 600_000_000_000;

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

impl Latencies {
    /// None yet.
    pub(super) fn new() -> Latencies {
        Latencies(Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("the bounds are valid"))
    }

    /// Adds one.
    pub(super) fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(NANOS_MAX).max(1));
    }

    /// Adds those of another.
    pub(super) fn add(&mut self, other: &Latencies) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The median, in milliseconds.
    pub(super) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    /// What 99 of 100 stay below, in milliseconds.
    pub(super) fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// The longest, in milliseconds.
    pub(super) fn max(&self) -> f64 {
        self.0.max() as f64 / 1e6
    }

    fn quantile(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_recorded_times() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros));
        }
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(near(latencies.p50(), 0.5) && near(latencies.p99(), 0.99) && near(latencies.max(), 1.0));
        let mut both = latencies.clone();
        both.record(Duration::from_secs(3600));
        both.add(&latencies);
        assert_eq!((both.count(), latencies.count()), (2001, 1000));
        assert!(near(both.max(), 600_000.0), "an hour is cut to the bound, not lost");
    }
}
