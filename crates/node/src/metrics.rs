//! What is counted of a log's persisting. Families that Milvus has carry its prefix.

use std::time::Duration;

use cinclus_env::Telemetry;
use cinclus_env::telemetry::{Counter, Gauge, Histogram};
use cinclus_types::{PChannel, Tick};

/// The handles of one log.
#[derive(Clone)]
pub(crate) struct NodeMetrics {
    applied: Gauge,
    persisted: Gauge,
    rounds: Counter,
    failures: Counter,
    objects: Counter,
    bytes: Counter,
    seconds: Histogram,
}

impl NodeMetrics {
    pub(crate) fn new(telemetry: &Telemetry, channel: &PChannel) -> NodeMetrics {
        let labels = [("channel_name", channel.name())];
        let counter = |name, help| telemetry.counter(name, help, &labels);
        let gauge = |name, help| telemetry.gauge(name, help, &labels);
        NodeMetrics {
            applied: gauge(
                "milvus_wal_recovery_in_memory_time_tick",
                "Unix milliseconds up to which the log is applied.",
            ),
            persisted: gauge(
                "milvus_wal_recovery_persisted_time_tick",
                "Unix milliseconds of the checkpoint.",
            ),
            rounds: counter("cinclus_persist_rounds", "Rounds of persisting that were committed."),
            failures: counter("cinclus_persist_failures", "Rounds of persisting that failed."),
            objects: counter("cinclus_persist_objects", "Objects written by rounds of persisting."),
            bytes: counter("cinclus_persist_bytes", "Bytes of those objects."),
            seconds: telemetry.histogram(
                "cinclus_persist_duration_seconds",
                "Time that a round of persisting takes.",
                &Telemetry::seconds(),
                &labels,
            ),
        }
    }

    pub(crate) fn applied(&self, tick: Tick) {
        self.applied.set(tick.unix_ms().cast_signed());
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.objects.inc();
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn ended(&self, committed: Option<Tick>, span: Duration) {
        self.seconds.observe(span.as_secs_f64());
        match committed {
            Some(tick) => {
                self.rounds.inc();
                self.persisted.set(tick.unix_ms().cast_signed());
            }
            None => {
                self.failures.inc();
            }
        }
    }
}
