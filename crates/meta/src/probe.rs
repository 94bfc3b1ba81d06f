//! Whether an object storage keeps to `If-None-Match: *`.

use std::path::PathBuf;

use bytes::Bytes;
use cinclus_env::Random;
use cinclus_types::Advice;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Some storages check the condition and then write, so that of two creates at once both may be answered with
/// success: one create after the other would not show it. Of one that was measured, four creates at once
/// showed it for four names of five, and more creates hardly did better: so it is many names, all at once.
const AT_ONCE: usize = 4;
const NAMES: usize = 12;
/// A name for which the answer of the accepted create was lost says nothing; another one is tried.
const BATCHES_MAX: u32 = 5;

/// Why an object storage is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// It accepts two objects under one name that was to be new.
    #[error("the object storage does not keep to If-None-Match: {reason}")]
    Unconditional {
        /// What was tried and seen.
        reason: String,
    },
    /// It refused a call.
    #[error("{}: {reason}", path.display())]
    Failed {
        /// The object.
        path: PathBuf,
        /// What the object storage said.
        reason: String,
    },
}

impl ProbeError {
    /// What the caller should do.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            ProbeError::Unconditional { .. } => Advice::Reject,
            ProbeError::Failed { .. } => Advice::Retry,
        }
    }
}

/// Creates names in `folder`, each several times at once: only one create may be accepted, and its bytes must be
/// there. The objects are removed again.
///
/// # Errors
/// See [`ProbeError`].
pub async fn probe_conditional_puts(
    store: &dyn ObjectStore,
    folder: &Path,
    random: &Random,
) -> Result<(), ProbeError> {
    let mut missing = NAMES;
    for _ in 0..BATCHES_MAX {
        let paths: Vec<Path> =
            (0..missing).map(|_| folder.clone().join(format!("{:016x}", random.u64()))).collect();
        // The first refusal counts, but not before all are removed.
        let told = join_all(paths.iter().map(|path| try_name(store, path))).await;
        for told in told {
            missing -= usize::from(told? == Told::Conditional);
        }
        if missing == 0 {
            return Ok(());
        }
    }
    let reason = "objects came to be and none of their creates was accepted".to_owned();
    Err(ProbeError::Failed { path: PathBuf::from(folder.as_ref()), reason })
}

/// What a name tells of the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Conditional,
    /// The answer of the create that made it was lost.
    Nothing,
}

async fn try_name(store: &dyn ObjectStore, path: &Path) -> Result<Told, ProbeError> {
    let failed =
        |error: Error| ProbeError::Failed { path: PathBuf::from(path.as_ref()), reason: error.to_string() };
    let create = |index: usize| {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(path, Bytes::from(format!("create {index}")).into(), options)
    };
    let mut accepted = Vec::new();
    for (index, answer) in join_all((0..AT_ONCE).map(create)).await.into_iter().enumerate() {
        match answer {
            Ok(_) => accepted.push(index),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let found = match store.get(path).await {
        Ok(found) => Some(found.bytes().await.map_err(failed)?),
        Err(Error::NotFound { .. }) => None,
        Err(error) => return Err(failed(error)),
    };
    store.delete(path).await.map_err(failed)?;
    match accepted.as_slice() {
        [] if found.is_some() => Ok(Told::Nothing),
        [winner] if found.as_deref() == Some(format!("create {winner}").as_bytes()) => Ok(Told::Conditional),
        [_] => {
            let reason = "the object does not hold the bytes of the create that was accepted".to_owned();
            Err(ProbeError::Unconditional { reason })
        }
        several => {
            let count = several.len();
            let reason = format!("of {AT_ONCE} creates of one name at once, {count} were accepted");
            Err(ProbeError::Unconditional { reason })
        }
    }
}
