//! Collections: create, drop, describe, show, rename.

use cinclus_catalog::CollectionEntry;
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::convert::schema::{map, pairs};
use cinclus_types::convert::schema_to_wire;
use cinclus_types::proto::common::Status;
use cinclus_types::proto::schema::CollectionSchema as WireSchema;
use cinclus_types::{CollectionSchema, ConsistencyLevel};
use prost::Message as _;

use crate::names;
use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target, database_name};
use crate::status::{ProxyError, success};
use crate::validate::schema;

/// Partitions of a collection with a partition key, if the client names no number.
const KEY_PARTITIONS: i64 = 16;

/// Creates a collection. The same schema under the same name again is a success.
///
/// # Errors
/// The request is not right, or another collection has the name.
pub(crate) async fn create(
    proxy: &Proxy,
    call: &Call,
    request: wire::CreateCollectionRequest,
) -> Result<Status, ProxyError> {
    let name = request.collection_name;
    names::collection(&name)?;
    let given = WireSchema::decode(request.schema)
        .map_err(|error| ProxyError::Invalid(format!("the schema cannot be read: {error}")))?;
    if !given.name.is_empty() && given.name != name {
        return Err(ProxyError::Unexpected {
            what: "collection name matches schema name".into(),
            expected: name,
            actual: given.name,
        });
    }
    let schema = schema::check(&name, &given)?;
    let shards = u32::try_from(request.shards_num).unwrap_or(0);
    if shards > proxy.config().shards_max {
        return Err(ProxyError::Invalid(format!(
            "maximum shards's number should be limited to {}",
            proxy.config().shards_max
        )));
    }
    let partitions = first_partitions(proxy, &schema, request.num_partitions)?;
    let mut properties = map(given.properties);
    properties.extend(map(request.properties));
    properties.entry("timezone".to_owned()).or_insert_with(|| "UTC".to_owned());
    let level = request.consistency_level;
    let consistency = ConsistencyLevel::from_number(level)
        .ok_or_else(|| ProxyError::Invalid(format!("unknown consistency level {level}")))?;
    let database = database_name(call, &request.db_name);
    proxy
        .ddl(Ddl::CreateCollection { database, name, schema, shards, partitions, consistency, properties })
        .await?;
    Ok(success())
}

fn first_partitions(proxy: &Proxy, schema: &CollectionSchema, asked: i64) -> Result<Vec<String>, ProxyError> {
    if !schema.fields.iter().any(|field| field.partition_key) {
        return if asked > 0 {
            Err(ProxyError::Plain(
                "num_partitions should only be specified with partition key field enabled".to_owned(),
            ))
        } else {
            Ok(vec!["_default".to_owned()])
        };
    }
    let count = if asked > 0 { asked } else { KEY_PARTITIONS };
    let limit = proxy.config().partitions_max;
    if usize::try_from(count).is_ok_and(|count| count <= limit) {
        return Ok((0..count).map(|number| format!("_default_{number}")).collect());
    }
    Err(ProxyError::Plain(format!("partition number ({count}) exceeds max configuration ({limit})")))
}

/// Drops a collection. One that is missing is a success, also if its database is.
///
/// # Errors
/// The name is an alias, or the coordinator did not do it.
pub(crate) async fn drop(
    proxy: &Proxy,
    call: &Call,
    request: wire::DropCollectionRequest,
) -> Result<Status, ProxyError> {
    names::collection(&request.collection_name)?;
    let database = database_name(call, &request.db_name);
    match proxy.ddl(Ddl::DropCollection { database, name: request.collection_name }).await {
        Ok(_) | Err(ProxyError::Ddl(DdlError::DatabaseNotFound(_))) => Ok(success()),
        Err(error) => Err(error),
    }
}

/// Tells whether there is a collection or an alias of a name.
///
/// # Errors
/// The database is missing, or the name is not allowed.
pub(crate) async fn has(
    proxy: &Proxy,
    call: &Call,
    request: wire::HasCollectionRequest,
) -> Result<wire::BoolResponse, ProxyError> {
    let value = match proxy.target(call, &request.db_name, &request.collection_name) {
        Ok(_) => true,
        Err(ProxyError::CannotFindCollection { .. }) => false,
        Err(other) => return Err(other),
    };
    Ok(wire::BoolResponse { status: Some(success()), value })
}

/// Describes a collection, by name, alias or id.
///
/// # Errors
/// There is no such collection.
pub(crate) async fn describe(
    proxy: &Proxy,
    call: &Call,
    request: wire::DescribeCollectionRequest,
) -> Result<wire::DescribeCollectionResponse, ProxyError> {
    let (name, id) = (&request.collection_name, request.collection_id);
    let target = proxy.target_or_id(call, &request.db_name, name, id)?;
    Ok(description(proxy, &target))
}

/// Describes several collections.
///
/// # Errors
/// One is missing.
pub(crate) async fn describe_batch(
    proxy: &Proxy,
    call: &Call,
    request: wire::BatchDescribeCollectionRequest,
) -> Result<wire::BatchDescribeCollectionResponse, ProxyError> {
    if request.collection_name.is_empty() && request.collection_id.is_empty() {
        return Err(ProxyError::Invalid("no collection to describe".to_owned()));
    }
    let mut responses = Vec::new();
    for name in &request.collection_name {
        responses.push(description(proxy, &proxy.target(call, &request.db_name, name)?));
    }
    for id in &request.collection_id {
        responses.push(description(proxy, &proxy.target_or_id(call, &request.db_name, "", *id)?));
    }
    Ok(wire::BatchDescribeCollectionResponse { status: Some(success()), responses })
}

fn description(proxy: &Proxy, target: &Target) -> wire::DescribeCollectionResponse {
    let collection = &target.collection;
    let mut schema = schema_to_wire(collection.schema());
    schema.name.clone_from(&collection.name);
    // Clients know of undeclared keys by the flag alone.
    schema.fields.retain(|field| !field.is_dynamic);
    schema.properties = pairs(&collection.properties);
    let view = proxy.parts().collections.view();
    let aliases = view.aliases_of(collection.id).into_iter().map(str::to_owned);
    // What an insert is checked against, so that it changes only with the schema.
    let update_timestamp = collection.schemas.last().map_or(0, |version| version.from.0);
    wire::DescribeCollectionResponse {
        status: Some(success()),
        schema: Some(schema),
        collection_id: collection.id.0,
        virtual_channel_names: collection.vchannels.iter().map(|channel| channel.name().to_owned()).collect(),
        physical_channel_names: collection
            .vchannels
            .iter()
            .map(|channel| channel.pchannel().name().to_owned())
            .collect(),
        created_timestamp: collection.created.0,
        created_utc_timestamp: collection.created.unix_ms(),
        shards_num: collection.vchannels.len() as i32,
        aliases: aliases.collect(),
        start_positions: Vec::new(),
        consistency_level: collection.consistency.number(),
        collection_name: collection.name.clone(),
        properties: pairs(&collection.properties),
        db_name: target.database.name.clone(),
        num_partitions: collection.partitions.len() as i64,
        db_id: target.database.id.0,
        request_time: proxy.now().0,
        update_timestamp,
        update_timestamp_str: update_timestamp.to_string(),
    }
}

/// Lists the collections of a database: all, or the loaded ones.
///
/// # Errors
/// There is no such database.
pub(crate) async fn show(
    proxy: &Proxy,
    call: &Call,
    request: wire::ShowCollectionsRequest,
) -> Result<wire::ShowCollectionsResponse, ProxyError> {
    let database = proxy.database(call, &request.db_name)?;
    let view = proxy.parts().collections.view();
    let loaded_only = request.r#type == wire::ShowType::InMemory as i32;
    let asked = &request.collection_names;
    let wanted = |collection: &CollectionEntry| {
        (!loaded_only || collection.is_loaded()) && (asked.is_empty() || asked.contains(&collection.name))
    };
    let mut response = wire::ShowCollectionsResponse { status: Some(success()), ..Default::default() };
    for collection in view.collections(database.id).filter(|collection| wanted(collection)) {
        response.collection_names.push(collection.name.clone());
        response.collection_ids.push(collection.id.0);
        response.created_timestamps.push(collection.created.0);
        response.created_utc_timestamps.push(collection.created.unix_ms());
        response.in_memory_percentages.push(if collection.is_loaded() { 100 } else { 0 });
        response.query_service_available.push(collection.is_loaded());
        response.shards_num.push(collection.vchannels.len() as i32);
    }
    Ok(response)
}

/// Renames a collection, or moves it to another database.
///
/// # Errors
/// The new name is not allowed or taken, or the collection is missing.
pub(crate) async fn rename(
    proxy: &Proxy,
    call: &Call,
    request: wire::RenameCollectionRequest,
) -> Result<Status, ProxyError> {
    names::collection(&request.new_name)?;
    let database = database_name(call, &request.db_name);
    let rename = Ddl::RenameCollection {
        database,
        name: request.old_name,
        new_database: request.new_db_name,
        new_name: request.new_name,
    };
    proxy.ddl(rename).await?;
    Ok(success())
}
