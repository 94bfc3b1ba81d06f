//! Databases: create, drop, list, describe, alter.

use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::convert::schema::{map, pairs};
use cinclus_types::proto::common::Status;

use crate::alter::changes;
use crate::names;
use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy};
use crate::status::{ProxyError, success};

/// Creates a database.
///
/// # Errors
/// The name is not allowed or taken, or there are too many.
pub(crate) async fn create(
    proxy: &Proxy,
    _call: &Call,
    request: wire::CreateDatabaseRequest,
) -> Result<Status, ProxyError> {
    names::database(&request.db_name)?;
    proxy.ddl(Ddl::CreateDatabase { name: request.db_name, properties: map(request.properties) }).await?;
    Ok(success())
}

/// Drops an empty database. One that is missing is a success.
///
/// # Errors
/// It is not empty, or the default one.
pub(crate) async fn drop(
    proxy: &Proxy,
    _call: &Call,
    request: wire::DropDatabaseRequest,
) -> Result<Status, ProxyError> {
    names::database(&request.db_name)?;
    if request.db_name == "default" {
        return Err(ProxyError::Invalid("can not drop default database".to_owned()));
    }
    match proxy.ddl(Ddl::DropDatabase { name: request.db_name }).await {
        Ok(_) | Err(ProxyError::Ddl(DdlError::DatabaseNotFound(_))) => Ok(success()),
        Err(error) => Err(error),
    }
}

/// Lists all databases.
///
/// # Errors
/// None.
pub(crate) async fn list(
    proxy: &Proxy,
    _call: &Call,
    _request: wire::ListDatabasesRequest,
) -> Result<wire::ListDatabasesResponse, ProxyError> {
    let view = proxy.parts().collections.view();
    let mut response = wire::ListDatabasesResponse { status: Some(success()), ..Default::default() };
    for database in view.databases() {
        response.db_names.push(database.name.clone());
        response.created_timestamp.push(database.created.0);
        response.db_ids.push(database.id.0);
    }
    Ok(response)
}

/// Describes a database.
///
/// # Errors
/// It is missing.
pub(crate) async fn describe(
    proxy: &Proxy,
    call: &Call,
    request: wire::DescribeDatabaseRequest,
) -> Result<wire::DescribeDatabaseResponse, ProxyError> {
    let database = proxy.database(call, &request.db_name)?;
    Ok(wire::DescribeDatabaseResponse {
        status: Some(success()),
        db_name: database.name.clone(),
        db_id: database.id.0,
        created_timestamp: database.created.0,
        properties: pairs(&database.properties),
    })
}

/// Sets or removes properties of a database.
///
/// # Errors
/// The request is not right, or the database is missing.
pub(crate) async fn alter(
    proxy: &Proxy,
    call: &Call,
    request: wire::AlterDatabaseRequest,
) -> Result<Status, ProxyError> {
    let properties = map(request.properties);
    if properties.is_empty() && request.delete_keys.is_empty() {
        let text = "alter database with empty properties and delete keys, expected to set either properties or delete keys";
        return Err(ProxyError::Invalid(text.to_owned()));
    }
    let (set, remove) = changes(properties, request.delete_keys)?;
    let name = proxy.database(call, &request.db_name)?.name.clone();
    proxy.ddl(Ddl::AlterDatabase { name, set, remove }).await?;
    Ok(success())
}
