//! Checksums, tail files, and the way to and from the object storage.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cinclus_env::mutated;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::FileError;
use super::format::{
    CHECKSUM_MARK, DIRECTORY_ENTRY_BYTES, PARQUET_MAGIC, TAIL_MAGIC, TRAILER_BYTES, VERSION,
};

/// The digits of a checksum that is not known yet.
pub(super) const NO_CHECKSUM: &str = "0000000000000000";

/// Writes the checksum into a Parquet file whose digits are zeros.
pub(super) fn seal(object: &str, file: &mut [u8]) -> Result<(), FileError> {
    let digits = digits(file).ok_or_else(|| FileError::misfit(object, "no place for the checksum"))?;
    let sum = format!("{:016x}", xxh3_64(file));
    file[digits].copy_from_slice(sum.as_bytes());
    Ok(())
}

/// Compares a Parquet file with its checksum.
pub(super) fn verify(object: &str, file: &[u8]) -> Result<(), FileError> {
    let digits = digits(file).ok_or_else(|| FileError::corrupt(object, "its footer has no checksum"))?;
    let mut sum = Xxh3::new();
    sum.update(&file[..digits.start]);
    sum.update(NO_CHECKSUM.as_bytes());
    sum.update(&file[digits.end..]);
    if format!("{:016x}", sum.digest()).as_bytes() == &file[digits] || mutated("BelievesBytes") {
        return Ok(());
    }
    Err(FileError::corrupt(object, "its checksum does not match"))
}

/// Where the digits of the checksum are: behind the only mark in the footer, whose length stands in the
/// last bytes before the magic.
fn digits(file: &[u8]) -> Option<Range<usize>> {
    let body = file.len().checked_sub(8)?;
    if &file[body + 4..] != PARQUET_MAGIC {
        return None;
    }
    let footer_len = u32::from_le_bytes(file[body..body + 4].try_into().ok()?) as usize;
    let footer = body.checked_sub(footer_len)?;
    let mark = CHECKSUM_MARK.as_bytes();
    let mut found = file[footer..body].windows(mark.len()).enumerate().filter(|(_, bytes)| *bytes == mark);
    let at = footer + found.next()?.0 + mark.len();
    (found.next().is_none() && at + NO_CHECKSUM.len() <= body).then(|| at..at + NO_CHECKSUM.len())
}

/// A tail file of these chunks.
pub(super) fn tail_file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let mut file = Vec::with_capacity(bytes + chunks.len() * DIRECTORY_ENTRY_BYTES + TRAILER_BYTES);
    let mut directory = Vec::with_capacity(chunks.len() * DIRECTORY_ENTRY_BYTES + 8);
    for chunk in chunks {
        directory.extend_from_slice(&(file.len() as u64).to_le_bytes());
        directory.extend_from_slice(&(chunk.len() as u64).to_le_bytes());
        file.extend_from_slice(chunk);
    }
    directory.extend_from_slice(&(chunks.len() as u32).to_le_bytes());
    directory.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&directory);
    file.extend_from_slice(&xxh3_64(&directory).to_le_bytes());
    file.extend_from_slice(TAIL_MAGIC);
    file
}

/// Writes an object that must not exist.
pub(super) async fn put(store: &dyn ObjectStore, object: &str, file: Vec<u8>) -> Result<(), FileError> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let payload = PutPayload::from(file);
    store
        .put_opts(&path(object)?, payload, options)
        .await
        .map_err(|error| FileError::store(object, error))?;
    Ok(())
}

/// Reads a whole object.
pub(super) async fn get(store: &dyn ObjectStore, object: &str) -> Result<Bytes, FileError> {
    let result = store.get(&path(object)?).await.map_err(|error| FileError::store(object, error))?;
    result.bytes().await.map_err(|error| FileError::store(object, error))
}

/// Reads a chunk of `bytes` bytes: the whole object, or the chunk at `place` of a tail file.
pub(super) async fn get_chunk(
    store: &Arc<dyn ObjectStore>,
    object: &str,
    place: u32,
    bytes: u64,
) -> Result<Bytes, FileError> {
    let failed = |error| FileError::store(object, error);
    let location = path(object)?;
    let (size, end) = get_end(&**store, &location, bytes.max(TRAILER_BYTES as u64)).await.map_err(failed)?;
    if size < bytes {
        return Err(FileError::corrupt(object, format!("it has {size} bytes of at least {bytes}")));
    }
    if size == bytes {
        return if place == 0 { Ok(end) } else { Err(FileError::corrupt(object, "it holds only one chunk")) };
    }
    let (count, sum) = trailer(object, &end)?;
    if place >= count {
        return Err(FileError::corrupt(object, format!("it holds {count} chunks, not one at {place}")));
    }
    let directory_bytes = u64::from(count) * DIRECTORY_ENTRY_BYTES as u64;
    let Some(start) = size.checked_sub(directory_bytes + TRAILER_BYTES as u64) else {
        return Err(FileError::corrupt(object, "its directory is longer than it"));
    };
    let directory = store.get_range(&location, start..start + directory_bytes + 8).await.map_err(failed)?;
    if xxh3_64(&directory) != sum {
        return Err(FileError::corrupt(object, "the checksum of its directory does not match"));
    }
    let number = |at: usize| u64::from_le_bytes(directory[at..at + 8].try_into().expect("eight bytes"));
    let at = place as usize * DIRECTORY_ENTRY_BYTES;
    let (offset, len) = (number(at), number(at + 8));
    if len != bytes || offset.checked_add(len).is_none_or(|end| end > start) {
        return Err(FileError::corrupt(object, format!("the chunk at {place} has {len} bytes, not {bytes}")));
    }
    store.get_range(&location, offset..offset + len).await.map_err(failed)
}

/// The size of an object and its last bytes, all of it if it has fewer: in one request where the storage can count
/// from the end, in two where it cannot (Azure).
async fn get_end(store: &dyn ObjectStore, location: &Path, bytes: u64) -> object_store::Result<(u64, Bytes)> {
    let options = GetOptions::new().with_range(Some(GetRange::Suffix(bytes)));
    match store.get_opts(location, options).await {
        Err(Error::NotSupported { .. }) => {
            let size = store.head(location).await?.size;
            Ok((size, store.get_range(location, size.saturating_sub(bytes)..size).await?))
        }
        found => {
            let found = found?;
            Ok((found.meta.size, found.bytes().await?))
        }
    }
}

/// The number of chunks, and the checksum of the directory.
fn trailer(object: &str, end: &[u8]) -> Result<(u32, u64), FileError> {
    let trailer = &end[end.len().saturating_sub(TRAILER_BYTES)..];
    if trailer.len() < TRAILER_BYTES || &trailer[16..] != TAIL_MAGIC {
        return Err(FileError::corrupt(object, "it does not end as a tail file does"));
    }
    let number = |at: usize| u32::from_le_bytes(trailer[at..at + 4].try_into().expect("four bytes"));
    let version = number(4);
    if version != VERSION {
        return Err(FileError::Newer { object: object.to_owned(), version, newest: VERSION });
    }
    Ok((number(0), u64::from_le_bytes(trailer[8..16].try_into().expect("eight bytes"))))
}

fn path(object: &str) -> Result<Path, FileError> {
    Path::parse(object).map_err(|error| FileError::misfit(object, error))
}
