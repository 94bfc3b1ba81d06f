//! A file that can be read although its disk takes no writes.

use std::collections::BTreeMap;
use std::io;

use parking_lot::Mutex;
use redb::StorageBackend;

use super::backend::DiskBackend;

/// redb repairs a file when it opens it after an error, which writes. This keeps those writes in memory and
/// leaves the file as it is; the next opening that may write repairs it anew.
#[derive(Debug)]
pub(super) struct Overlay {
    under: DiskBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// So much of the file below still counts.
    under_len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

const PAGE: u64 = 4096;

impl Overlay {
    pub(super) fn new(under: DiskBackend) -> io::Result<Overlay> {
        let under_len = under.len()?;
        let written = Written { len: under_len, under_len, pages: BTreeMap::new() };
        Ok(Overlay { under, written: Mutex::new(written) })
    }

    /// What the file holds; zeros beyond its end.
    fn read_under(&self, under_len: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = under_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, beyond) = out.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.under.read(offset, there) }
    }
}

/// The parts of `offset..offset + len` that lie in one page each: page, start in the page, start in the range,
/// length.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % PAGE) as usize;
        let part = (len - done).min(PAGE as usize - start);
        let item = (at / PAGE, start, done, part);
        done += part;
        (part > 0).then_some(item)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.lock();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_under(written.under_len, offset, out)?;
        for (page, start, at, len) in parts(offset, out.len()) {
            if let Some(page) = written.pages.get(&page) {
                out[at..at + len].copy_from_slice(&page[start..start + len]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        // What is cut off reads as zeros when the file grows again.
        written.under_len = written.under_len.min(len);
        written.pages.retain(|page, _| page * PAGE < len);
        if let Some(last) = written.pages.get_mut(&(len / PAGE)) {
            last[(len % PAGE) as usize..].fill(0);
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        for (index, start, at, len) in parts(offset, data.len()) {
            if !written.pages.contains_key(&index) {
                let mut page = vec![0; PAGE as usize];
                self.read_under(written.under_len, index * PAGE, &mut page)?;
                written.pages.insert(index, page);
            }
            if let Some(page) = written.pages.get_mut(&index) {
                page[start..start + len].copy_from_slice(&data[at..at + len]);
            }
        }
        written.len = written.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::backend::Blocking;
    use super::*;

    #[test]
    fn a_range_is_cut_at_pages() {
        let all: Vec<_> = parts(4000, 5000).collect();
        assert_eq!(all, [(0, 4000, 0, 96), (1, 0, 96, 4096), (2, 0, 4192, 808)]);
        assert_eq!(parts(8192, 0).count(), 0);
    }

    fn read(overlay: &Overlay, offset: u64, len: usize) -> Vec<u8> {
        let mut out = vec![9; len];
        overlay.read(offset, &mut out).unwrap();
        out
    }

    #[tokio::test]
    async fn an_overlay_reads_as_the_file_would_and_leaves_it_alone() {
        let (env, disk) = cinclus_env::Env::test_with_disk(1);
        let blocking = Blocking { disk: env.disk, runtime: tokio::runtime::Handle::current() };
        let path = std::path::Path::new("/file");
        let file = || DiskBackend::open(&blocking, path, &std::sync::Arc::default()).unwrap();
        file().write(0, &[1; 5000]).unwrap();
        let operations = disk.operations();
        let overlay = Overlay::new(file()).unwrap();
        overlay.write(4090, &[2; 10]).unwrap();
        assert_eq!(read(&overlay, 4088, 14), [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]);
        assert!(overlay.read(4999, &mut [0; 2]).is_err(), "beyond the end");
        overlay.set_len(4092).unwrap();
        overlay.set_len(9000).unwrap();
        assert_eq!((overlay.len().unwrap(), read(&overlay, 4089, 6)), (9000, vec![1, 2, 2, 0, 0, 0]));
        assert_eq!(disk.operations(), operations);
        assert_eq!(file().len().unwrap(), 5000);
    }
}
