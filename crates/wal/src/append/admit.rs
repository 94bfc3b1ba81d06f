//! Admit: what can be said of a request before anything is stamped.

use cinclus_rpc::AppendError;
use cinclus_types::message::Draft;
use cinclus_types::{PChannel, VChannel};

use crate::config::WalConfig;

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Drafts to be appended on their own, several as one transaction.
    Batch,
    /// Bodies of an open transaction.
    Bodies,
}

/// The bytes of a request, as limits count them.
#[must_use]
pub fn bytes_of(drafts: &[Draft]) -> u64 {
    drafts.iter().map(Draft::bytes).sum()
}

/// Checks the form of a request: its VChannel, kinds, sizes and keys.
///
/// # Errors
/// What is wrong; nothing happened.
pub fn check(
    drafts: &[Draft],
    shape: Shape,
    channel: &PChannel,
    config: &WalConfig,
) -> Result<VChannel, AppendError> {
    let invalid = |text: String| Err(AppendError::Invalid(text));
    let Some(vchannel) = drafts.first().and_then(|draft| draft.vchannel.clone()) else {
        return invalid("an append names at least one message and its VChannel".to_owned());
    };
    if vchannel.pchannel() != *channel {
        return invalid(format!("{vchannel} is not a VChannel of {channel}"));
    }
    for draft in drafts {
        let kind = draft.kind();
        if draft.vchannel.as_ref() != Some(&vchannel) {
            return invalid(format!("all messages of an append go to one VChannel, here {vchannel}"));
        }
        if kind.is_system() || kind.is_self_controlled() {
            return invalid(format!("{kind} is made by the log itself"));
        }
        if (drafts.len() > 1 || shape == Shape::Bodies) && !kind.is_dml() {
            return invalid(format!("{kind} cannot be part of a transaction"));
        }
        if shape == Shape::Batch && draft.txn.is_some() {
            return invalid("a message of a transaction is appended in it".to_owned());
        }
        let bytes = draft.bytes();
        if bytes > config.message_bytes_max {
            return Err(AppendError::TooLarge { bytes, limit: config.message_bytes_max });
        }
        if draft.idempotency_key.as_ref().is_some_and(|key| key.len() > KEY_BYTES_MAX) {
            return invalid(format!("an idempotency key has at most {KEY_BYTES_MAX} bytes"));
        }
    }
    let bytes = bytes_of(drafts);
    if bytes > config.in_flight_bytes_max {
        return Err(AppendError::TooLarge { bytes, limit: config.in_flight_bytes_max });
    }
    Ok(vchannel)
}
