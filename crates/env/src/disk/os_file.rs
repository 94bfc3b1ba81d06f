//! One open file of the operating system.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;

use super::os::blocking;
use super::{DiskError, DiskFile, WriteDone};

/// The kernel takes at most this many pieces in one write (IOV_MAX on Linux).
const PIECES_MAX: usize = 1024;

pub(super) struct OsFile {
    path: PathBuf,
    file: Arc<File>,
    /// The file's own thread: made at the first synced write, ends when the file is dropped.
    syncer: OnceLock<Sender<Synced>>,
}

struct Synced {
    offset: u64,
    parts: Vec<Bytes>,
    done: WriteDone,
}

impl OsFile {
    pub(super) fn new(path: PathBuf, file: File) -> OsFile {
        OsFile { path, file: Arc::new(file), syncer: OnceLock::new() }
    }

    async fn on_file<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&File) -> io::Result<T> + Send + 'static,
    ) -> Result<T, DiskError> {
        let file = self.file.clone();
        blocking(operation, &self.path, move |_| call(&file)).await
    }

    fn start_syncer(&self) -> Sender<Synced> {
        let (send, receive) = channel();
        let (file, path) = (self.file.clone(), self.path.clone());
        std::thread::Builder::new()
            .name("disk-sync".to_owned())
            .spawn(move || sync_loop(&file, &path, &receive))
            .expect("the operating system gives a thread");
        send
    }
}

fn sync_loop(file: &File, path: &Path, requests: &Receiver<Synced>) {
    while let Ok(Synced { offset, parts, done }) = requests.recv() {
        let outcome = write_parts(file, offset, &parts)
            .map_err(|error| DiskError::from_io("write", path, &error))
            .and_then(|()| file.sync_data().map_err(|error| DiskError::from_io("fdatasync", path, &error)));
        drop(parts);
        done(outcome);
    }
}

fn write_parts(file: &File, mut offset: u64, parts: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        let count = left.len().min(PIECES_MAX);
        let written = match rustix::io::pwritev(file, &left[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

fn read_full(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(len);
    while buffer.len() < len {
        let at = offset + buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may give more room than was asked for.
    buffer.truncate(len);
    Ok(buffer.into())
}

#[async_trait]
impl DiskFile for OsFile {
    async fn length(&self) -> Result<u64, DiskError> {
        self.on_file("length", |file| Ok(file.metadata()?.len())).await
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes, DiskError> {
        self.on_file("read", move |file| read_full(file, offset, len)).await
    }

    async fn write_at(&self, offset: u64, parts: Vec<Bytes>) -> Result<(), DiskError> {
        self.on_file("write", move |file| write_parts(file, offset, &parts)).await
    }

    async fn sync_data(&self) -> Result<(), DiskError> {
        self.on_file("fdatasync", File::sync_data).await
    }

    async fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.on_file("set length", move |file| file.set_len(len)).await
    }

    fn start_write_and_sync(&self, offset: u64, parts: Vec<Bytes>, done: WriteDone) {
        let syncer = self.syncer.get_or_init(|| self.start_syncer());
        if let Err(refused) = syncer.send(Synced { offset, parts, done }) {
            (refused.0.done)(Err(DiskError::stopped("write and sync")));
        }
    }
}
