//! The objects of a store: names, and the few calls that it needs of the object storage.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cinclus_env::DynClock;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::format::{self, Body, FORMAT, Unreadable};
use crate::error::OpenError;

const COMMITS: &str = "commits";
const SNAPSHOTS: &str = "snapshots";
const EPOCHS: &str = "epochs";

/// How often a call is tried before its error counts.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// The objects under one prefix.
#[derive(Clone)]
pub(super) struct Objects {
    pub(super) store: Arc<dyn ObjectStore>,
    prefix: Path,
    clock: DynClock,
}

/// What became of an object that was to be new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Created {
    /// It is there, made by this call or by one before it whose answer was lost.
    Ours,
    /// Another one has the name.
    Other(Bytes),
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: Path, clock: DynClock) -> Objects {
        Objects { store, prefix, clock }
    }

    pub(super) fn commit(&self, number: u64) -> Path {
        self.named(COMMITS, &format!("{number:020}"))
    }

    pub(super) fn snapshot(&self, number: u64) -> Path {
        self.named(SNAPSHOTS, &format!("{number:020}"))
    }

    pub(super) fn epoch(&self, epoch: u64) -> Path {
        self.named(EPOCHS, &format!("{epoch:020}"))
    }

    pub(super) fn folder(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(super) fn named(&self, folder: &str, name: &str) -> Path {
        self.prefix.clone().join(folder).join(name)
    }

    /// Creates an object, and finds out whether it is there if the answer is lost.
    ///
    /// # Errors
    /// If the storage stays away; then it may be there, or come to be.
    pub(super) async fn create(&self, path: &Path, object: &Bytes) -> Result<Created, Error> {
        let mut last = None;
        for attempt in 0..TRIES {
            self.pause(attempt).await;
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match self.store.put_opts(path, object.clone().into(), options).await {
                Ok(_) => return Ok(Created::Ours),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    match self.get_once(path).await {
                        Ok(found) if found == *object => return Ok(Created::Ours),
                        Ok(found) => return Ok(Created::Other(found)),
                        Err(error) => last = Some(error),
                    }
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(Error::NotImplemented { operation: "create".into(), implementer: "none".into() }))
    }

    /// An object; `None` if there is none of this name.
    pub(super) async fn get(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        let read = || async {
            match self.get_once(path).await {
                Ok(object) => Ok(Some(object)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.insist(|| read().boxed()).await
    }

    async fn get_once(&self, path: &Path) -> Result<Bytes, Error> {
        self.store.get(path).await?.bytes().await
    }

    /// The commit objects with numbers above `after`, ascending.
    pub(super) async fn commits_after(&self, after: u64) -> Result<Vec<u64>, Error> {
        let offset = self.commit(after);
        let folder = self.prefix.clone().join(COMMITS);
        self.numbers(|| self.store.list_with_offset(Some(&folder), &offset).try_collect().boxed()).await
    }

    /// The numbers of all snapshots, ascending.
    pub(super) async fn snapshots(&self) -> Result<Vec<u64>, Error> {
        self.all(SNAPSHOTS).await
    }

    /// All epochs that were taken, ascending.
    pub(super) async fn epochs(&self) -> Result<Vec<u64>, Error> {
        self.all(EPOCHS).await
    }

    /// The numbers of all commit objects, ascending.
    pub(super) async fn commits(&self) -> Result<Vec<u64>, Error> {
        self.all(COMMITS).await
    }

    async fn all(&self, folder: &str) -> Result<Vec<u64>, Error> {
        let folder = self.prefix.clone().join(folder);
        self.numbers(|| self.store.list(Some(&folder)).try_collect().boxed()).await
    }

    async fn numbers<'a>(
        &'a self,
        list: impl Fn() -> BoxFuture<'a, Result<Vec<ObjectMeta>, Error>> + Send,
    ) -> Result<Vec<u64>, Error> {
        let found = self.insist(list).await?;
        let number = |meta: ObjectMeta| meta.location.filename()?.parse().ok();
        let mut numbers: Vec<u64> = found.into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes objects that are no longer needed; what is left is tried again with the next ones.
    pub(super) async fn remove(&self, paths: Vec<Path>) {
        let mut removed = self.store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(outcome) = removed.next().await {
            match outcome {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => tracing::warn!(%error, "an old metadata object could not be removed"),
            }
        }
    }

    async fn insist<'a, T>(
        &'a self,
        call: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            match call().await {
                Err(_) if attempt + 1 < TRIES => attempt += 1,
                outcome => return outcome,
            }
            self.pause(attempt).await;
        }
    }

    /// Before attempt number `attempt`, from 0: each pause is four times the one before.
    async fn pause(&self, attempt: u32) {
        if let Some(before) = attempt.checked_sub(1) {
            self.clock.sleep(PAUSE * 4_u32.pow(before)).await;
        }
    }
}

/// What an object holds, with an error that names it.
pub(super) fn decode(path: &Path, object: &Bytes) -> Result<(u64, Body), OpenError> {
    let file = PathBuf::from(path.as_ref());
    format::decode(object).map_err(|unreadable| match unreadable {
        Unreadable::Newer(found) => {
            OpenError::NewerFormat { file, found: u64::from(found), known: u64::from(FORMAT) }
        }
        Unreadable::Damaged(reason) => OpenError::Corrupt { file, reason: reason.to_owned() },
    })
}

/// An error of the storage while a store is opened.
pub(super) fn failed(path: &Path) -> impl Fn(Error) -> OpenError + '_ {
    |error| OpenError::Io { file: PathBuf::from(path.as_ref()), reason: error.to_string() }
}
