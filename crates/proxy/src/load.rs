//! Loading and releasing: whether a collection can be searched.

use cinclus_rpc::{Ddl, ReadError};
use cinclus_types::proto::common::{LoadState, Status};
use cinclus_types::{CollectionSchema, FieldSchema, PartitionId};

use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};

/// Loads a collection. Loading it again is a success.
///
/// # Errors
/// A vector field has no index, or the collection is missing.
pub(crate) async fn load_collection(
    proxy: &Proxy,
    call: &Call,
    request: wire::LoadCollectionRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    check_fields(target.collection.schema(), &request.load_fields)?;
    proxy.ddl(load(&target, None, request.replica_number, request.load_fields)).await?;
    Ok(success())
}

/// Loads partitions.
///
/// # Errors
/// A vector field has no index, or the collection or a partition is missing.
pub(crate) async fn load_partitions(
    proxy: &Proxy,
    call: &Call,
    request: wire::LoadPartitionsRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    check_fields(target.collection.schema(), &request.load_fields)?;
    let names = Some(request.partition_names);
    proxy.ddl(load(&target, names, request.replica_number, request.load_fields)).await?;
    Ok(success())
}

/// Refuses a list of fields (empty: all) without those that reads cannot do without.
fn check_fields(schema: &CollectionSchema, names: &[String]) -> Result<(), ProxyError> {
    if names.is_empty() {
        return Ok(());
    }
    if let Some(name) = names.iter().find(|name| schema.field(name).is_none()) {
        return Err(ProxyError::Plain(format!("fieldName({name}) not found")));
    }
    let lacks = |field: &&FieldSchema| !names.contains(&field.name);
    let without = |what: String| {
        let list = names.join(" ");
        Err(ProxyError::Invalid(format!("load field list [{list}] does not contain {what}")))
    };
    if let Some(field) = schema.primary_key().filter(lacks) {
        return without(format!("primary key field {}", field.name));
    }
    if schema.vector_fields().all(|field| lacks(&field)) {
        return without("vector field".to_owned());
    }
    if let Some(field) = schema.fields.iter().filter(|field| field.partition_key).find(lacks) {
        return without(format!("partition key field {}", field.name));
    }
    match schema.fields.iter().filter(|field| field.clustering_key).find(lacks) {
        Some(field) => without(format!("clustering key field {}", field.name)),
        None => Ok(()),
    }
}

fn load(target: &Target, partitions: Option<Vec<String>>, replicas: i32, fields: Vec<String>) -> Ddl {
    Ddl::Load {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        partitions,
        replicas: u32::try_from(replicas).unwrap_or(0),
        fields,
    }
}

/// Releases a collection.
///
/// # Errors
/// The collection is missing.
pub(crate) async fn release_collection(
    proxy: &Proxy,
    call: &Call,
    request: wire::ReleaseCollectionRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    proxy.ddl(release(&target, None)).await?;
    Ok(success())
}

/// Releases partitions.
///
/// # Errors
/// The collection or a partition is missing.
pub(crate) async fn release_partitions(
    proxy: &Proxy,
    call: &Call,
    request: wire::ReleasePartitionsRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    proxy.ddl(release(&target, Some(request.partition_names))).await?;
    Ok(success())
}

fn release(target: &Target, partitions: Option<Vec<String>>) -> Ddl {
    Ddl::Release {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        partitions,
    }
}

/// How many of a hundred parts of a collection, or of partitions, can be searched: of its shards, so many
/// serve.
///
/// # Errors
/// Nothing of it is to be loaded.
pub(crate) async fn progress(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetLoadingProgressRequest,
) -> Result<wire::GetLoadingProgressResponse, ProxyError> {
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    if !is_to_be_loaded(&target, &request.partition_names)? {
        let error = ReadError::NotLoaded(target.collection.id);
        return Err(ProxyError::Read { verb: "get loading progress", error });
    }
    let progress = percent(proxy, &target).await?;
    Ok(wire::GetLoadingProgressResponse { status: Some(success()), progress, refresh_progress: 100 })
}

/// Tells whether a collection, or partitions of it, can be searched.
///
/// # Errors
/// A partition is missing.
pub(crate) async fn state(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetLoadStateRequest,
) -> Result<wire::GetLoadStateResponse, ProxyError> {
    let state = match proxy.known(call, &request.db_name, &request.collection_name) {
        Err(ProxyError::Ddl(_)) => LoadState::NotExist,
        Err(other) => return Err(other),
        Ok(target) if !is_to_be_loaded(&target, &request.partition_names)? => LoadState::NotLoad,
        Ok(target) if percent(proxy, &target).await? < 100 => LoadState::Loading,
        Ok(_) => LoadState::Loaded,
    };
    Ok(wire::GetLoadStateResponse { status: Some(success()), state: state as i32 })
}

fn is_to_be_loaded(target: &Target, names: &[String]) -> Result<bool, ProxyError> {
    let collection = &target.collection;
    let id = |name: &String| match collection.partition(name) {
        Some(partition) => Ok(partition.id),
        None => Err(ProxyError::PartitionNotFound(name.clone())),
    };
    let named: Vec<PartitionId> = names.iter().map(id).collect::<Result<_, _>>()?;
    Ok(collection.is_loaded() && named.iter().all(|id| collection.is_partition_loaded(*id)))
}

async fn percent(proxy: &Proxy, target: &Target) -> Result<i64, ProxyError> {
    let shards = proxy.statistics(target).await?;
    let serving = shards.iter().filter(|shard| shard.serving).count();
    Ok((serving * 100 / shards.len().max(1)) as i64)
}

#[cfg(test)]
mod tests {
    use cinclus_types::{DataType, FieldId};

    use super::*;

    #[test]
    fn keys_and_a_vector_are_always_loaded() {
        let field = |id, name, kind| FieldSchema::new(FieldId(id), name, kind);
        let mut schema = CollectionSchema::default();
        schema.fields.push(field(100, "id", DataType::Int64).as_primary_key());
        schema.fields.push(field(101, "v", DataType::FloatVector).with_param("dim", 2));
        schema.fields.push(FieldSchema { partition_key: true, ..field(102, "p", DataType::Int64) });
        schema.fields.push(FieldSchema { clustering_key: true, ..field(103, "c", DataType::Int64) });
        let judge = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check_fields(&schema, &names).map_err(|error| error.to_string())
        };
        assert_eq!((judge(&[]), judge(&["c", "p", "v", "id"])), (Ok(()), Ok(())));
        assert_eq!(
            judge(&["v", "p"]).unwrap_err(),
            "load field list [v p] does not contain primary key field id: invalid parameter"
        );
        assert!(judge(&["id", "p", "c"]).unwrap_err().contains("does not contain vector field"));
        assert!(judge(&["id", "v"]).unwrap_err().contains("does not contain partition key field p"));
        assert!(judge(&["id", "v", "p"]).unwrap_err().contains("does not contain clustering key field c"));
        assert!(judge(&["x"]).unwrap_err().contains("fieldName(x) not found"));
    }
}
