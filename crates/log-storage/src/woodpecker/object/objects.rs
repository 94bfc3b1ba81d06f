//! The names of the objects, and the few calls that the storage needs of an object store.
//!
//! | object, under `<root>/<log>/<segment>/` | content | put |
//! | --- | --- | --- |
//! | `<n>.blk`, n from 0 | `BlockHeader, Data…`; the first one begins with a `Header` | only if it is new |
//! | `<n>.blk` as a fence | the byte `F`, and user metadata `Fenced: true` | only if it is new |
//! | `footer.blk` | `Index…, Footer` | only if it is new; a compaction overwrites it |
//! | `m_<n>.blk` | the merged blocks of a compaction | over what an earlier try left |
//! | `write.lock` | Woodpecker's alone; removed with its segment | |

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::DynClock;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, PutMode,
    PutOptions, PutPayload,
};

use super::config::ObjectsConfig;
use crate::error::LogError;

/// What a fence object holds.
pub(super) const FENCE: &[u8] = b"F";
const FENCE_NAME: &str = "Fenced";
const FENCE_VALUE: &str = "true";

/// The objects under one root.
#[derive(Clone)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    root: Path,
    clock: DynClock,
    config: Arc<ObjectsConfig>,
}

/// Where the objects of one segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: i64,
    pub(super) segment: u64,
}

/// An object, or its beginning.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bytes: Bytes,
    /// Bytes of the whole object.
    pub(super) size: u64,
    /// It is a fence.
    pub(super) fence: bool,
}

/// What became of an object that was to be new.
#[derive(Debug)]
pub(super) enum Created {
    /// It is there: made by this call, or with the same bytes by one before it whose answer was lost.
    Ours,
    /// Another one has the name.
    Other(Found),
}

impl Objects {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        clock: DynClock,
        config: Arc<ObjectsConfig>,
    ) -> Result<Objects, LogError> {
        let root = Path::parse(&config.root).map_err(|error| LogError::Invalid(error.to_string()))?;
        if root.as_ref().is_empty() {
            return Err(LogError::Invalid("objects of logs need a root that is not empty".to_owned()));
        }
        Ok(Objects { store, root, clock, config })
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// A folder of our own, which Woodpecker does not look at.
    pub(super) fn own(&self, folder: &str) -> Path {
        self.root.clone().join("cinclus").join(folder)
    }

    pub(super) fn segment(&self, place: Place) -> Path {
        self.root.clone().join(place.log.to_string()).join(place.segment.to_string())
    }

    pub(super) fn block(&self, place: Place, number: u64) -> Path {
        self.segment(place).join(format!("{number}.blk"))
    }

    pub(super) fn merged(&self, place: Place, number: u64) -> Path {
        self.segment(place).join(format!("m_{number}.blk"))
    }

    pub(super) fn footer(&self, place: Place) -> Path {
        self.segment(place).join("footer.blk")
    }

    /// Creates an object, and finds out whose it is if one is there.
    pub(super) async fn create(&self, path: &Path, parts: &[Bytes]) -> Result<Created, LogError> {
        self.create_while(path, parts, &|| true).await
    }

    /// As [`Objects::create`]; not tried again once `wanted` says no.
    pub(super) async fn create_while(
        &self,
        path: &Path,
        parts: &[Bytes],
        wanted: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Created, LogError> {
        let call = || self.create_once(path, parts, Attributes::default()).boxed();
        self.insist(path, wanted, call).await
    }

    /// Puts a fence there if nothing is.
    pub(super) async fn create_fence(&self, path: &Path) -> Result<Created, LogError> {
        let parts = [Bytes::from_static(FENCE)];
        let mark = (Attribute::Metadata(FENCE_NAME.into()), AttributeValue::from(FENCE_VALUE));
        let mark = Attributes::from_iter([mark]);
        self.insist(path, &|| true, || self.create_once(path, &parts, mark.clone()).boxed()).await
    }

    async fn create_once(
        &self,
        path: &Path,
        parts: &[Bytes],
        attributes: Attributes,
    ) -> Result<Created, Error> {
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let payload = PutPayload::from_iter(parts.iter().cloned());
        match self.store.put_opts(path, payload, options).await {
            Ok(_) => Ok(Created::Ours),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                let found = self.get_once(path, GetOptions::default()).await?;
                Ok(if same(parts, &found.bytes) { Created::Ours } else { Created::Other(found) })
            }
            Err(error) => Err(error),
        }
    }

    /// Puts an object over whatever is there.
    pub(super) async fn overwrite(&self, path: &Path, parts: &[Bytes]) -> Result<(), LogError> {
        let put = || async {
            let payload = PutPayload::from_iter(parts.iter().cloned());
            self.store.put_opts(path, payload, PutOptions::default()).await.map(|_| ())
        };
        self.insist(path, &|| true, || put().boxed()).await
    }

    /// An object; `None` if there is none of this name.
    pub(super) async fn get(&self, path: &Path) -> Result<Option<Found>, LogError> {
        self.get_with(path, None).await
    }

    /// The first bytes of an object.
    pub(super) async fn get_head(&self, path: &Path, bytes: u64) -> Result<Option<Found>, LogError> {
        self.get_with(path, Some(GetRange::Bounded(0..bytes))).await
    }

    async fn get_with(&self, path: &Path, range: Option<GetRange>) -> Result<Option<Found>, LogError> {
        let read = || async {
            let options = GetOptions { range: range.clone(), ..GetOptions::default() };
            match self.get_once(path, options).await {
                Ok(found) => Ok(Some(found)),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.insist(path, &|| true, || read().boxed()).await
    }

    async fn get_once(&self, path: &Path, options: GetOptions) -> Result<Found, Error> {
        let answer = self.store.get_opts(path, options).await?;
        let marked = answer.attributes.iter().any(|(name, value)| {
            let Attribute::Metadata(name) = name else { return false };
            name.eq_ignore_ascii_case(FENCE_NAME) && value.as_ref().eq_ignore_ascii_case(FENCE_VALUE)
        });
        let size = answer.meta.size;
        let bytes = answer.bytes().await?;
        // No block is as short as that.
        let fence = marked || (size == FENCE.len() as u64 && bytes == FENCE);
        Ok(Found { bytes, size, fence })
    }

    /// Every object of a segment.
    pub(super) async fn list(&self, place: Place) -> Result<Vec<ObjectMeta>, LogError> {
        let folder = self.segment(place);
        self.insist(&folder, &|| true, || self.store.list(Some(&folder)).try_collect().boxed()).await
    }

    /// Every object of a log, with the number of its segment.
    pub(super) async fn list_log(&self, log: i64) -> Result<Vec<(u64, ObjectMeta)>, LogError> {
        let folder = self.root.clone().join(log.to_string());
        let list = || self.store.list(Some(&folder)).try_collect::<Vec<_>>().boxed();
        let found = self.insist(&folder, &|| true, list).await?;
        let segment = |meta: &ObjectMeta| meta.location.parts().nth_back(1)?.as_ref().parse().ok();
        Ok(found.into_iter().filter_map(|meta| Some((segment(&meta)?, meta))).collect())
    }

    /// Removes objects, fences excepted. One that is not there is no error.
    pub(super) async fn remove_except_fences(&self, found: Vec<ObjectMeta>) -> Result<(), LogError> {
        // Invariant L3: a fence stands for ever. Nothing else is as short.
        let found = found.into_iter().filter(|meta| meta.size != FENCE.len() as u64);
        let paths: Vec<Path> = found.map(|meta| meta.location).collect();
        let remove = || async {
            let mut removed = self.store.delete_stream(stream::iter(paths.clone()).map(Ok).boxed());
            while let Some(outcome) = removed.next().await {
                match outcome {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        self.insist(&self.root, &|| true, || remove().boxed()).await
    }

    async fn insist<'a, T>(
        &'a self,
        path: &Path,
        wanted: &(dyn Fn() -> bool + Send + Sync),
        call: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, LogError> {
        let mut pause = self.config.retry_pause;
        let mut left = self.config.tries.max(1);
        loop {
            left -= 1;
            match call().await {
                Ok(done) => return Ok(done),
                Err(error) if left > 0 && wanted() && may_pass(&error) => {
                    tracing::debug!(object = %path, %error, "a call to the object storage is tried again");
                }
                Err(error) => return Err(LogError::Unavailable(format!("{path}: {error}"))),
            }
            self.clock.sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Whether the same call may succeed later.
fn may_pass(error: &Error) -> bool {
    !matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::UnknownConfigurationKey { .. }
    )
}

fn same(parts: &[Bytes], mut found: &[u8]) -> bool {
    for part in parts {
        match found.strip_prefix(&part[..]) {
            Some(rest) => found = rest,
            None => return false,
        }
    }
    found.is_empty()
}

/// An object that does not hold what it must.
pub(super) fn corrupt(path: &Path, segment: u64, block: u64, reason: impl ToString) -> LogError {
    LogError::Corrupt { file: PathBuf::from(path.as_ref()), segment, block, reason: reason.to_string() }
}
