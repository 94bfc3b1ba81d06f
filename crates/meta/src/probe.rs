//! Whether an object storage keeps to `If-None-Match: *`.

use std::path::PathBuf;

use bytes::Bytes;
use cinclus_env::Random;
use cinclus_types::Advice;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

/// Some storages check the condition and then write, so that of two creates at once both may be answered with
/// success: one create after the other would not show it.
const AT_ONCE: usize = 8;
const ROUNDS: u32 = 3;
/// A round in which the answer of the accepted create was lost says nothing.
const ROUNDS_LOST_MAX: u32 = 5;

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

/// Creates one name in `folder` many times at once: only one create may be accepted, and its bytes must be
/// there. The objects are removed again.
///
/// # Errors
/// See [`ProbeError`].
pub async fn probe_conditional_puts(
    store: &dyn ObjectStore,
    folder: &Path,
    random: &Random,
) -> Result<(), ProbeError> {
    let (mut done, mut lost) = (0, 0);
    while done < ROUNDS {
        let path = folder.clone().join(format!("{:016x}", random.u64()));
        let failed = |error: Error| ProbeError::Failed {
            path: PathBuf::from(path.as_ref()),
            reason: error.to_string(),
        };
        let create = |index: usize| {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            store.put_opts(&path, Bytes::from(format!("create {index}")).into(), options)
        };
        let mut accepted = Vec::new();
        for (index, answer) in join_all((0..AT_ONCE).map(create)).await.into_iter().enumerate() {
            match answer {
                Ok(_) => accepted.push(index),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let found = match store.get(&path).await {
            Ok(found) => Some(found.bytes().await.map_err(failed)?),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(failed(error)),
        };
        store.delete(&path).await.map_err(failed)?;
        if accepted.is_empty() && found.is_some() {
            lost += 1;
            if lost < ROUNDS_LOST_MAX {
                continue;
            }
            let reason = "an object came to be and none of its creates was accepted".to_owned();
            return Err(ProbeError::Failed { path: PathBuf::from(path.as_ref()), reason });
        }
        done += 1;
        let [winner] = accepted.as_slice() else {
            let reason =
                format!("of {AT_ONCE} creates of one name at once, {} were accepted", accepted.len());
            return Err(ProbeError::Unconditional { reason });
        };
        if found.as_deref() != Some(format!("create {winner}").as_bytes()) {
            let reason = "the object does not hold the bytes of the create that was accepted".to_owned();
            return Err(ProbeError::Unconditional { reason });
        }
    }
    Ok(())
}
