//! The proxy and what every request needs of it.

use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::{CollectionEntry, Collections, DatabaseEntry, Segments};
use cinclus_client::Client;
use cinclus_env::Env;
use cinclus_rpc::{CoordApi, Ddl, DdlDone, DdlError};
use cinclus_types::{CollectionId, DataType, FieldSchema, Tick};
use tonic::metadata::MetadataMap;

use crate::config::ProxyConfig;
use crate::ids::IdBlocks;
use crate::names;
use crate::status::ProxyError;

/// The parts that a proxy works with.
pub struct ProxyParts {
    /// The coordinator.
    pub coord: Arc<dyn CoordApi>,
    /// What is known of collections.
    pub collections: Collections,
    /// What is known of segments.
    pub segments: Segments,
    /// The way to the logs.
    pub client: Client,
    /// The machine.
    pub env: Env,
}

/// A proxy: answers Milvus' clients. Cheap to clone.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ProxyParts,
    config: ProxyConfig,
    ids: IdBlocks,
}

/// What comes with a request beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The database in the metadata; may be empty.
    pub database: String,
    /// The time that the client waits, if it said so.
    pub timeout: Option<Duration>,
    /// The client's name for the request, the same when it sends it again.
    pub request_id: Option<String>,
}

impl Call {
    /// Reads the metadata of a request.
    #[must_use]
    pub fn of(metadata: &MetadataMap) -> Call {
        let text = |key| metadata.get(key).and_then(|value| value.to_str().ok());
        Call {
            database: text("dbname").unwrap_or_default().to_owned(),
            timeout: text("grpc-timeout").and_then(timeout),
            request_id: text("client-request-id").filter(|id| !id.is_empty()).map(str::to_owned),
        }
    }
}

/// A gRPC timeout: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// A collection that a request is about.
#[derive(Clone)]
pub struct Target {
    /// Its database.
    pub database: Arc<DatabaseEntry>,
    /// The collection.
    pub collection: Arc<CollectionEntry>,
}

impl Target {
    /// The primary key.
    ///
    /// # Errors
    /// The schema has none: then it was damaged.
    pub fn primary_key(&self) -> Result<&FieldSchema, ProxyError> {
        let missing = || ProxyError::Plain(format!("collection {} has no primary key", self.collection.id));
        self.collection.schema().primary_key().ok_or_else(missing)
    }

    /// The type of the primary key.
    #[must_use]
    pub fn key_type(&self) -> DataType {
        self.collection.schema().primary_key().map_or(DataType::Int64, |key| key.data_type)
    }
}

impl Proxy {
    /// A proxy of these parts.
    #[must_use]
    pub fn new(parts: ProxyParts, config: ProxyConfig) -> Proxy {
        let ids = IdBlocks::new(Arc::clone(&parts.coord), config.id_block);
        Proxy { inner: Arc::new(Inner { parts, config, ids }) }
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &ProxyParts {
        &self.inner.parts
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ProxyConfig {
        &self.inner.config
    }

    /// Ids for rows.
    #[must_use]
    pub fn ids(&self) -> &IdBlocks {
        &self.inner.ids
    }

    /// The time on the calendar.
    #[must_use]
    pub fn now(&self) -> Tick {
        Tick::from_unix_ms(self.inner.parts.env.clock.unix_ms())
    }

    /// The longest wait of a read.
    #[must_use]
    pub fn patience(&self, call: &Call) -> Duration {
        call.timeout.map_or(self.config().patience, |timeout| timeout.min(self.config().patience))
    }

    /// Carries out a change.
    ///
    /// # Errors
    /// Those of the coordinator.
    pub async fn ddl(&self, ddl: Ddl) -> Result<DdlDone, ProxyError> {
        Ok(self.inner.parts.coord.ddl(ddl).await?)
    }

    /// The database that a request is about.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn database(&self, call: &Call, asked: &str) -> Result<Arc<DatabaseEntry>, ProxyError> {
        let name = database_name(call, asked);
        let view = self.inner.parts.collections.view();
        view.database(&name).cloned().ok_or(ProxyError::DatabaseNotFound(name))
    }

    /// The collection that a request about rows, indexes or the collection itself is about.
    ///
    /// # Errors
    /// The name is not allowed, or there is no such database or collection ("can't find collection").
    pub fn target(&self, call: &Call, database: &str, name: &str) -> Result<Target, ProxyError> {
        names::collection(name)?;
        self.existing(call, database, name)
    }

    /// As [`Proxy::target`], for requests that do not judge the name: one that is not allowed is not found.
    ///
    /// # Errors
    /// There is no such database or collection ("can't find collection").
    pub fn existing(&self, call: &Call, database: &str, name: &str) -> Result<Target, ProxyError> {
        let database = self.database(call, database)?;
        match self.inner.parts.collections.view().resolve(database.id, name) {
            Some(collection) => Ok(Target { collection: Arc::clone(collection), database }),
            None => Err(ProxyError::CannotFindCollection {
                database: database.name.clone(),
                collection: name.to_owned(),
            }),
        }
    }

    /// The collection that any other request is about.
    ///
    /// # Errors
    /// As [`Proxy::target`], but told as "collection not found".
    pub fn known(&self, call: &Call, database: &str, name: &str) -> Result<Target, ProxyError> {
        self.target(call, database, name).map_err(|error| {
            if let ProxyError::CannotFindCollection { database, collection } = error {
                ProxyError::Ddl(DdlError::CollectionNotFound { database, collection })
            } else {
                error
            }
        })
    }

    /// The collection of that name, or, without a name, of that id.
    ///
    /// # Errors
    /// As [`Proxy::target`].
    pub fn target_or_id(
        &self,
        call: &Call,
        database: &str,
        name: &str,
        id: i64,
    ) -> Result<Target, ProxyError> {
        if !name.is_empty() || id == 0 {
            return self.target(call, database, name);
        }
        let view = self.inner.parts.collections.view();
        let missing = || ProxyError::CannotFindCollection {
            database: database_name(call, database),
            collection: id.to_string(),
        };
        let collection = view.collection(CollectionId(id)).ok_or_else(missing)?;
        let database = view.database_by_id(collection.database).ok_or_else(missing)?;
        Ok(Target { database: Arc::clone(database), collection: Arc::clone(collection) })
    }
}

/// The name of the database that a request is about: in the request, else in its metadata, else `default`.
#[must_use]
pub fn database_name(call: &Call, asked: &str) -> String {
    let named = [asked, call.database.as_str()].into_iter().find(|name| !name.is_empty());
    named.unwrap_or("default").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_names_database_and_timeout() {
        let mut metadata = MetadataMap::new();
        metadata.insert("dbname", "x".parse().unwrap());
        metadata.insert("grpc-timeout", "1500m".parse().unwrap());
        let call = Call::of(&metadata);
        let expected =
            Call { database: "x".into(), timeout: Some(Duration::from_millis(1500)), ..Call::default() };
        assert_eq!(call, expected);
        metadata.insert("client-request-id", "".parse().unwrap());
        assert_eq!(Call::of(&metadata).request_id, None);
        metadata.insert("client-request-id", "r".parse().unwrap());
        assert_eq!(Call::of(&metadata).request_id, Some("r".to_owned()));
        assert_eq!((database_name(&call, ""), database_name(&call, "y")), ("x".into(), "y".into()));
        assert_eq!(database_name(&Call::default(), ""), "default");
        assert_eq!((timeout(""), timeout("5"), timeout("xS")), (None, None, None));
    }
}
