//! What is counted of a Wal. Families that Milvus has carry its prefix.

use std::time::Duration;

use cinclus_env::telemetry::{Counter, Gauge, Histogram};
use cinclus_env::{Env, Telemetry};
use cinclus_types::{PChannel, Tick};

use crate::buffer::BufferBudget;

/// The handles of one PChannel.
pub(crate) struct WalMetrics {
    messages: Counter,
    bytes: Counter,
    seconds: Histogram,
    frontier: Gauge,
    txns: Gauge,
    buffer_bytes: Gauge,
    buffer: BufferBudget,
    /// Times that the writer was opened again after a failure.
    pub reopens: Counter,
    /// Transactions that were rolled back because they held too much log.
    pub rolled_back: Counter,
}

impl WalMetrics {
    pub(crate) fn new(env: &Env, channel: &PChannel, buffer: &BufferBudget) -> WalMetrics {
        let telemetry = &env.telemetry;
        let labels = [("channel_name", channel.name())];
        WalMetrics {
            messages: telemetry.counter(
                "milvus_wal_append_message",
                "Messages sent to the log storage.",
                &labels,
            ),
            bytes: telemetry.counter(
                "milvus_wal_append_message_bytes",
                "Bytes of messages sent to the log storage.",
                &labels,
            ),
            seconds: telemetry.histogram(
                "milvus_wal_append_duration_seconds",
                "Time from a call to the log storage to its ack.",
                &Telemetry::seconds(),
                &labels,
            ),
            frontier: telemetry.gauge(
                "milvus_wal_last_confirmed_time_tick",
                "Unix milliseconds of the published frontier.",
                &labels,
            ),
            txns: telemetry.gauge("milvus_wal_inflight_txn", "Open transactions.", &labels),
            buffer_bytes: telemetry.gauge(
                "milvus_wal_write_ahead_buffer_size_bytes",
                "Bytes in the write-ahead buffers of the process.",
                &[],
            ),
            buffer: buffer.clone(),
            reopens: telemetry.counter(
                "cinclus_wal_reopens",
                "Times that the writer was opened again after a failure.",
                &labels,
            ),
            rolled_back: telemetry.counter(
                "cinclus_wal_txns_rolled_back",
                "Transactions that were rolled back because they held too much log.",
                &labels,
            ),
        }
    }

    pub(crate) fn sent(&self, messages: usize, bytes: u64) {
        self.messages.inc_by(messages as u64);
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn acked(&self, after: Duration) {
        self.seconds.observe(after.as_secs_f64());
        self.buffer_bytes.set(self.buffer.used().cast_signed());
    }

    pub(crate) fn stands(&self, frontier: Tick, txns: usize) {
        self.frontier.set(frontier.unix_ms().cast_signed());
        self.txns.set(txns as i64);
    }
}
