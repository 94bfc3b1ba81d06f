//! A connection to a server.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cinclus_proxy::proto::milvus::milvus_service_client::MilvusServiceClient;
use cinclus_proxy::proto::milvus::{
    CreateCollectionRequest, CreateIndexRequest, DropCollectionRequest, FlushRequest, GetVersionRequest,
    GetVersionResponse, LoadCollectionRequest, MutationResult, QueryRequest, SearchRequest, SearchResults,
};
use cinclus_types::proto::common::{ConsistencyLevel, Status};
use cinclus_types::proto::schema::{CollectionSchema, DataType, FieldSchema, field_data, i_ds, scalar_field};
use prost::Message;
use tonic::transport::{Channel, Endpoint};

use super::pieces::Pieces;
use super::rows::{KEY, VECTOR, pair};
use super::wire::Wire;

const INSERT: &str = "/milvus.proto.milvus.MilvusService/Insert";
const SEARCH: &str = "/milvus.proto.milvus.MilvusService/Search";
const VERSION: &str = "/milvus.proto.milvus.MilvusService/GetVersion";
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// A client with one connection for what is measured, and one for everything else.
#[derive(Clone)]
pub(crate) struct Client {
    calls: MilvusServiceClient<Channel>,
    wire: Wire,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If nobody answers at `address`.
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Client> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .with_context(|| format!("{address} is no address like http://127.0.0.1:19530"))?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.with_context(|| format!("no server answers at {address}"))?;
        let calls = MilvusServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Client { calls, wire: Wire::connect(address).await? })
    }

    /// The version that the server says it has.
    pub(crate) async fn version(&mut self) -> anyhow::Result<String> {
        let request = Pieces::of(&GetVersionRequest {});
        let answer: GetVersionResponse = self.wire.call(VERSION, request).await?;
        check("GetVersion", answer.status)?;
        Ok(answer.version)
    }

    /// Makes a collection of a key and a vector of `dim` floats.
    pub(crate) async fn create(&mut self, collection: &str, dim: usize) -> anyhow::Result<()> {
        self.create_of(collection, key_and_vector(dim), 1).await
    }

    /// Makes a collection of some fields.
    pub(crate) async fn create_of(
        &mut self,
        collection: &str,
        fields: Vec<FieldSchema>,
        shards: i32,
    ) -> anyhow::Result<()> {
        let schema = CollectionSchema { name: collection.to_owned(), fields, ..CollectionSchema::default() };
        let request = CreateCollectionRequest {
            collection_name: collection.to_owned(),
            schema: schema.encode_to_vec().into(),
            shards_num: shards,
            consistency_level: ConsistencyLevel::Strong.into(),
            ..CreateCollectionRequest::default()
        };
        let status = self.calls.create_collection(request).await?.into_inner();
        check("CreateCollection", Some(status))
    }

    /// Makes a collection of a key and a vector that can be searched.
    pub(crate) async fn create_loaded(&mut self, collection: &str, dim: usize) -> anyhow::Result<()> {
        self.create(collection, dim).await?;
        self.load(collection).await
    }

    /// Makes a collection one that can be searched.
    pub(crate) async fn load(&mut self, collection: &str) -> anyhow::Result<()> {
        let request = CreateIndexRequest {
            collection_name: collection.to_owned(),
            field_name: VECTOR.to_owned(),
            extra_params: vec![pair("index_type", "FLAT"), pair("metric_type", "L2"), pair("params", "{}")],
            ..CreateIndexRequest::default()
        };
        let status = self.calls.create_index(request).await?.into_inner();
        check("CreateIndex", Some(status))?;
        let request = LoadCollectionRequest {
            collection_name: collection.to_owned(),
            replica_number: 1,
            ..LoadCollectionRequest::default()
        };
        let status = self.calls.load_collection(request).await?.into_inner();
        check("LoadCollection", Some(status))
    }

    /// The calls of the service, on this connection.
    pub(crate) fn calls(&self) -> MilvusServiceClient<Channel> {
        self.calls.clone()
    }

    /// Drops a collection.
    pub(crate) async fn drop_collection(&mut self, collection: &str) -> anyhow::Result<()> {
        let request = DropCollectionRequest {
            collection_name: collection.to_owned(),
            ..DropCollectionRequest::default()
        };
        let status = self.calls.drop_collection(request).await?.into_inner();
        check("DropCollection", Some(status))
    }

    /// Asks for everything to be persisted; does not wait for it.
    pub(crate) async fn flush(&mut self, collection: &str) -> anyhow::Result<()> {
        let request =
            FlushRequest { collection_names: vec![collection.to_owned()], ..FlushRequest::default() };
        let answer = self.calls.flush(request).await?.into_inner();
        check("Flush", answer.status)
    }

    /// Inserts; returns when the server has acknowledged.
    pub(crate) async fn insert(&mut self, request: Pieces) -> anyhow::Result<()> {
        let answer: MutationResult = self.wire.call(INSERT, request).await?;
        check("Insert", answer.status)
    }

    /// Searches.
    pub(crate) async fn search(&mut self, request: SearchRequest) -> anyhow::Result<SearchResults> {
        let answer: SearchResults = self.wire.call(SEARCH, Pieces::of(&request)).await?;
        check("Search", answer.status.clone())?;
        Ok(answer)
    }

    /// How many rows a Strong read sees.
    pub(crate) async fn count(&mut self, collection: &str) -> anyhow::Result<u64> {
        let request = QueryRequest {
            collection_name: collection.to_owned(),
            output_fields: vec!["count(*)".to_owned()],
            consistency_level: ConsistencyLevel::Strong.into(),
            ..QueryRequest::default()
        };
        let answer = self.calls.query(request).await?.into_inner();
        check("Query", answer.status)?;
        let field = answer.fields_data.into_iter().next().and_then(|field| field.field);
        let Some(field_data::Field::Scalars(scalars)) = field else { bail!("count(*) gave no number") };
        let Some(scalar_field::Data::LongData(counts)) = scalars.data else {
            bail!("count(*) gave no number")
        };
        counts.data.first().map(|count| count.cast_unsigned()).context("count(*) gave no number")
    }
}

/// The fields of a collection of a key and a vector of `dim` floats.
pub(crate) fn key_and_vector(dim: usize) -> Vec<FieldSchema> {
    let key = FieldSchema {
        field_id: 100,
        name: KEY.to_owned(),
        is_primary_key: true,
        data_type: DataType::Int64.into(),
        ..FieldSchema::default()
    };
    let vector = FieldSchema {
        field_id: 101,
        name: VECTOR.to_owned(),
        data_type: DataType::FloatVector.into(),
        type_params: vec![pair("dim", &dim.to_string())],
        ..FieldSchema::default()
    };
    vec![key, vector]
}

/// The keys of a search's hits, best first.
pub(crate) fn hits(answer: &SearchResults) -> &[i64] {
    let ids = answer.results.as_ref().and_then(|results| results.ids.as_ref());
    match ids.and_then(|ids| ids.id_field.as_ref()) {
        Some(i_ds::IdField::IntId(keys)) => &keys.data,
        Some(i_ds::IdField::StrId(_) | i_ds::IdField::UuidId(_)) | None => &[],
    }
}

fn check(call: &str, status: Option<Status>) -> anyhow::Result<()> {
    let status = status.unwrap_or_default();
    ensure!(status.code == 0 && status.error_code == 0, "{call}: {} (code {})", status.reason, status.code);
    Ok(())
}
