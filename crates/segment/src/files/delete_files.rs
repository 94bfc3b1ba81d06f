//! Reads delete files.

use std::sync::Arc;

use cinclus_env::Compute;
use cinclus_types::{DeleteFileRef, Keys, Tick};
use object_store::ObjectStore;

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
