//! The redb file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cinclus_env::DiskError;
use cinclus_env::disk::{DiskLock, OpenMode};
use parking_lot::{RwLock, RwLockReadGuard};
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableError,
};

use super::backend::{Blocking, DiskBackend};
use super::format::{self, ENTRIES, FORMAT, HEAD, HEAD_FORMAT, HEAD_REVISION, LEASED};
use super::overlay::Overlay;
use crate::entry::{Entry, Revision};
use crate::error::{MetaError, OpenError};
use crate::plan::State;

/// So much at once is read and written when the file is written again.
const PIECE_BYTES: usize = 64 << 10;

/// The open file. After an error of a write it is opened again; while that fails it can be read, or, after a
/// failed sync, not even that.
pub(super) struct MetaFile {
    /// Read-locked by each reader for one read and by the writer for one commit, none of which waits for
    /// anything but the disk. Write-locked to open the file again. Declared before the lock: it closes first.
    database: RwLock<Option<Database>>,
    blocking: Blocking,
    path: PathBuf,
    cache_bytes_max: usize,
    sync_failed: Arc<AtomicBool>,
    _lock: DiskLock,
}

impl MetaFile {
    /// Opens or makes the file in `directory`, which must exist.
    pub(super) fn open(
        blocking: Blocking,
        directory: &Path,
        cache_bytes_max: usize,
    ) -> Result<MetaFile, OpenError> {
        let path = directory.join(format::FILE_NAME);
        let lock = directory.join(format::LOCK_NAME);
        let lock = blocking.on(blocking.disk.lock(&lock)).map_err(|error| not_taken(&path, error))?;
        let file = MetaFile {
            database: RwLock::new(None),
            blocking,
            path,
            cache_bytes_max,
            sync_failed: Arc::default(),
            _lock: lock,
        };
        let fresh = file.remove_fresh()?;
        let there = file.blocking.on(file.blocking.disk.exists(&file.path));
        if !there.map_err(|error| file.failed(&error))? {
            // A crash while redb lays out a file would leave one that is none: it is made aside.
            let new = file.open_at(&fresh)?;
            file.put_in_place(new, &fresh)?;
        } else {
            // A crash may have come before the name was durable; and the process of before may have ended
            // after a failed sync, of which nothing tells.
            let durable = file.sync_names().and_then(|()| file.write_again());
            durable.map_err(|error| file.failed(&error))?;
        }
        let database = file.open_at(&file.path)?;
        *file.database.write() = Some(database);
        Ok(file)
    }

    fn open_at(&self, path: &Path) -> Result<Database, OpenError> {
        let backend = DiskBackend::open(&self.blocking, path, &self.sync_failed);
        let backend = backend.map_err(|error| self.failed(&error))?;
        open(path, backend, self.cache_bytes_max)
    }

    /// Gives a complete file its name, durably.
    fn put_in_place(&self, new: Database, fresh: &Path) -> Result<(), OpenError> {
        new.close().map_err(|error| self.failed(&error))?;
        let renamed = self.blocking.on(self.blocking.disk.rename(fresh, &self.path));
        renamed.and_then(|()| self.sync_names()).map_err(|error| self.failed(&error))
    }

    /// Removes what was left of a file that was not made to its end.
    fn remove_fresh(&self) -> Result<PathBuf, OpenError> {
        let fresh = self.path.with_extension(format::FRESH_EXTENSION);
        match self.blocking.on(self.blocking.disk.remove_file(&fresh)) {
            Ok(()) | Err(DiskError::NotFound { .. }) => Ok(fresh),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Closes the file. The lock is kept until the last user is gone.
    pub(super) fn close(&self) {
        let closed = self.database.write().take().map(Database::close);
        if let Some(Err(error)) = closed {
            // The next opening repairs the file.
            tracing::warn!(%error, file = %self.path.display(), "the metadata file was not closed cleanly");
        }
    }

    fn sync_names(&self) -> Result<(), DiskError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        self.blocking.on(self.blocking.disk.sync_dir(directory))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> OpenError {
        OpenError::Io { file: self.path.clone(), reason: error.to_string() }
    }

    /// The database, for the writer.
    pub(super) fn database(&self) -> Result<DatabaseGuard<'_>, MetaError> {
        RwLockReadGuard::try_map(self.database.read(), Option::as_ref)
            .map_err(|_| MetaError::Unavailable(format!("{} was closed after an error", self.path.display())))
    }

    /// Whether the file is closed: for good, or because it could not be opened again after an error.
    pub(super) fn is_closed(&self) -> bool {
        self.database.read().is_none()
    }

    /// Closes the file and opens it as it is on disk: redb goes on with nothing else after an error. If that
    /// fails, it is open for reading where that is possible.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        let mut database = self.database.write();
        *database = None;
        let believed = match self.sync_failed.load(Ordering::SeqCst) {
            true => self.write_again().map_err(|error| self.failed(&error)),
            false => Ok(()),
        };
        match believed.and_then(|()| self.open_at(&self.path)) {
            Ok(opened) => *database = Some(opened),
            Err(error) => {
                *database = self.open_for_reading();
                return Err(error);
            }
        }
        Ok(())
    }

    /// The file as it is, without writing to it. Only if all that it shows is durable.
    fn open_for_reading(&self) -> Option<Database> {
        let under = DiskBackend::open(&self.blocking, &self.path, &self.sync_failed).ok()?;
        under.sync_data().ok()?;
        if self.sync_failed.load(Ordering::SeqCst) {
            return None;
        }
        open(&self.path, Overlay::new(under).ok()?, self.cache_bytes_max).ok()
    }

    /// Writes the whole file again as it is seen, and syncs it.
    ///
    /// After a failed sync the kernel shows pages that are on no disk and takes them for clean. Nothing may be
    /// built on them: redb writes only what it changes. Here they become what any unfinished commit of redb
    /// is, of which a crash may leave every part.
    fn write_again(&self) -> Result<(), DiskError> {
        let disk = &self.blocking.disk;
        self.blocking.on(async {
            let file = disk.open(&self.path, OpenMode::ReadWrite).await?;
            let len = file.length().await?;
            file.set_len(len).await?;
            let mut offset = 0;
            while offset < len {
                let piece = file.read_at(offset, PIECE_BYTES.min((len - offset) as usize)).await?;
                let read = piece.len() as u64;
                // A hole stays one: it takes no room on a full disk. No page of redb is all zeros.
                if piece.iter().any(|byte| *byte != 0) {
                    file.write_at(offset, vec![piece]).await?;
                }
                offset += read;
            }
            file.sync_data().await
        })?;
        self.sync_failed.store(false, Ordering::SeqCst);
        Ok(())
    }

    pub(super) fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        let database = self.database()?;
        let read = database.begin_read().map_err(refused)?;
        entry(&read.open_table(ENTRIES).map_err(refused)?, key)
    }

    pub(super) fn scan(&self, prefix: &str) -> Result<(Revision, Vec<Entry>), MetaError> {
        let database = self.database()?;
        // Invariant M4: the entries and the revision come from one read transaction.
        let read = database.begin_read().map_err(refused)?;
        let mut entries = Vec::new();
        each(&read.open_table(ENTRIES).map_err(refused)?, prefix, |key, record| {
            entries.push(decode(key, record)?);
            Ok(())
        })?;
        let head = read.open_table(HEAD).map_err(refused)?;
        Ok((revision(&head)?, entries))
    }

    pub(super) fn revision(&self) -> Result<Revision, MetaError> {
        let database = self.database()?;
        let read = database.begin_read().map_err(refused)?;
        revision(&read.open_table(HEAD).map_err(refused)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An error of the first reads.
    pub(super) fn unreadable(&self, error: &MetaError) -> OpenError {
        OpenError::Corrupt { file: self.path.clone(), reason: error.to_string() }
    }

    /// Deletes the keys that hang on leases of a process that is gone, as one commit.
    pub(super) fn drop_leased(&self) -> Result<(), OpenError> {
        let leased = self.leased().map_err(|error| self.unreadable(&error))?;
        if leased.is_empty() {
            return Ok(());
        }
        let dropped = (|| {
            let write = self.database()?.begin_write().map_err(refused)?;
            {
                let mut head = write.open_table(HEAD).map_err(refused)?;
                let mut entries = write.open_table(ENTRIES).map_err(refused)?;
                let next = revision(&head)?.next();
                head.insert(HEAD_REVISION, next.0).map_err(refused)?;
                for (key, _) in &leased {
                    entries.remove(key.as_str()).map_err(refused)?;
                }
            }
            write.delete_table(LEASED).map_err(refused)?;
            write.open_table(LEASED).map_err(refused)?;
            write.commit().map_err(refused)
        })();
        dropped.map_err(|error: MetaError| self.failed(&error))
    }

    /// The keys that hang on leases.
    pub(super) fn leased(&self) -> Result<Vec<(String, u64)>, MetaError> {
        let database = self.database()?;
        let read = database.begin_read().map_err(refused)?;
        let leased = read.open_table(LEASED).map_err(refused)?;
        let all = leased.iter().map_err(refused)?;
        all.map(|row| row.map(|(key, lease)| (key.value().to_owned(), lease.value())).map_err(refused))
            .collect()
    }
}

/// The database as long as nobody closes it.
pub(super) type DatabaseGuard<'a> = parking_lot::MappedRwLockReadGuard<'a, Database>;

/// The state that transactions are judged against: the table of a running redb transaction.
pub(super) struct Judged<'a, T>(pub(super) &'a T);

impl<T: ReadableTable<&'static str, &'static [u8]>> State for Judged<'_, T> {
    fn entry(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        entry(self.0, key)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>, MetaError> {
        let mut keys = Vec::new();
        each(self.0, prefix, |key, _| {
            keys.push(key.to_owned());
            Ok(())
        })?;
        Ok(keys)
    }
}

fn entry(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Entry>, MetaError> {
    table.get(key).map_err(refused)?.map(|record| decode(key, record.value())).transpose()
}

fn each(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    prefix: &str,
    mut visit: impl FnMut(&str, &[u8]) -> Result<(), MetaError>,
) -> Result<(), MetaError> {
    for row in table.range(prefix..).map_err(refused)? {
        let (key, record) = row.map_err(refused)?;
        if !key.value().starts_with(prefix) {
            break;
        }
        visit(key.value(), record.value())?;
    }
    Ok(())
}

pub(super) fn revision(head: &impl ReadableTable<&'static str, u64>) -> Result<Revision, MetaError> {
    match head.get(HEAD_REVISION).map_err(refused)? {
        Some(revision) => Ok(Revision(revision.value())),
        None => Err(MetaError::Corrupt("the revision is missing".into())),
    }
}

fn decode(key: &str, record: &[u8]) -> Result<Entry, MetaError> {
    format::decode(key, record)
        .ok_or_else(|| MetaError::Corrupt(format!("the record of {key:?} has only {} bytes", record.len())))
}

/// What an error of redb means when nothing was committed.
pub(super) fn refused(error: impl Into<redb::Error>) -> MetaError {
    let error = error.into();
    if let redb::Error::Corrupted(reason) = error {
        MetaError::Corrupt(reason)
    } else {
        MetaError::Unavailable(error.to_string())
    }
}

fn not_taken(path: &Path, error: DiskError) -> OpenError {
    let file = path.to_owned();
    match error {
        DiskError::Locked { holder, .. } => OpenError::InUse { file, holder },
        DiskError::NotFound { .. }
        | DiskError::AlreadyExists { .. }
        | DiskError::OutOfSpace { .. }
        | DiskError::Failed { .. } => OpenError::Io { file, reason: error.to_string() },
    }
}

fn open(path: &Path, backend: impl StorageBackend, cache_bytes_max: usize) -> Result<Database, OpenError> {
    let opened = Builder::new().set_cache_size(cache_bytes_max).create_with_backend(backend);
    let database = opened.map_err(|error| not_opened(path, error))?;
    let format = head(&database)
        .map_err(|error| OpenError::Corrupt { file: path.to_owned(), reason: error.to_string() })?;
    match format {
        Some(FORMAT) => {}
        Some(found) => return Err(OpenError::NewerFormat { file: path.to_owned(), found, known: FORMAT }),
        None => initialize(&database)
            .map_err(|error| OpenError::Io { file: path.to_owned(), reason: error.to_string() })?,
    }
    Ok(database)
}

fn not_opened(path: &Path, error: DatabaseError) -> OpenError {
    let (file, reason) = (path.to_owned(), error.to_string());
    if let DatabaseError::Storage(StorageError::Io(error)) = error
        && error.kind() != std::io::ErrorKind::InvalidData
    {
        return OpenError::Io { file, reason };
    }
    OpenError::Corrupt { file, reason }
}

/// The format that the file names, or `None` for a file without any table: one that was just made.
fn head(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(HEAD) {
        Ok(head) => match head.get(HEAD_FORMAT)? {
            Some(format) => Ok(Some(format.value())),
            None => Err(redb::Error::Corrupted("the format is missing".into())),
        },
        Err(TableError::TableDoesNotExist(_)) => match read.list_tables()?.next() {
            None => Ok(None),
            Some(_) => Err(redb::Error::Corrupted("it is a database of another program".into())),
        },
        Err(other) => Err(other.into()),
    }
}

fn initialize(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut head = write.open_table(HEAD)?;
        head.insert(HEAD_FORMAT, FORMAT)?;
        head.insert(HEAD_REVISION, 0)?;
        write.open_table(ENTRIES)?;
        write.open_table(LEASED)?;
    }
    write.commit()?;
    Ok(())
}
