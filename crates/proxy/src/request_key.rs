//! Names for writes, so that one that comes again is the same write.

use cinclus_rpc::CoordError;
use cinclus_types::{CollectionId, TickRange};
use prost::Message;
use xxhash_rust::xxh3::Xxh3;

use crate::proxy::{Call, Proxy, Target};
use crate::write::Batches;

/// Names a write: the client's name for it, in one collection, of one kind, with one content. Whatever of this
/// differs is another write, also if the client gives it the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey(String);

impl RequestKey {
    /// The key of a request, if the client names it and such names are looked at.
    #[must_use]
    pub fn of(
        proxy: &Proxy,
        call: &Call,
        kind: &str,
        collection: CollectionId,
        body: &impl Message,
    ) -> Option<RequestKey> {
        let id = call.request_id.as_deref().filter(|_| proxy.config().idempotent_requests)?;
        Some(RequestKey::new(id, kind, collection, body))
    }

    fn new(id: &str, kind: &str, collection: CollectionId, body: &impl Message) -> RequestKey {
        let mut digest = Xxh3::new();
        // Its length first: no other pair of name and body gives the same bytes.
        digest.update(&(id.len() as u64).to_le_bytes());
        digest.update(id.as_bytes());
        digest.update(&body.encode_to_vec());
        RequestKey(format!("{kind}-{collection}-{:032x}", digest.digest128()))
    }

    /// Writes the key into the messages, so that each log takes its part of the request once.
    pub(crate) fn mark(&self, batches: &mut Batches) {
        for first in batches.values_mut().filter_map(|drafts| drafts.first_mut()) {
            first.idempotency_key = Some(self.0.clone());
        }
    }
}

impl Proxy {
    /// Ids for the rows of a write. If they become primary keys, those of a write that has a key are the same
    /// when it comes again: its rows go to the same shards then, and its answer names the same keys.
    ///
    /// # Errors
    /// The coordinator did not grant any.
    pub async fn row_ids(
        &self,
        target: &Target,
        key: Option<&RequestKey>,
        count: usize,
    ) -> Result<Vec<i64>, CoordError> {
        let generated = target.collection.schema().primary_key().is_some_and(|key| key.auto_id);
        let Some(key) = key.filter(|_| generated && count > 0) else { return self.ids().take(count).await };
        let ticks = self.request_ticks(key, u32::try_from(count).unwrap_or(u32::MAX)).await?;
        Ok((ticks.first.0..).take(count).map(|id| i64::try_from(id).unwrap_or(i64::MAX)).collect())
    }

    /// Ticks of a write: new ones, and the same ones when it comes again.
    ///
    /// # Errors
    /// The coordinator did not grant any.
    pub async fn request_ticks(&self, key: &RequestKey, count: u32) -> Result<TickRange, CoordError> {
        self.parts().coord.ticks_of(&key.0, count).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::milvus::DeleteRequest;

    #[test]
    fn whatever_differs_is_another_request() {
        let body = |expr: &str| DeleteRequest { expr: expr.to_owned(), ..DeleteRequest::default() };
        let key = RequestKey::new("r", "delete", CollectionId(7), &body("id > 1"));
        assert_eq!(key, RequestKey::new("r", "delete", CollectionId(7), &body("id > 1")));
        let others = [
            RequestKey::new("q", "delete", CollectionId(7), &body("id > 1")),
            RequestKey::new("", "delete", CollectionId(7), &body("id > 1")),
            RequestKey::new("r", "upsert", CollectionId(7), &body("id > 1")),
            RequestKey::new("r", "delete", CollectionId(8), &body("id > 1")),
            RequestKey::new("r", "delete", CollectionId(7), &body("id > 2")),
        ];
        assert!(others.iter().all(|other| *other != key));
    }
}
