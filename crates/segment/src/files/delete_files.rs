//! Reads delete files.

use std::collections::VecDeque;
use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_types::{DeleteFileRef, Keys, Tick};
use object_store::ObjectStore;
use parking_lot::Mutex;

use super::FileError;
use super::decode::decode_deletes;
use super::object::get;

/// The deletes of a delete file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletes {
    /// What was deleted.
    pub keys: Keys,
    /// When, one tick for each key.
    pub ticks: Vec<Tick>,
}

/// Bytes of deletes that are kept in memory, at most.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Reads delete files and keeps the last ones for a while: all segments of a VChannel need the same ones. An
/// object is never written twice, so what was read stays true. Clones share what is kept.
#[derive(Clone)]
pub(super) struct DeleteFiles {
    store: Arc<dyn ObjectStore>,
    compute: Compute,
    kept: Arc<Mutex<Kept>>,
}

/// The files read last, the newest behind.
#[derive(Default)]
struct Kept {
    files: VecDeque<(String, Arc<Deletes>)>,
    bytes: usize,
}

impl DeleteFiles {
    pub(super) fn new(store: Arc<dyn ObjectStore>, compute: Compute) -> DeleteFiles {
        DeleteFiles { store, compute, kept: Arc::default() }
    }

    /// All deletes of a file.
    ///
    /// # Errors
    /// As [`read_deletes`].
    pub(super) async fn read(&self, file: &DeleteFileRef) -> Result<Arc<Deletes>, FileError> {
        let kept = self.kept.lock().get(&file.object);
        if let Some(deletes) = kept {
            return Ok(deletes);
        }
        let deletes = Arc::new(read_deletes(&self.store, &self.compute, file).await?);
        self.kept.lock().put(&file.object, deletes.clone());
        Ok(deletes)
    }
}

impl Kept {
    fn get(&self, object: &str) -> Option<Arc<Deletes>> {
        self.files.iter().find(|(name, _)| name == object).map(|(_, deletes)| deletes.clone())
    }

    fn put(&mut self, object: &str, deletes: Arc<Deletes>) {
        // Two loads may have read it at once; one too large would only drive out the others.
        if self.get(object).is_some() || deletes.heap_bytes() > KEPT_BYTES_MAX {
            return;
        }
        self.bytes += deletes.heap_bytes();
        self.files.push_back((object.to_owned(), deletes));
        while self.bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = self.files.pop_front() else { return };
            self.bytes -= oldest.heap_bytes();
        }
    }
}

impl Deletes {
    /// The memory that they take, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Int64(numbers) => size_of_val(numbers.as_slice()),
            Keys::VarChar(texts) => texts.heap_bytes(),
        };
        keys + size_of_val(self.ticks.as_slice())
    }
}

/// All deletes of a file.
///
/// # Errors
/// If the object is missing, corrupt or too new, or the store fails.
pub async fn read_deletes(
    store: &Arc<dyn ObjectStore>,
    compute: &Compute,
    file: &DeleteFileRef,
) -> Result<Deletes, FileError> {
    let bytes = get(store.as_ref(), &file.object).await?;
    let object = file.object.clone();
    let (keys, ticks) = compute.run(move || decode_deletes(&object, bytes)).await?;
    if keys.len() as u64 != file.rows || ticks.len() != keys.len() {
        let reason = format!("it has {} keys and {} ticks for {} rows", keys.len(), ticks.len(), file.rows);
        return Err(FileError::corrupt(&file.object, reason));
    }
    Ok(Deletes { keys, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletes(count: usize) -> Arc<Deletes> {
        Arc::new(Deletes { keys: Keys::Int64(vec![0; count]), ticks: vec![Tick(1); count] })
    }

    #[test]
    fn what_is_kept_has_a_bound_and_the_oldest_leave_first() {
        let mut kept = Kept::default();
        let third = KEPT_BYTES_MAX / 16 / 3;
        for name in ["a", "b", "c", "d", "d"] {
            kept.put(name, deletes(third));
        }
        kept.put("huge", deletes(KEPT_BYTES_MAX / 16 + 1));
        let names: Vec<&str> = kept.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(kept.bytes, 3 * third * 16);
    }
}
