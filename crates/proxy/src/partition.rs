//! Partitions: create, drop, has, show.

use cinclus_rpc::Ddl;
use cinclus_types::proto::common::Status;

use crate::names;
use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};

fn refuse_key(target: &Target) -> Result<(), ProxyError> {
    if target.collection.schema().fields.iter().any(|field| field.partition_key) {
        return Err(ProxyError::Plain("disable create partition if partition key mode is used".to_owned()));
    }
    Ok(())
}

/// Creates a partition. One that exists is a success.
///
/// # Errors
/// The name is not allowed, there are too many, or the collection is missing.
pub(crate) async fn create(
    proxy: &Proxy,
    call: &Call,
    request: wire::CreatePartitionRequest,
) -> Result<Status, ProxyError> {
    names::partition(&request.partition_name)?;
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    refuse_key(&target)?;
    let limit = proxy.config().partitions_max;
    let partitions = &target.collection.partitions;
    if partitions.len() >= limit && target.collection.partition(&request.partition_name).is_none() {
        return Err(ProxyError::Plain(format!(
            "partition number ({}) exceeds max configuration ({limit}), collection: {}",
            partitions.len(),
            target.collection.name
        )));
    }
    let create = Ddl::CreatePartition {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        partition: request.partition_name,
    };
    proxy.ddl(create).await?;
    Ok(success())
}

/// Drops a partition. One that is missing is a success.
///
/// # Errors
/// It is the default one or loaded, or the collection is missing.
pub(crate) async fn drop(
    proxy: &Proxy,
    call: &Call,
    request: wire::DropPartitionRequest,
) -> Result<Status, ProxyError> {
    names::partition(&request.partition_name)?;
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    if target.collection.schema().fields.iter().any(|field| field.partition_key) {
        return Err(ProxyError::Plain("disable drop partition if partition key mode is used".to_owned()));
    }
    if request.partition_name == "_default" {
        return Err(ProxyError::Plain("default partition cannot be deleted".to_owned()));
    }
    let drop = Ddl::DropPartition {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        partition: request.partition_name,
    };
    proxy.ddl(drop).await?;
    Ok(success())
}

/// Tells whether there is a partition of a name.
///
/// # Errors
/// The collection is missing.
pub(crate) async fn has(
    proxy: &Proxy,
    call: &Call,
    request: wire::HasPartitionRequest,
) -> Result<wire::BoolResponse, ProxyError> {
    names::partition(&request.partition_name)?;
    let target = proxy.known(call, &request.db_name, &request.collection_name)?;
    let value = target.collection.partition(&request.partition_name).is_some();
    Ok(wire::BoolResponse { status: Some(success()), value })
}

/// Lists the partitions of a collection.
///
/// # Errors
/// The collection or a named partition is missing.
pub(crate) async fn show(
    proxy: &Proxy,
    call: &Call,
    request: wire::ShowPartitionsRequest,
) -> Result<wire::ShowPartitionsResponse, ProxyError> {
    let (name, id) = (&request.collection_name, request.collection_id);
    let target = if id != 0 && name.is_empty() {
        proxy.target_or_id(call, &request.db_name, name, id)?
    } else {
        proxy.known(call, &request.db_name, name)?
    };
    let asked = &request.partition_names;
    if let Some(name) = asked.iter().find(|name| target.collection.partition(name).is_none()) {
        return Err(ProxyError::PartitionNotFound(name.clone()));
    }
    let loaded_only = request.r#type == wire::ShowType::InMemory as i32;
    let mut response = wire::ShowPartitionsResponse { status: Some(success()), ..Default::default() };
    for partition in &target.collection.partitions {
        let loaded = target.collection.is_partition_loaded(partition.id);
        if (loaded_only && !loaded) || !(asked.is_empty() || asked.contains(&partition.name)) {
            continue;
        }
        response.partition_names.push(partition.name.clone());
        response.partition_i_ds.push(partition.id.0);
        response.created_timestamps.push(partition.created.0);
        response.created_utc_timestamps.push(partition.created.unix_ms());
        response.in_memory_percentages.push(if loaded { 100 } else { 0 });
    }
    Ok(response)
}
