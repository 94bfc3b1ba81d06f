//! Says in the metadata where a reader is, so that no owner removes the segments that it still reads.

use std::sync::Arc;
use std::time::Duration;

use cinclus_meta::LeaseId;
use tokio::sync::watch;

use super::shared::Shared;
use crate::error::LogError;
use crate::woodpecker::metadata::ReaderTempInfo;

/// How long a registration outlives a process that dies.
const TTL: Duration = Duration::from_secs(60);
/// How often it is kept alive, and the position noted if it has changed.
const PERIOD: Duration = Duration::from_secs(20);

/// A reader of a log that another process may own. Ends when it is dropped.
pub(super) struct Registration {
    at: watch::Sender<(u64, u64)>,
}

impl Registration {
    /// Registers a reader that is at this segment and entry, in the background: a reader that comes too late
    /// is told so, as any other.
    pub(super) fn start(shared: &Arc<Shared>, log: i64, at: (u64, u64)) -> Registration {
        let (send, position) = watch::channel(at);
        let now = shared.env.clock.unix_ms();
        let info = ReaderTempInfo {
            reader_name: format!("cinclus-{:016x}", shared.env.random.u64()),
            open_timestamp: now,
            log_id: log,
            open_segment_id: at.0 as i64,
            open_entry_id: at.1 as i64,
            ..ReaderTempInfo::default()
        };
        shared.env.tasks.spawn("log reader registration", keep(shared.clone(), info, position));
        Registration { at: send }
    }

    /// The reader has come to this segment and entry.
    pub(super) fn set(&self, at: (u64, u64)) {
        self.at.send_if_modified(|known| std::mem::replace(known, at) != at);
    }
}

async fn keep(shared: Arc<Shared>, mut info: ReaderTempInfo, mut at: watch::Receiver<(u64, u64)>) {
    let (mut lease, stop) = (None, shared.env.tasks.clone());
    loop {
        let (segment, entry) = *at.borrow_and_update();
        info.recent_read_timestamp = shared.env.clock.unix_ms();
        (info.recent_read_segment_id, info.recent_read_entry_id) = (segment as i64, entry as i64);
        lease = match renew(&shared, lease, &info).await {
            Ok(lease) => Some(lease),
            Err(error) => {
                tracing::debug!(reader = info.reader_name, %error, "the reader is registered again later");
                None
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            // Only the end of the reader ends this wait.
            _ = at.wait_for(|_| false) => break,
            () = shared.env.clock.sleep(PERIOD) => {}
        }
    }
    if let Some(lease) = lease {
        let _ = shared.metadata.forget_reader(lease).await;
    }
}

async fn renew(shared: &Shared, lease: Option<LeaseId>, info: &ReaderTempInfo) -> Result<LeaseId, LogError> {
    // A hole of Woodpecker: it never does this, and the registration ends under the reader.
    let lease = match lease {
        Some(lease) => shared.metadata.keep_reader(lease).await.map(|()| lease)?,
        None => shared.metadata.grant_reader(TTL).await?,
    };
    shared.metadata.note_reader(lease, info).await?;
    Ok(lease)
}
