//! Whether an object storage keeps to `If-None-Match: *`.

use bytes::Bytes;
use cinclus_env::Random;
use futures::future::join_all;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions};

use super::objects::{Objects, failed};
use crate::error::OpenError;

/// Some storages check the condition and then write, so that of two creates at once both may be answered with
/// success: one create after the other would not show it.
const AT_ONCE: usize = 8;
const ROUNDS: u32 = 3;

/// Creates one name many times at once: only one create may be accepted, and its bytes must be there.
///
/// # Errors
/// [`OpenError::Unconditional`] says what was seen.
pub(super) async fn probe(objects: &Objects, random: &Random) -> Result<(), OpenError> {
    for _ in 0..ROUNDS {
        let path = objects.named("probe", &format!("{:016x}", random.u64()));
        let create = |index: usize| {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            objects.store.put_opts(&path, Bytes::from(format!("create {index}")).into(), options)
        };
        let mut accepted = Vec::new();
        for (index, answer) in join_all((0..AT_ONCE).map(create)).await.into_iter().enumerate() {
            match answer {
                Ok(_) => accepted.push(index),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(failed(&path)(error)),
            }
        }
        let found = objects.get(&path).await.map_err(failed(&path))?;
        objects.store.delete(&path).await.map_err(failed(&path))?;
        let [winner] = accepted.as_slice() else {
            let reason =
                format!("of {AT_ONCE} creates of one name at once, {} were accepted", accepted.len());
            return Err(OpenError::Unconditional { reason });
        };
        if found.as_deref() != Some(format!("create {winner}").as_bytes()) {
            let reason = "the object does not hold the bytes of the create that was accepted".to_owned();
            return Err(OpenError::Unconditional { reason });
        }
    }
    Ok(())
}
