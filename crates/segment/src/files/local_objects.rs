//! Objects as files of a folder.
//!
//! An object is written into the folder `.new` first, synced, renamed to its place, and then the
//! directory is synced. So whoever finds an object finds all of it, and when a put has returned a crash does
//! not take the object away. What a crash leaves in the staging folder is removed when the folder is opened;
//! one process at a time may have it open.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use cinclus_env::disk::{DiskMetadata, OpenMode, create_dir_synced};
use cinclus_env::{DiskError, DynDisk};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

/// Where objects are while they are written.
const STAGING: &str = ".new";

/// An object store in a folder of a disk: puts, reads, lists and deletes; no copies, no multipart uploads.
#[derive(Clone)]
pub struct LocalObjects {
    inner: Arc<Inner>,
}

struct Inner {
    disk: DynDisk,
    root: PathBuf,
    /// Directories whose names this process made durable, or saw durable.
    durable: Mutex<FxHashSet<PathBuf>>,
    /// Objects that are being put: two of one name do not both come through.
    putting: Mutex<FxHashSet<PathBuf>>,
    next: AtomicU64,
}

/// A name that nobody else puts as long as this lives.
struct Claim<'a> {
    inner: &'a Inner,
    file: PathBuf,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.inner.putting.lock().remove(&self.file);
    }
}

impl LocalObjects {
    /// Opens a folder, or makes it, and removes what was never put to its end.
    ///
    /// # Errors
    /// Of the disk.
    pub async fn open(
        disk: DynDisk,
        root: impl Into<PathBuf>,
    ) -> std::result::Result<LocalObjects, DiskError> {
        let root = root.into();
        let staging = root.join(STAGING);
        create_dir_synced(&*disk, &staging).await?;
        for left in disk.list(&staging).await? {
            disk.remove_file(&staging.join(left.name)).await?;
        }
        let inner = Inner {
            disk,
            root,
            durable: Mutex::default(),
            putting: Mutex::default(),
            next: AtomicU64::new(0),
        };
        Ok(LocalObjects { inner: Arc::new(inner) })
    }
}

impl Inner {
    /// The file of an object.
    fn file(&self, location: &Path) -> Result<PathBuf> {
        let mut file = self.root.clone();
        file.extend(location.parts().map(|part| part.as_ref().to_owned()));
        if location.is_root() || file.starts_with(self.root.join(STAGING)) {
            let source = "no object can have this name".into();
            return Err(Error::NotSupported { source });
        }
        Ok(file)
    }

    fn claim(&self, file: PathBuf) -> std::result::Result<Claim<'_>, DiskError> {
        if self.putting.lock().insert(file.clone()) {
            return Ok(Claim { inner: self, file });
        }
        Err(DiskError::AlreadyExists { path: file })
    }

    async fn put(
        &self,
        file: PathBuf,
        payload: PutPayload,
        replace: bool,
    ) -> std::result::Result<(), DiskError> {
        let claim = self.claim(file)?;
        if !replace && self.disk.exists(&claim.file).await? {
            return Err(DiskError::AlreadyExists { path: claim.file.clone() });
        }
        let staged = self.root.join(STAGING).join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let put = self.put_through(&claim.file, &staged, payload).await;
        if put.is_err() {
            // If this fails too, the next opening does it.
            let _ = self.disk.remove_file(&staged).await;
        }
        put
    }

    async fn put_through(
        &self,
        file: &std::path::Path,
        staged: &std::path::Path,
        payload: PutPayload,
    ) -> std::result::Result<(), DiskError> {
        let dir = file.parent().unwrap_or(&self.root);
        self.make_dir(dir).await?;
        let opened = self.disk.open(staged, OpenMode::CreateNew).await?;
        opened.write_at(0, payload.into_iter().collect()).await?;
        // Nobody finds the object before all of it is durable.
        opened.sync_data().await?;
        self.disk.rename(staged, file).await?;
        // Nobody is told of it before its name is.
        self.disk.sync_dir(dir).await
    }

    /// Makes a directory whose name a crash does not take away.
    async fn make_dir(&self, dir: &std::path::Path) -> std::result::Result<(), DiskError> {
        if self.durable.lock().contains(dir) {
            return Ok(());
        }
        create_dir_synced(&*self.disk, dir).await?;
        self.durable.lock().insert(dir.to_owned());
        Ok(())
    }

    async fn meta(&self, location: &Path) -> Result<(PathBuf, ObjectMeta)> {
        let file = self.file(location)?;
        let failed = |error| store_error(location, error);
        let known = self.disk.metadata(&file).await.map_err(failed)?;
        if known.is_dir {
            return Err(failed(DiskError::NotFound { path: file }));
        }
        Ok((file, meta(location.clone(), known)))
    }

    /// The objects and the directories right below a prefix.
    async fn entries(&self, prefix: &Path) -> Result<(Vec<ObjectMeta>, Vec<Path>)> {
        let mut dir = self.root.clone();
        dir.extend(prefix.parts().map(|part| part.as_ref().to_owned()));
        let entries = match self.disk.list(&dir).await {
            Ok(entries) => entries,
            Err(DiskError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(store_error(prefix, error)),
        };
        let (mut objects, mut dirs) = (Vec::new(), Vec::new());
        for entry in entries {
            // What no object can be called was not put here.
            let Ok(name) = Path::parse(&entry.name) else { continue };
            let location = prefix.clone().join(name.as_ref());
            if entry.is_dir && (location.as_ref() != STAGING) {
                dirs.push(location);
            } else if !entry.is_dir {
                match self.meta(&location).await {
                    Ok((_, meta)) => objects.push(meta),
                    // It was deleted meanwhile.
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok((objects, dirs))
    }
}

fn meta(location: Path, known: DiskMetadata) -> ObjectMeta {
    let modified = UNIX_EPOCH + Duration::from_millis(known.modified_unix_ms);
    ObjectMeta { location, last_modified: modified.into(), size: known.len, e_tag: None, version: None }
}

fn store_error(location: &Path, error: DiskError) -> Error {
    let path = location.to_string();
    match error {
        DiskError::NotFound { .. } => Error::NotFound { path, source: error.into() },
        DiskError::AlreadyExists { .. } => Error::AlreadyExists { path, source: error.into() },
        DiskError::OutOfSpace { .. } | DiskError::Locked { .. } | DiskError::Failed { .. } => {
            Error::Generic { store: "local folder", source: error.into() }
        }
    }
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "local folder", source: source.into() }
}

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects in {}", self.inner.root.display())
    }
}

impl fmt::Debug for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl LocalObjects {
    fn not_done(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_owned(), implementer: self.to_string() }
    }
}

#[async_trait]
impl ObjectStore for LocalObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return Err(self.not_done("a put on condition")),
        };
        if !options.attributes.is_empty() {
            return Err(self.not_done("attributes of objects"));
        }
        let file = self.inner.file(location)?;
        let put = self.inner.put(file, payload, replace).await;
        put.map_err(|error| store_error(location, error))?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(self.not_done("a multipart upload"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (file, meta) = self.inner.meta(location).await?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range.as_range(meta.size).map_err(generic)?,
        };
        let payload =
            if options.head { stream::empty().boxed() } else { self.read(location, file, range.clone()) };
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = self.inner.clone();
        let delete = move |location: Path| {
            let inner = inner.clone();
            async move {
                let file = inner.file(&location)?;
                // Not synced: an object that comes back after a crash is one that nothing refers to.
                let removed = inner.disk.remove_file(&file).await;
                removed.map(|()| location.clone()).map_err(|error| store_error(&location, error))
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let inner = self.inner.clone();
        let next_dir = move |mut dirs: Vec<Path>| {
            let inner = inner.clone();
            async move {
                let Some(dir) = dirs.pop() else { return Ok(None) };
                let (objects, below) = inner.entries(&dir).await?;
                dirs.extend(below);
                Ok::<_, Error>(Some((stream::iter(objects.into_iter().map(Ok)), dirs)))
            }
        };
        stream::try_unfold(vec![prefix.cloned().unwrap_or_default()], next_dir).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (objects, common_prefixes) = self.inner.entries(&prefix.cloned().unwrap_or_default()).await?;
        Ok(ListResult { common_prefixes, objects, extensions: Default::default() })
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(self.not_done("a copy"))
    }
}

impl LocalObjects {
    /// Some bytes of an object, in one piece.
    fn read(
        &self,
        location: &Path,
        file: PathBuf,
        range: Range<u64>,
    ) -> BoxStream<'static, Result<bytes::Bytes>> {
        let (disk, location) = (self.inner.disk.clone(), location.clone());
        let read = async move {
            let failed = |error| store_error(&location, error);
            let opened = disk.open(&file, OpenMode::Read).await.map_err(failed)?;
            let len = usize::try_from(range.end - range.start).map_err(generic)?;
            let bytes = opened.read_at(range.start, len).await.map_err(failed)?;
            if bytes.len() < len {
                return Err(generic(format!("{location} became shorter while it was read")));
            }
            Ok(bytes)
        };
        stream::once(read).boxed()
    }
}
