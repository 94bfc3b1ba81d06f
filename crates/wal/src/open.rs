//! Opening a PChannel under a term.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use cinclus_catalog::{CatalogError, Claim, Segments};
use cinclus_env::{Env, TickSource};
use cinclus_log_storage::{LogError, LogStorage, OpenOptions};
use cinclus_types::{Checkpoint, PChannel, Term};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::append::space::SpaceGauge;
use crate::append::writer::Writer;
use crate::buffer::WriteAheadBuffer;
use crate::config::WalConfig;
use crate::error::OpenError;
use crate::metrics::WalMetrics;
use crate::recovery::snapshot;
use crate::scan::Feed;
use crate::shard::ShardState;
use crate::shared::{Forgotten, Shared, WriterState};
use crate::wal::Wal;

/// What a Wal works with.
#[derive(Clone)]
pub struct WalParts {
    /// Where records are.
    pub storage: Arc<dyn LogStorage>,
    /// Where checkpoints are.
    pub segments: Segments,
    /// Where ticks come from.
    pub ticks: Arc<dyn TickSource>,
    /// The machine.
    pub env: Env,
}

/// Opens a PChannel: claims the term in the catalog, loads the checkpoint, fences every older owner in
/// the storage and starts the writer. Appends are served once the feed has read to the end of the
/// storage, so the feed has to be read from now on.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(
    parts: WalParts,
    config: WalConfig,
    channel: PChannel,
    term: Term,
) -> Result<(Wal, Feed), OpenError> {
    let WalParts { storage, segments, ticks, env } = parts;
    // The claim comes first: from then on no older owner, and nobody who opened it before under the same term,
    // moves the checkpoint or truncates.
    let catalog = |error: CatalogError| catalog_error(&error, term);
    let claim = segments.claim(&channel, term).await.map_err(catalog)?;
    let saved = segments.checkpoint(&channel).await.map_err(catalog)?;
    let (from, state) = match saved {
        Some(saved) => (saved.checkpoint, snapshot::decode(&saved.state)?),
        None => (Checkpoint::default(), ShardState::default()),
    };
    let opening = Opening { storage, ticks, env, config, channel, claim };
    start(opening, from, state).await
}

/// What a writer and a feed are started with.
struct Opening {
    storage: Arc<dyn LogStorage>,
    ticks: Arc<dyn TickSource>,
    env: Env,
    config: WalConfig,
    channel: PChannel,
    claim: Claim,
}

async fn start(opening: Opening, from: Checkpoint, state: ShardState) -> Result<(Wal, Feed), OpenError> {
    let Opening { storage, ticks, env, config, channel, claim } = opening;
    let term = claim.term();
    let options = OpenOptions { term, acknowledged: from.resume };
    let opened = storage.open_writer(&channel, options).await;
    let writer = opened.map_err(|error| storage_error(&error, term))?;
    let (send, queue) = mpsc::channel(config.queue_requests_max.max(1));
    let shared = Arc::new(Shared {
        metrics: WalMetrics::new(&env, &channel, &config.buffer),
        buffer: WriteAheadBuffer::new(config.buffer.clone(), config.buffer_age_max),
        space: SpaceGauge::new(config.space_reserve_bytes),
        state: watch::Sender::new(WriterState::NotReady("the log is being replayed".to_owned())),
        frontier: watch::Sender::new(from.tick),
        news: watch::Sender::new(0),
        handover: Mutex::new(None),
        closing: CancellationToken::new(),
        acknowledged: Mutex::new(from.resume),
        forgotten: Forgotten::default(),
        waiting_requests: AtomicUsize::new(0),
        channel,
        term,
        claim,
        config,
        env,
        storage,
    });
    let feed = Feed::new(shared.clone(), from, state);
    close_with_the_process(&shared);
    let writer_task = Writer::new(shared.clone(), ticks, queue).serve(writer);
    shared.env.tasks.spawn("wal writer", writer_task);
    Ok((Wal::new(shared, send), feed))
}

/// The end of the process' tasks closes the Wal too.
fn close_with_the_process(shared: &Shared) {
    let (tasks, closing) = (shared.env.tasks.clone(), shared.closing.clone());
    shared.env.tasks.spawn("wal closer", async move {
        tokio::select! {
            biased;
            () = closing.cancelled() => {}
            () = tasks.cancelled() => closing.cancel(),
        }
    });
}

fn catalog_error(error: &CatalogError, term: Term) -> OpenError {
    match error {
        CatalogError::Fenced { .. } => OpenError::Fenced(term),
        CatalogError::Corrupt { .. } => OpenError::Corrupt(error.to_string()),
        CatalogError::Newer { found, known, .. } => {
            OpenError::NewerFormat { found: *found, supported: *known }
        }
        CatalogError::Meta(_) | CatalogError::Watch(_) | CatalogError::Conflict(_) => {
            OpenError::Unavailable(error.to_string())
        }
    }
}

fn storage_error(error: &LogError, term: Term) -> OpenError {
    if matches!(error, LogError::Fenced | LogError::StaleTerm { .. }) {
        OpenError::Fenced(term)
    } else if matches!(error, LogError::Corrupt { .. }) {
        OpenError::Corrupt(error.to_string())
    } else {
        OpenError::Unavailable(error.to_string())
    }
}
