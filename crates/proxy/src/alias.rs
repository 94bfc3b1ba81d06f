//! Aliases: second names of collections.

use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::proto::common::Status;

use crate::names;
use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, database_name};
use crate::status::{ProxyError, success};

/// Gives a collection an alias.
///
/// # Errors
/// The alias is not allowed or taken, or the collection is missing.
pub(crate) async fn create(
    proxy: &Proxy,
    call: &Call,
    request: wire::CreateAliasRequest,
) -> Result<Status, ProxyError> {
    put(proxy, call, &request.db_name, request.collection_name, request.alias, false).await
}

/// Points an alias at another collection.
///
/// # Errors
/// The alias or the collection is missing.
pub(crate) async fn alter(
    proxy: &Proxy,
    call: &Call,
    request: wire::AlterAliasRequest,
) -> Result<Status, ProxyError> {
    let name = request.collection_name.clone();
    put(proxy, call, &request.db_name, request.collection_name, request.alias, true).await.map_err(|error| {
        // Milvus names no database here.
        if matches!(error, ProxyError::Ddl(DdlError::CollectionNotFound { .. })) {
            ProxyError::AliasTargetNotFound(name)
        } else {
            error
        }
    })
}

async fn put(
    proxy: &Proxy,
    call: &Call,
    database: &str,
    collection: String,
    alias: String,
    alter: bool,
) -> Result<Status, ProxyError> {
    names::alias(&alias)?;
    names::collection(&collection)?;
    let database = database_name(call, database);
    proxy.ddl(Ddl::PutAlias { database, alias, collection, alter }).await?;
    Ok(success())
}

/// Drops an alias. One that is missing is a success.
///
/// # Errors
/// The coordinator did not do it.
pub(crate) async fn drop(
    proxy: &Proxy,
    call: &Call,
    request: wire::DropAliasRequest,
) -> Result<Status, ProxyError> {
    names::alias(&request.alias)?;
    let database = database_name(call, &request.db_name);
    proxy.ddl(Ddl::DropAlias { database, alias: request.alias }).await?;
    Ok(success())
}

/// Tells what an alias names.
///
/// # Errors
/// There is no such alias.
pub(crate) async fn describe(
    proxy: &Proxy,
    call: &Call,
    request: wire::DescribeAliasRequest,
) -> Result<wire::DescribeAliasResponse, ProxyError> {
    names::alias(&request.alias)?;
    let database = proxy.database(call, &request.db_name)?;
    let view = proxy.parts().collections.view();
    let entry = view.alias(database.id, &request.alias);
    let collection = entry.and_then(|entry| view.collection(entry.collection));
    let collection = collection.ok_or_else(|| ProxyError::AliasNotFound {
        database: database.name.clone(),
        alias: request.alias.clone(),
    })?;
    Ok(wire::DescribeAliasResponse {
        status: Some(success()),
        db_name: database.name.clone(),
        alias: request.alias,
        collection: collection.name.clone(),
    })
}

/// Lists the aliases of a collection, or of a database.
///
/// # Errors
/// The database or the collection is missing.
pub(crate) async fn list(
    proxy: &Proxy,
    call: &Call,
    request: wire::ListAliasesRequest,
) -> Result<wire::ListAliasesResponse, ProxyError> {
    let view = proxy.parts().collections.view();
    let (database, aliases) = if request.collection_name.is_empty() {
        let database = proxy.database(call, &request.db_name)?;
        let aliases = view.aliases(database.id).map(|alias| alias.name.clone()).collect();
        (database, aliases)
    } else {
        let target = proxy.known(call, &request.db_name, &request.collection_name)?;
        let aliases = view.aliases_of(target.collection.id).into_iter().map(str::to_owned).collect();
        (target.database, aliases)
    };
    Ok(wire::ListAliasesResponse {
        status: Some(success()),
        db_name: database.name.clone(),
        collection_name: request.collection_name,
        aliases,
    })
}
