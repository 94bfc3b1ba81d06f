//! The TSO's bound in the metadata store.

use cinclus_meta::{CommitOutcome, Condition, DynMetaStore, MetaError, Txn};
use cinclus_types::Tick;

use crate::{StartError, keys};

/// The bound, as far as it is known to be stored. Only its holder writes it: another writer is noticed.
pub struct StoredBound {
    meta: DynMetaStore,
    stored: Tick,
    /// A bound whose write got no answer. Nothing else is written before its fate is known.
    in_doubt: Option<Tick>,
}

impl StoredBound {
    /// Reads the bound; zero if there is none.
    ///
    /// # Errors
    /// If the store does not answer or holds no number.
    pub async fn read(meta: DynMetaStore) -> Result<StoredBound, StartError> {
        let stored = read(&meta).await?;
        Ok(StoredBound { meta, stored, in_doubt: None })
    }

    /// The bound that is certainly stored.
    #[must_use]
    pub fn get(&self) -> Tick {
        self.stored
    }

    /// Stores a bound and answers it. After a lost answer, the bound that was sent then is settled first,
    /// and answered instead.
    ///
    /// # Errors
    /// What the store says; [`StartError::Concurrent`] if somebody else wrote the bound.
    pub async fn raise(&mut self, to: Tick) -> Result<Tick, StartError> {
        let to = self.in_doubt.unwrap_or(to);
        let condition = if self.stored == Tick::ZERO {
            Condition::Absent(keys::TSO.to_owned())
        } else {
            Condition::ValueIs(keys::TSO.to_owned(), self.stored.to_string().into())
        };
        let txn = Txn::new().require(condition).put(keys::TSO, to.to_string());
        let doubted = self.in_doubt.replace(to).is_some();
        match self.meta.commit(txn).await {
            Ok(CommitOutcome::Committed(_)) => {}
            // A commit of before, whose answer was lost, reads as a conflict.
            Ok(CommitOutcome::Conflict(_)) => {
                if !doubted || read(&self.meta).await? != to {
                    return Err(StartError::Concurrent);
                }
            }
            Err(error) => {
                if !doubted && !matches!(error, MetaError::Unknown(_)) {
                    self.in_doubt = None;
                }
                return Err(error.into());
            }
        }
        (self.stored, self.in_doubt) = (to, None);
        Ok(to)
    }
}

async fn read(meta: &DynMetaStore) -> Result<Tick, StartError> {
    let Some(entry) = meta.get(keys::TSO).await? else { return Ok(Tick::ZERO) };
    let number = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
    number.map(Tick).ok_or_else(|| StartError::Corrupt {
        key: keys::TSO.to_owned(),
        reason: "it is not a number".to_owned(),
    })
}
