//! What a log counts.

use std::time::Duration;

use cinclus_env::Telemetry;
use cinclus_env::telemetry::{Counter, Histogram};
use cinclus_types::PChannel;

/// The series of one log.
pub(crate) struct Metrics {
    bytes: Counter,
    records: Counter,
    blocks: Counter,
    failures: Counter,
    flush_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry, channel: &PChannel) -> Metrics {
        let labels = [("channel", channel.name())];
        let counter = |name, help| telemetry.counter(name, help, &labels);
        let buckets = Telemetry::seconds();
        Metrics {
            bytes: counter("cinclus_log_appended_bytes", "Bytes of records made durable"),
            records: counter("cinclus_log_appended_records", "Records made durable"),
            blocks: counter("cinclus_log_blocks", "Blocks made durable, each with one sync or one put"),
            failures: counter("cinclus_log_failures", "Blocks that could not be made durable"),
            flush_seconds: telemetry.histogram(
                "cinclus_log_flush_seconds",
                "Time from the start of a block's write or put to its end",
                &buckets,
                &labels,
            ),
        }
    }

    pub(crate) fn flushed(&self, records: u64, bytes: u64, span: Duration) {
        self.bytes.inc_by(bytes);
        self.records.inc_by(records);
        self.blocks.inc();
        self.flush_seconds.observe(span.as_secs_f64());
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
