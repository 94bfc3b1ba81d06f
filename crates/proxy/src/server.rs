//! The gRPC service: hands each call to its handler and puts errors into the answer's status.

use std::time::Duration;

use cinclus_types::proto::common::Status;
use cinclus_types::proto::schema::CollectionSchema;
use prost::Message;
use tokio_stream::Empty;
use tonic::{Request, Response, Streaming};

use crate::guard::Guarded;
use crate::proto::milvus as wire;
use crate::proto::milvus::milvus_service_server::{MilvusService, MilvusServiceServer};
use crate::proxy::{Call, Proxy};
use crate::status::ProxyError;
use crate::unsupported::{NO_STREAMS, refuse, unsupported};
use crate::{
    alias, alter, collection, connect, database, delete, flush, hybrid, index, insert, load, partition,
    query, search, statistics, upsert,
};

/// An answer with a status in it.
trait Answer: Default {
    /// The answer that only says what went wrong.
    fn failed(status: Status) -> Self;
}

impl Answer for Status {
    fn failed(status: Status) -> Status {
        status
    }
}

impl Answer for wire::DummyResponse {
    fn failed(_: Status) -> wire::DummyResponse {
        wire::DummyResponse::default()
    }
}

impl Answer for wire::MutationResult {
    fn failed(mut status: Status) -> wire::MutationResult {
        // AsyncMilvusClient.delete (pymilvus 3.0.2) looks at no status: it reads the cost as a number and goes on. A
        // number here would make it take a failed delete for done; so it gets words, and raises with them. All other
        // calls and clients look at the status first.
        let words = format!("code={}: {}", status.code, status.reason);
        status.extra_info.insert("report_value".to_owned(), words);
        wire::MutationResult { status: Some(status), ..Default::default() }
    }
}

impl Answer for wire::DescribeCollectionResponse {
    fn failed(status: Status) -> wire::DescribeCollectionResponse {
        // The Node SDK reads the schema before it looks at the status.
        wire::DescribeCollectionResponse {
            status: Some(status),
            schema: Some(CollectionSchema::default()),
            ..Default::default()
        }
    }
}

macro_rules! answers {
    ($($Answer:ident)*) => {$(
        impl Answer for wire::$Answer {
            fn failed(status: Status) -> wire::$Answer {
                wire::$Answer { status: Some(status), ..Default::default() }
            }
        }
    )*};
}

answers! {
    ConnectResponse GetVersionResponse CheckHealthResponse AllocTimestampResponse ComponentStates
    ListDatabasesResponse DescribeDatabaseResponse BoolResponse
    BatchDescribeCollectionResponse ShowCollectionsResponse GetCollectionStatisticsResponse
    DescribeAliasResponse ListAliasesResponse ShowPartitionsResponse GetPartitionStatisticsResponse
    GetLoadingProgressResponse GetLoadStateResponse DescribeIndexResponse GetIndexStateResponse
    GetIndexBuildProgressResponse GetIndexStatisticsResponse FlushResponse
    GetFlushStateResponse QueryResults SearchResults
}

/// The service of a proxy.
#[derive(Clone)]
pub struct Service {
    proxy: Proxy,
}

/// A call that has begun.
struct Begun {
    name: &'static str,
    at: Duration,
}

impl Service {
    /// The service of a proxy, for who calls it without a connection.
    #[must_use]
    pub fn new(proxy: Proxy) -> Service {
        Service { proxy }
    }

    fn begin(&self, name: &'static str) -> Begun {
        Begun { name, at: self.proxy.parts().env.clock.monotonic() }
    }

    /// Refuses to send an answer that is too large: the connection would fail, and clients would ask again.
    fn fitting<A: Message>(&self, answer: A) -> Result<A, ProxyError> {
        let (bytes, limit) = (answer.encoded_len(), self.proxy.config().answer_bytes_max);
        if bytes > limit { Err(ProxyError::AnswerTooLarge { bytes, limit }) } else { Ok(answer) }
    }

    /// Counts the call and makes its answer.
    fn finish<A: Answer + Message>(&self, begun: &Begun, result: Result<A, ProxyError>) -> Response<A> {
        let result = result.and_then(|answer| self.fitting(answer));
        let env = &self.proxy.parts().env;
        let took = env.clock.monotonic().saturating_sub(begun.at);
        let outcome = if result.is_ok() { "success" } else { "fail" };
        let labels = [("function_name", begun.name), ("status", outcome)];
        env.telemetry.counter("milvus_proxy_req_count", "Requests, by outcome.", &labels).inc();
        let name = "milvus_proxy_req_latency_seconds";
        let buckets = cinclus_env::Telemetry::seconds();
        env.telemetry
            .histogram(name, "Time that requests took.", &buckets, &labels[..1])
            .observe(took.as_secs_f64());
        Response::new(result.unwrap_or_else(|error| {
            tracing::debug!(call = begun.name, code = error.code(), %error, "request failed");
            A::failed(error.status())
        }))
    }
}

macro_rules! service {
    (
        { $($call:ident: $Request:ty => $Answer:ty, $handler:path;)* }
        { $($reason:literal { $($refused:ident: $Refused:ty => $Never:ty;)* })* }
    ) => {
        #[tonic::async_trait]
        impl MilvusService for Service {
            $(
                async fn $call(&self, request: Request<$Request>) -> Result<Response<$Answer>, tonic::Status> {
                    let begun = self.begin(stringify!($call));
                    let call = Call::of(request.metadata());
                    let result = $handler(&self.proxy, &call, request.into_inner()).await;
                    Ok(self.finish(&begun, result))
                }
            )*
            $($(
                async fn $refused(&self, _: Request<$Refused>) -> Result<Response<$Never>, tonic::Status> {
                    Err(refuse(stringify!($refused), $reason))
                }
            )*)*

            type CreateReplicateStreamStream = Empty<Result<wire::Unserved, tonic::Status>>;
            async fn create_replicate_stream(
                &self,
                _: Request<Streaming<wire::Unserved>>,
            ) -> Result<Response<Self::CreateReplicateStreamStream>, tonic::Status> {
                Err(refuse("create_replicate_stream", NO_STREAMS))
            }

            type DumpMessagesStream = Empty<Result<wire::Unserved, tonic::Status>>;
            async fn dump_messages(
                &self,
                _: Request<wire::Unserved>,
            ) -> Result<Response<Self::DumpMessagesStream>, tonic::Status> {
                Err(refuse("dump_messages", NO_STREAMS))
            }
        }
    };
}

unsupported! { service! {
    connect: wire::ConnectRequest => wire::ConnectResponse, connect::connect;
    get_version: wire::GetVersionRequest => wire::GetVersionResponse, connect::version;
    check_health: wire::CheckHealthRequest => wire::CheckHealthResponse, connect::health;
    alloc_timestamp: wire::AllocTimestampRequest => wire::AllocTimestampResponse, connect::alloc_timestamp;
    get_component_states: wire::GetComponentStatesRequest => wire::ComponentStates, connect::component_states;
    dummy: wire::DummyRequest => wire::DummyResponse, connect::dummy;
    create_database: wire::CreateDatabaseRequest => Status, database::create;
    drop_database: wire::DropDatabaseRequest => Status, database::drop;
    list_databases: wire::ListDatabasesRequest => wire::ListDatabasesResponse, database::list;
    alter_database: wire::AlterDatabaseRequest => Status, database::alter;
    describe_database: wire::DescribeDatabaseRequest => wire::DescribeDatabaseResponse, database::describe;
    create_collection: wire::CreateCollectionRequest => Status, collection::create;
    drop_collection: wire::DropCollectionRequest => Status, collection::drop;
    has_collection: wire::HasCollectionRequest => wire::BoolResponse, collection::has;
    describe_collection: wire::DescribeCollectionRequest => wire::DescribeCollectionResponse, collection::describe;
    batch_describe_collection: wire::BatchDescribeCollectionRequest => wire::BatchDescribeCollectionResponse, collection::describe_batch;
    show_collections: wire::ShowCollectionsRequest => wire::ShowCollectionsResponse, collection::show;
    rename_collection: wire::RenameCollectionRequest => Status, collection::rename;
    alter_collection: wire::AlterCollectionRequest => Status, alter::collection;
    alter_collection_field: wire::AlterCollectionFieldRequest => Status, alter::field;
    get_collection_statistics: wire::GetCollectionStatisticsRequest => wire::GetCollectionStatisticsResponse, statistics::collection;
    create_alias: wire::CreateAliasRequest => Status, alias::create;
    drop_alias: wire::DropAliasRequest => Status, alias::drop;
    alter_alias: wire::AlterAliasRequest => Status, alias::alter;
    describe_alias: wire::DescribeAliasRequest => wire::DescribeAliasResponse, alias::describe;
    list_aliases: wire::ListAliasesRequest => wire::ListAliasesResponse, alias::list;
    create_partition: wire::CreatePartitionRequest => Status, partition::create;
    drop_partition: wire::DropPartitionRequest => Status, partition::drop;
    has_partition: wire::HasPartitionRequest => wire::BoolResponse, partition::has;
    show_partitions: wire::ShowPartitionsRequest => wire::ShowPartitionsResponse, partition::show;
    get_partition_statistics: wire::GetPartitionStatisticsRequest => wire::GetPartitionStatisticsResponse, statistics::partition;
    load_collection: wire::LoadCollectionRequest => Status, load::load_collection;
    release_collection: wire::ReleaseCollectionRequest => Status, load::release_collection;
    load_partitions: wire::LoadPartitionsRequest => Status, load::load_partitions;
    release_partitions: wire::ReleasePartitionsRequest => Status, load::release_partitions;
    get_loading_progress: wire::GetLoadingProgressRequest => wire::GetLoadingProgressResponse, load::progress;
    get_load_state: wire::GetLoadStateRequest => wire::GetLoadStateResponse, load::state;
    create_index: wire::CreateIndexRequest => Status, index::create;
    alter_index: wire::AlterIndexRequest => Status, index::alter;
    describe_index: wire::DescribeIndexRequest => wire::DescribeIndexResponse, index::describe;
    drop_index: wire::DropIndexRequest => Status, index::drop;
    get_index_state: wire::GetIndexStateRequest => wire::GetIndexStateResponse, index::state;
    get_index_build_progress: wire::GetIndexBuildProgressRequest => wire::GetIndexBuildProgressResponse, index::build_progress;
    get_index_statistics: wire::GetIndexStatisticsRequest => wire::GetIndexStatisticsResponse, index::statistics;
    insert: wire::InsertRequest => wire::MutationResult, insert::insert;
    upsert: wire::UpsertRequest => wire::MutationResult, upsert::upsert;
    delete: wire::DeleteRequest => wire::MutationResult, delete::delete;
    flush: wire::FlushRequest => wire::FlushResponse, flush::flush;
    get_flush_state: wire::GetFlushStateRequest => wire::GetFlushStateResponse, flush::flush_state;
    query: wire::QueryRequest => wire::QueryResults, query::query;
    search: wire::SearchRequest => wire::SearchResults, search::search;
    hybrid_search: wire::HybridSearchRequest => wire::SearchResults, hybrid::hybrid_search;
} }

impl Proxy {
    /// The gRPC service of this proxy.
    #[must_use]
    pub fn into_service(self) -> Guarded<MilvusServiceServer<Service>> {
        let (incoming, outgoing) = (self.config().request_bytes_max, self.config().answer_bytes_max);
        Guarded::new(
            MilvusServiceServer::new(Service { proxy: self })
                .max_decoding_message_size(incoming)
                .max_encoding_message_size(outgoing),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_of_a_failed_write_is_no_number() {
        let failed = wire::MutationResult::failed(ProxyError::Invalid("x".to_owned()).status());
        let extra = failed.status.map(|status| status.extra_info).unwrap_or_default();
        let words = extra.get("report_value").map(String::as_str);
        assert_eq!(words, Some("code=1100: x: invalid parameter"));
        assert_eq!(extra.get("is_input_error").map(String::as_str), Some("true"));
    }
}
