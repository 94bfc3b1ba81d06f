//! What keeps a log from being persisted, or from being opened.

use std::fmt;

use cinclus_env::DiskError;
use cinclus_log_storage::LogStorage;
use cinclus_rpc::AppendError;

/// Why something that is tried again did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no space.
    NoSpace(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// What an error comes to. Where its cause got lost on the way up, the storage is asked: on a local disk
    /// everything shares its space, and with less than the reserve of the log anything may have failed for that.
    pub(crate) async fn of(error: anyhow::Error, storage: &dyn LogStorage, reserve: u64) -> Failure {
        let says_so = error.chain().any(|cause| {
            cause
                .downcast_ref::<DiskError>()
                .is_some_and(|error| matches!(error, DiskError::OutOfSpace { .. }))
        });
        let reason = error.to_string();
        let full =
            async { storage.available_bytes().await.ok().flatten().is_some_and(|free| free < reserve) };
        if says_so || full.await { Failure::NoSpace(reason) } else { Failure::Other(reason) }
    }

    /// What an append is refused with; `what` is said before the reason.
    pub(crate) fn refuse(&self, what: &str) -> AppendError {
        let text = format!("{what}: {self}");
        match self {
            Failure::NoSpace(_) => AppendError::DiskFull(text),
            Failure::Other(_) => AppendError::Unavailable(text),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoSpace(reason) | Failure::Other(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use cinclus_log_storage::MemoryLogStorage;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_found_below_other_errors() {
        let storage = MemoryLogStorage::default();
        let full = DiskError::OutOfSpace { operation: "write", path: "/data/x".into() };
        let error =
            anyhow::Error::new(object_store::Error::Generic { store: "local folder", source: full.into() });
        let failure = Failure::of(error, &storage, 64).await;
        assert!(
            matches!(&failure, Failure::NoSpace(reason) if reason.contains("no space left")),
            "{failure}"
        );
        assert!(matches!(failure.refuse("persisting fails"), AppendError::DiskFull(_)));
        let failure = Failure::of(anyhow!("a timeout"), &storage, 64).await;
        assert_eq!(failure, Failure::Other("a timeout".to_owned()));
        let text = "service unavailable: opening fails: a timeout";
        assert_eq!(failure.refuse("opening fails").to_string(), text);
    }
}
