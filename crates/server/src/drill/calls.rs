//! The calls of a drill, to wherever the server is.

use std::time::Duration;

use anyhow::{Context, anyhow};
use cinclus_proxy::proto::milvus::milvus_service_client::MilvusServiceClient;
use cinclus_proxy::proto::milvus::{
    DeleteRequest, InsertRequest, MutationResult, QueryRequest, QueryResults, UpsertRequest,
};
use cinclus_types::proto::common::{ConsistencyLevel, Status};
use cinclus_types::proto::schema::{DataType, FieldData, FieldSchema, field_data, scalar_field};
use thiserror::Error;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::request::{Request, Write};
use crate::outside::client::{Client, key_and_vector};
use crate::outside::rows::{KEY, VECTOR, floats, longs, pair};

/// The field with the number of the write.
const VERSION: &str = "version";
/// Floats of a vector.
const DIM: usize = 16;
/// Shards of the collection.
pub(super) const SHARDS: i32 = 2;
/// After so long there is no answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Milvus' code for a disk without space.
const DISK_LIMIT: i32 = 7;
/// Rows of a page.
const PAGE: usize = 5000;

/// Why a call did not get what it wanted.
#[derive(Debug, Error)]
pub(super) enum CallError {
    /// The server says that the disk is full.
    #[error("{0}")]
    DiskFull(String),
    /// Another error, or no answer.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// There is no connection: nothing was sent.
    #[error("{0:#}")]
    NotSent(anyhow::Error),
}

/// One client's connection; a new one is made when the server is elsewhere.
pub(super) struct Calls {
    address: watch::Receiver<String>,
    service: Option<MilvusServiceClient<Channel>>,
    collection: String,
}

impl Calls {
    /// A connection that is made with the first call.
    pub(super) fn new(collection: &str, address: watch::Receiver<String>) -> Calls {
        Calls { address, service: None, collection: collection.to_owned() }
    }

    /// Makes the collection.
    pub(super) async fn create(collection: &str, address: &str) -> anyhow::Result<()> {
        let mut client = Client::connect(address).await?;
        let version = FieldSchema {
            field_id: 102,
            name: VERSION.to_owned(),
            data_type: DataType::Int64.into(),
            ..FieldSchema::default()
        };
        let fields = key_and_vector(DIM).into_iter().chain([version]).collect();
        client.create_of(collection, fields, SHARDS).await?;
        client.load(collection).await
    }

    /// Drops the collection.
    pub(super) async fn drop(collection: &str, address: &str) -> anyhow::Result<()> {
        Client::connect(address).await?.drop_collection(collection).await
    }

    /// Waits until the server is elsewhere, or a little: then a call can be tried again.
    pub(super) async fn pause(&mut self) {
        if let Ok(Ok(())) = tokio::time::timeout(Duration::from_millis(10), self.address.changed()).await {
            self.service = None;
        }
    }

    async fn service(&mut self) -> Result<MilvusServiceClient<Channel>, CallError> {
        if self.address.has_changed().unwrap_or(false) {
            self.service = None;
        }
        if let Some(service) = &self.service {
            return Ok(service.clone());
        }
        let address = self.address.borrow_and_update().clone();
        let service = Client::connect(&address).await.map_err(CallError::NotSent)?.calls();
        Ok(self.service.insert(service).clone())
    }

    /// Writes; with a name the same write can come again. Answers its timestamp.
    pub(super) async fn write(&mut self, request: &Request, name: Option<&str>) -> Result<u64, CallError> {
        let service = self.service().await?;
        let answer = self.in_time(send(service, self.collection.clone(), request, name)).await?;
        good(&answer.status.unwrap_or_default())?;
        Ok(answer.timestamp)
    }

    /// The rows of a Strong query: key and version.
    pub(super) async fn rows(&mut self, filter: String) -> Result<Vec<(i64, i64)>, CallError> {
        let answer = self.query(filter, &[KEY, VERSION]).await?;
        let column = |name| column(&answer.fields_data, name);
        let (keys, versions) = (column(KEY), column(VERSION));
        if keys.len() != versions.len() {
            return Err(CallError::Failed(anyhow!("{} keys, {} versions", keys.len(), versions.len())));
        }
        Ok(keys.iter().copied().zip(versions.iter().copied()).collect())
    }

    /// All rows, page by page in the order of their keys.
    pub(super) async fn all_rows(&mut self) -> Result<Vec<(i64, i64)>, CallError> {
        let mut all: Vec<(i64, i64)> = Vec::new();
        loop {
            let last = all.last().map_or(-1, |row| row.0);
            let page = self.rows(format!("{KEY} > {last}")).await?;
            let full = page.len() >= PAGE;
            all.extend(page);
            if !full {
                return Ok(all);
            }
            all.sort_unstable();
        }
    }

    /// How many rows a Strong count(*) sees from a key to another, both included.
    pub(super) async fn count(&mut self, from: i64, to: i64) -> Result<u64, CallError> {
        let answer = self.query(format!("{from} <= {KEY} <= {to}"), &["count(*)"]).await?;
        let count = answer.fields_data.first().map(longs_of).and_then(|data| data.first());
        let count = count.context("count(*) gave no number").map_err(CallError::Failed)?;
        Ok(count.cast_unsigned())
    }

    /// What a call answers in time. A connection that it failed on is not used again.
    async fn in_time<T>(&mut self, call: impl Future<Output = anyhow::Result<T>>) -> Result<T, CallError> {
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow!("no answer after {PATIENCE:?}")));
        answer.map_err(|error| {
            self.service = None;
            CallError::Failed(error)
        })
    }

    async fn query(&mut self, filter: String, fields: &[&str]) -> Result<QueryResults, CallError> {
        let counts = fields.contains(&"count(*)");
        let request = QueryRequest {
            collection_name: self.collection.clone(),
            expr: filter,
            output_fields: fields.iter().map(|&field| field.to_owned()).collect(),
            query_params: if counts { Vec::new() } else { vec![pair("limit", &PAGE.to_string())] },
            consistency_level: ConsistencyLevel::Strong.into(),
            ..QueryRequest::default()
        };
        let mut service = self.service().await?;
        let answer = self.in_time(async { Ok(service.query(request).await?.into_inner()) }).await?;
        good(&answer.status.clone().unwrap_or_default())?;
        Ok(answer)
    }
}

async fn send(
    mut service: MilvusServiceClient<Channel>,
    collection_name: String,
    request: &Request,
    name: Option<&str>,
) -> anyhow::Result<MutationResult> {
    let (keys, num_rows) = (&request.keys, request.keys.len() as u32);
    let answer = match request.write {
        Write::Insert => {
            let fields_data = columns(request);
            let insert = InsertRequest { collection_name, fields_data, num_rows, ..InsertRequest::default() };
            service.insert(named(insert, name)?).await?
        }
        Write::Upsert => {
            let fields_data = columns(request);
            let upsert = UpsertRequest { collection_name, fields_data, num_rows, ..UpsertRequest::default() };
            service.upsert(named(upsert, name)?).await?
        }
        Write::Delete => {
            let expr = format!("{KEY} in {keys:?}");
            let delete = DeleteRequest { collection_name, expr, ..DeleteRequest::default() };
            service.delete(named(delete, name)?).await?
        }
    };
    Ok(answer.into_inner())
}

fn named<T>(request: T, name: Option<&str>) -> anyhow::Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(request);
    if let Some(name) = name {
        request.metadata_mut().insert("client-request-id", name.parse()?);
    }
    Ok(request)
}

fn columns(request: &Request) -> Vec<FieldData> {
    let rows = request.keys.len();
    let vectors = request.keys.iter().flat_map(|key| [(key % 97) as f32; DIM]).collect();
    vec![
        longs(KEY, request.keys.clone()),
        floats(VECTOR, vectors, DIM),
        longs(VERSION, vec![request.version; rows]),
    ]
}

fn good(status: &Status) -> Result<(), CallError> {
    match status.code {
        0 if status.error_code == 0 => Ok(()),
        DISK_LIMIT => Err(CallError::DiskFull(status.reason.clone())),
        code => Err(CallError::Failed(anyhow!("{} (code {code})", status.reason))),
    }
}

fn column<'a>(fields: &'a [FieldData], name: &str) -> &'a [i64] {
    fields.iter().find(|field| field.field_name == name).map_or(&[], longs_of)
}

fn longs_of(field: &FieldData) -> &[i64] {
    let Some(field_data::Field::Scalars(scalars)) = &field.field else { return &[] };
    match &scalars.data {
        Some(scalar_field::Data::LongData(longs)) => &longs.data,
        Some(_) | None => &[],
    }
}
