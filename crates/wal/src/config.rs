//! The settings of a Wal.

use std::time::Duration;

use crate::buffer::BufferBudget;
use crate::proof::OwnershipProof;

/// Values that shape one PChannel's writer, buffer and segments. Sizes are bytes, ages are spans of time.
#[derive(Clone, Debug)]
pub struct WalConfig {
    /// How the owner of the log knows that it still is.
    pub proof: OwnershipProof,
    /// The largest single message (payload and properties) that is taken, in bytes. Larger ones are
    /// refused before anything is stamped.
    pub message_bytes_max: u64,
    /// The most bytes that one call to the log storage carries. Requests that wait together are put into
    /// one call up to this size; one request alone may be larger, up to `in_flight_bytes_max`.
    pub batch_bytes_max: u64,
    /// The most append requests of one PChannel that wait or are in flight; one more is refused with
    /// "rate limit exceeded".
    pub queue_requests_max: usize,
    /// The most bytes of append requests that wait in the writer's queue or are in flight at the log
    /// storage. A request that does not fit waits for earlier ones; one that never fits is refused.
    pub in_flight_bytes_max: u64,
    /// The memory of all write-ahead buffers of the process, shared by its Wals.
    pub buffer: BufferBudget,
    /// How long a message may stay in the write-ahead buffer. Its bytes are bounded by the process-wide
    /// [`BufferBudget`].
    pub buffer_age_max: Duration,
    /// Rows at which a growing segment is sealed.
    pub segment_rows_max: u64,
    /// Bytes of rows at which a growing segment is sealed.
    pub segment_bytes_max: u64,
    /// Age at which a growing segment is sealed.
    pub segment_age_max: Duration,
    /// A growing segment that got no row for this long is sealed, if it holds `idle_bytes_min`.
    pub segment_idle: Duration,
    /// Bytes of rows below which an idle segment stays open.
    pub idle_bytes_min: u64,
    /// Bytes of rows in all growing segments of the PChannel above which the largest are sealed until
    /// half of it is left.
    pub growing_bytes_max: u64,
    /// The keep-alive of a transaction that names none: so long after its last message it expires.
    pub txn_keepalive_default: Duration,
    /// The longest keep-alive that a transaction may ask for. An open transaction holds back every
    /// reader's checkpoint; the owner rolls it back when too much log lies behind its begin.
    pub txn_keepalive_max: Duration,
    /// Bytes of the log storage's room that appends leave alone, so that footers, fences, metadata and
    /// persisting still work when it is full.
    pub space_reserve_bytes: u64,
    /// How long after a message the TimeTick that covers it is stored, at the latest. An idle PChannel
    /// stores none.
    pub time_tick_delay_max: Duration,
    /// The pause before the first attempt to re-open a failed writer; doubled for each further attempt.
    pub reopen_backoff_min: Duration,
    /// The longest pause between two attempts to re-open a failed writer.
    pub reopen_backoff_max: Duration,
    /// How long a close waits for appends in flight.
    pub close_timeout: Duration,
    /// How many idempotency keys are remembered for the PChannel; older ones are forgotten.
    pub dedup_keys_max: usize,
    /// How long an idempotency key is remembered, measured in ticks.
    pub dedup_age_max: Duration,
}

impl Default for WalConfig {
    fn default() -> WalConfig {
        WalConfig {
            proof: OwnershipProof::Lock,
            message_bytes_max: 8 << 20,
            batch_bytes_max: 8 << 20,
            queue_requests_max: 4096,
            in_flight_bytes_max: 64 << 20,
            buffer: BufferBudget::default(),
            buffer_age_max: Duration::from_secs(30),
            segment_rows_max: 1 << 20,
            segment_bytes_max: 120 << 20,
            segment_age_max: Duration::from_secs(86_400),
            segment_idle: Duration::from_secs(600),
            idle_bytes_min: 16 << 20,
            growing_bytes_max: 1 << 30,
            txn_keepalive_default: Duration::from_secs(10),
            txn_keepalive_max: Duration::from_secs(600),
            space_reserve_bytes: 64 << 20,
            time_tick_delay_max: Duration::from_millis(200),
            reopen_backoff_min: Duration::from_millis(20),
            reopen_backoff_max: Duration::from_secs(1),
            close_timeout: Duration::from_secs(3),
            dedup_keys_max: 4096,
            dedup_age_max: Duration::from_secs(600),
        }
    }
}
