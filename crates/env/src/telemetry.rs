//! Metrics: families by name, series by labels, text for `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::registry::Registry;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::histogram::Histogram;

/// A gauge of whole numbers.
pub type Gauge = prometheus_client::metrics::gauge::Gauge;
/// A gauge of fractions.
pub type GaugeF64 = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;

type Labels = Vec<(String, String)>;

/// Where metrics are made and shown. Clones share one registry. A metric is asked for once, by whoever
/// counts, and kept: the handles are cheap, the look-up is not.
#[derive(Clone, Default)]
pub struct Telemetry {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    registry: Registry,
    families: BTreeMap<String, AnyFamily>,
}

#[derive(Clone)]
enum AnyFamily {
    Counter(Family<Labels, Counter>),
    Gauge(Family<Labels, Gauge>),
    GaugeF64(Family<Labels, GaugeF64>),
    Histogram(Family<Labels, Histogram, Buckets>),
}

#[derive(Clone)]
struct Buckets(Arc<[f64]>);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

macro_rules! metric {
    ($(#[$doc:meta])* $method:ident -> $metric:ty, $variant:ident) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// If the name belongs to a metric of another kind.
        #[must_use]
        pub fn $method(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> $metric {
            let family = self.family(name, help, || AnyFamily::$variant(Family::default()));
            let AnyFamily::$variant(family) = family else { panic!("{name} is a metric of another kind") };
            family.get_or_create_owned(&owned(labels))
        }
    };
}

impl Telemetry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Telemetry {
        Telemetry::default()
    }

    metric! {
        /// A number that only grows. `_total` is added to the name when it is shown.
        counter -> Counter, Counter
    }

    metric! {
        /// A whole number that goes up and down.
        gauge -> Gauge, Gauge
    }

    metric! {
        /// A fraction that goes up and down.
        gauge_f64 -> GaugeF64, GaugeF64
    }

    /// A distribution. The buckets of a name are those of its first call, upper bounds, ascending.
    ///
    /// # Panics
    /// If the name belongs to a metric of another kind.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64], labels: &[(&str, &str)]) -> Histogram {
        let family = self.family(name, help, || {
            AnyFamily::Histogram(Family::new_with_constructor(Buckets(buckets.into())))
        });
        let AnyFamily::Histogram(family) = family else { panic!("{name} is a metric of another kind") };
        family.get_or_create_owned(&owned(labels))
    }

    /// Bucket bounds for spans of time in seconds: 50 µs to about 26 s, each twice the one before.
    #[must_use]
    pub fn seconds() -> Vec<f64> {
        prometheus_client::metrics::histogram::exponential_buckets(0.000_05, 2.0, 20).collect()
    }

    /// All metrics in the OpenMetrics text format, families in the order in which they were made.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.state.lock().registry)
            .expect("writing to a String cannot fail");
        text
    }

    fn family(&self, name: &str, help: &str, make: impl FnOnce() -> AnyFamily) -> AnyFamily {
        let mut state = self.state.lock();
        if let Some(family) = state.families.get(name) {
            return family.clone();
        }
        let family = make();
        match family.clone() {
            AnyFamily::Counter(family) => state.registry.register(name, help, family),
            AnyFamily::Gauge(family) => state.registry.register(name, help, family),
            AnyFamily::GaugeF64(family) => state.registry.register(name, help, family),
            AnyFamily::Histogram(family) => state.registry.register(name, help, family),
        }
        state.families.insert(name.to_owned(), family.clone());
        family
    }
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_shown_under_their_labels() {
        let telemetry = Telemetry::new();
        let appends = telemetry.counter("cinclus_appends", "Appended records", &[("channel", "dml_0")]);
        appends.inc_by(3);
        telemetry.counter("cinclus_appends", "Appended records", &[("channel", "dml_0")]).inc();
        telemetry.gauge("cinclus_open", "Open logs", &[]).set(2);
        telemetry.gauge_f64("cinclus_ratio", "A share", &[]).set(0.5);
        telemetry.histogram("cinclus_sync_seconds", "Syncs", &[0.1, 1.0], &[]).observe(0.2);
        let text = telemetry.render();
        for line in [
            "cinclus_appends_total{channel=\"dml_0\"} 4",
            "cinclus_open{} 2",
            "cinclus_ratio{} 0.5",
            "cinclus_sync_seconds_bucket{le=\"1.0\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    #[should_panic(expected = "cinclus_open is a metric of another kind")]
    fn a_name_has_one_kind() {
        let telemetry = Telemetry::new();
        let _ = telemetry.gauge("cinclus_open", "Open logs", &[]);
        let _ = telemetry.counter("cinclus_open", "Open logs", &[]);
    }
}
