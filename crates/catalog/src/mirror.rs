//! A copy of one prefix of the metadata store in memory, kept fresh by a watch.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::{DynClock, Env};
use cinclus_meta::{Change, ChangeKind, DynMetaStore, Entry, Revision, WatchError};
use tokio::sync::watch;

use crate::CatalogError;

const RETRY: Duration = Duration::from_millis(100);

/// What is kept in memory of a prefix.
pub(crate) trait Image: Send + Sync + 'static {
    /// Takes in changes of one revision.
    fn change(&self, changes: &[Change]) -> Result<(), CatalogError>;
    /// Is as if nothing but these entries had ever been.
    fn replace(&self, entries: &[Entry]) -> Result<(), CatalogError>;
}

/// An image and how fresh it is.
pub(crate) struct Mirror<I> {
    pub(crate) image: Arc<I>,
    revision: watch::Sender<Revision>,
    /// One replacement or change at a time, and never an older one after a newer.
    turn: tokio::sync::Mutex<()>,
    meta: DynMetaStore,
    prefix: &'static str,
}

impl<I: Image> Mirror<I> {
    /// Reads the prefix and begins to follow it.
    pub(crate) async fn open(
        meta: DynMetaStore,
        prefix: &'static str,
        image: I,
        env: &Env,
    ) -> Result<Arc<Mirror<I>>, CatalogError> {
        let mirror = Arc::new(Mirror {
            image: Arc::new(image),
            revision: watch::Sender::new(Revision::default()),
            turn: tokio::sync::Mutex::default(),
            meta,
            prefix,
        });
        mirror.refresh().await?;
        let (follower, clock) = (mirror.clone(), env.clock.clone());
        env.tasks.spawn_until_cancelled("catalog-watch", async move { follower.follow(clock).await });
        Ok(mirror)
    }

    /// Told of each revision that the image holds.
    pub(crate) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Reads everything again.
    pub(crate) async fn refresh(&self) -> Result<(), CatalogError> {
        let _turn = self.turn.lock().await;
        let (revision, entries) = self.meta.scan(self.prefix).await?;
        if revision >= *self.revision.borrow() {
            self.image.replace(&entries)?;
            self.revision.send_replace(revision);
        }
        Ok(())
    }

    /// Waits until the image holds a revision.
    pub(crate) async fn wait_for(&self, revision: Revision) {
        let mut revisions = self.revision.subscribe();
        // The sender lives as long as the mirror.
        let _ = revisions.wait_for(|held| *held >= revision).await;
    }

    async fn follow(&self, clock: DynClock) {
        loop {
            let error = self.follow_until_error().await;
            if error == CatalogError::Watch(WatchError::Closed) {
                return;
            }
            tracing::warn!(prefix = self.prefix, %error, "the catalog is read again");
            while let Err(error) = self.refresh().await {
                tracing::warn!(prefix = self.prefix, %error, "the catalog could not be read");
                clock.sleep(RETRY).await;
            }
        }
    }

    async fn follow_until_error(&self) -> CatalogError {
        let from = *self.revision.borrow();
        let mut watch = match self.meta.watch(self.prefix, from).await {
            Ok(watch) => watch,
            Err(error) => return error.into(),
        };
        loop {
            let changes = match watch.next().await {
                Ok(changes) => changes,
                Err(error) => return error.into(),
            };
            let Some(revision) = changes.first().map(|change| change.revision) else { continue };
            let _turn = self.turn.lock().await;
            if revision <= *self.revision.borrow() {
                continue;
            }
            if let Err(error) = self.image.change(&changes) {
                return error;
            }
            self.revision.send_replace(revision);
        }
    }
}

/// The key of a change and its entry, if it was put.
pub(crate) fn parts(change: &Change) -> (&str, Option<&Entry>) {
    match &change.kind {
        ChangeKind::Put(entry) => (&entry.key, Some(entry)),
        ChangeKind::Delete { key } => (key, None),
    }
}
