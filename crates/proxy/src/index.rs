//! Indexes: create, describe, drop, alter. What the user asks for is kept and shown; what is built inside
//! is not its business.

use std::collections::BTreeMap;

use cinclus_catalog::IndexEntry;
use cinclus_rpc::Ddl;
use cinclus_types::convert::schema::pairs;
use cinclus_types::proto::common::{IndexState, KeyValuePair, Status};
use cinclus_types::{FieldSchema, Metric};

use crate::collection::changes;
use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};

/// Index types for float vectors.
const VECTOR_TYPES: [&str; 12] = [
    "AUTOINDEX",
    "FLAT",
    "IVF_FLAT",
    "IVF_SQ8",
    "IVF_PQ",
    "IVF_RABITQ",
    "HNSW",
    "HNSW_SQ",
    "HNSW_PQ",
    "HNSW_PRQ",
    "SCANN",
    "DISKANN",
];
/// Index types for scalars.
const SCALAR_TYPES: [&str; 6] = ["AUTOINDEX", "INVERTED", "BITMAP", "STL_SORT", "TRIE", "NGRAM"];
/// Index types for vectors that are not served.
const OTHER_TYPES: [&str; 4] = ["BIN_FLAT", "BIN_IVF_FLAT", "SPARSE_INVERTED_INDEX", "SPARSE_WAND"];

/// Creates an index. The same parameters again are a success.
///
/// # Errors
/// The parameters do not fit the field, the field has another index, or something is missing.
pub(crate) async fn create(
    proxy: &Proxy,
    call: &Call,
    request: wire::CreateIndexRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let name = &request.field_name;
    let missing = || ProxyError::Invalid(format!("cannot create index on non-exist field: {name}"));
    let field = target.collection.schema().field(name).ok_or_else(missing)?;
    let params = complete(field, flat(&request.extra_params)?)?;
    let create = Ddl::CreateIndex {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        field: field.name.clone(),
        name: request.index_name,
        params,
    };
    proxy.ddl(create).await?;
    Ok(success())
}

/// All parameters; those inside `params` (JSON) stand beside the others.
fn flat(given: &[KeyValuePair]) -> Result<BTreeMap<String, String>, ProxyError> {
    let mut all = BTreeMap::new();
    for pair in given {
        if pair.key != "params" {
            all.insert(pair.key.clone(), pair.value.clone());
            continue;
        }
        let inner: BTreeMap<String, serde_json::Value> = serde_json::from_str(&pair.value)
            .map_err(|_| ProxyError::Invalid(format!("index params must be JSON, but got {}", pair.value)))?;
        for (key, value) in inner {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            all.entry(key).or_insert(text);
        }
    }
    Ok(all)
}

/// Checks the parameters of an index and fills in defaults.
fn complete(
    field: &FieldSchema,
    mut params: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ProxyError> {
    let vector = field.data_type.is_vector();
    let index_type = params.get("index_type").filter(|name| !name.is_empty()).cloned();
    let index_type = index_type.unwrap_or_else(|| if vector { "AUTOINDEX" } else { "INVERTED" }.to_owned());
    let known = |types: &[&str]| types.iter().any(|name| name.eq_ignore_ascii_case(&index_type));
    let fits = if vector { known(&VECTOR_TYPES) } else { known(&SCALAR_TYPES) };
    if !fits && (known(&VECTOR_TYPES) || known(&SCALAR_TYPES) || known(&OTHER_TYPES)) {
        return Err(ProxyError::Invalid(format!(
            "data type {:?} can't build with this index {index_type}",
            field.data_type
        )));
    }
    if !fits {
        return Err(ProxyError::Unexpected {
            what: "invalid index type",
            expected: "valid index".to_owned(),
            actual: format!("invalid index type: {index_type}"),
        });
    }
    if vector {
        let metric = params.get("metric_type").filter(|name| !name.is_empty()).cloned();
        let metric = match metric {
            Some(name) => name,
            None if index_type.eq_ignore_ascii_case("AUTOINDEX") => Metric::Cosine.name().to_owned(),
            None => return Err(ProxyError::Invalid("metric type not set for vector index".to_owned())),
        };
        if Metric::from_name(&metric).is_none() {
            return Err(ProxyError::Invalid(format!(
                "float vector index does not support metric type: {metric}"
            )));
        }
        params.insert("metric_type".to_owned(), metric);
    }
    params.insert("index_type".to_owned(), index_type);
    Ok(params)
}

/// The indexes that a request names: by name, by field, or all.
fn selected<'a>(target: &'a Target, name: &str, field: &str) -> Result<Vec<&'a IndexEntry>, ProxyError> {
    let field = target.collection.schema().field(field).map(|field| field.id);
    let wanted = |index: &&IndexEntry| {
        if name.is_empty() { field.is_none_or(|id| index.field == id) } else { index.name == name }
    };
    let found: Vec<&IndexEntry> = target.collection.indexes.iter().filter(wanted).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(if name.is_empty() {
        ProxyError::IndexNotFound { collection: target.collection.name.clone() }
    } else {
        ProxyError::IndexNameNotFound(name.to_owned())
    })
}

async fn descriptions(
    proxy: &Proxy,
    target: &Target,
    name: &str,
    field: &str,
) -> Result<Vec<wire::IndexDescription>, ProxyError> {
    let indexes = selected(target, name, field)?;
    let rows = proxy.row_count(target).await? as i64;
    let description = |index: &&IndexEntry| wire::IndexDescription {
        index_name: index.name.clone(),
        index_id: index.id.0,
        params: pairs(&index.params),
        field_name: target
            .collection
            .schema()
            .field_by_id(index.field)
            .map_or_else(String::new, |field| field.name.clone()),
        indexed_rows: rows,
        total_rows: rows,
        state: IndexState::Finished as i32,
        ..wire::IndexDescription::default()
    };
    Ok(indexes.iter().map(description).collect())
}

/// Describes indexes.
///
/// # Errors
/// There is none, or the collection is missing.
pub(crate) async fn describe(
    proxy: &Proxy,
    call: &Call,
    request: wire::DescribeIndexRequest,
) -> Result<wire::DescribeIndexResponse, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let index_descriptions = descriptions(proxy, &target, &request.index_name, &request.field_name).await?;
    Ok(wire::DescribeIndexResponse { status: Some(success()), index_descriptions })
}

/// Counts the rows of indexes.
///
/// # Errors
/// There is none, or the collection is missing.
pub(crate) async fn statistics(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetIndexStatisticsRequest,
) -> Result<wire::GetIndexStatisticsResponse, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let index_descriptions = descriptions(proxy, &target, &request.index_name, "").await?;
    Ok(wire::GetIndexStatisticsResponse { status: Some(success()), index_descriptions })
}

/// Tells the state of an index: it is always finished.
///
/// # Errors
/// There is none, or the collection is missing.
pub(crate) async fn state(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetIndexStateRequest,
) -> Result<wire::GetIndexStateResponse, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    selected(&target, &request.index_name, &request.field_name)?;
    let state = IndexState::Finished as i32;
    Ok(wire::GetIndexStateResponse { status: Some(success()), state, fail_reason: String::new() })
}

/// Counts the rows that an index has and should have.
///
/// # Errors
/// There is none, or the collection is missing.
pub(crate) async fn build_progress(
    proxy: &Proxy,
    call: &Call,
    request: wire::GetIndexBuildProgressRequest,
) -> Result<wire::GetIndexBuildProgressResponse, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    selected(&target, &request.index_name, &request.field_name)?;
    let rows = proxy.row_count(&target).await? as i64;
    Ok(wire::GetIndexBuildProgressResponse { status: Some(success()), indexed_rows: rows, total_rows: rows })
}

/// Drops an index. One that is missing is a success.
///
/// # Errors
/// The collection is loaded or missing.
pub(crate) async fn drop(
    proxy: &Proxy,
    call: &Call,
    request: wire::DropIndexRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let name = if request.index_name.is_empty() { request.field_name } else { request.index_name };
    let drop = Ddl::DropIndex {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        name,
    };
    proxy.ddl(drop).await?;
    Ok(success())
}

/// Sets or removes parameters of an index.
///
/// # Errors
/// The request is not right, or there is no such index.
pub(crate) async fn alter(
    proxy: &Proxy,
    call: &Call,
    request: wire::AlterIndexRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let (set, remove) = changes(flat(&request.extra_params)?, request.delete_keys)?;
    selected(&target, &request.index_name, "")?;
    let alter = Ddl::AlterIndex {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        name: request.index_name,
        set,
        remove,
    };
    proxy.ddl(alter).await?;
    Ok(success())
}

#[cfg(test)]
mod tests {
    use cinclus_types::{DataType, FieldId};

    use super::*;

    fn check(data_type: DataType, given: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let field = FieldSchema::new(FieldId(101), "f", data_type);
        let pairs: Vec<KeyValuePair> = given
            .iter()
            .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect();
        let params = flat(&pairs).and_then(|params| complete(&field, params));
        params.map(|params| params.into_iter().collect()).map_err(|error| error.to_string())
    }

    fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn defaults_are_filled_in_and_params_flattened() {
        let vector = DataType::FloatVector;
        assert_eq!(check(vector, &[]), Ok(own(&[("index_type", "AUTOINDEX"), ("metric_type", "COSINE")])));
        assert_eq!(
            check(vector, &[("index_type", "HNSW"), ("metric_type", "L2"), ("params", r#"{"M":16}"#)]),
            Ok(own(&[("M", "16"), ("index_type", "HNSW"), ("metric_type", "L2")]))
        );
        assert_eq!(check(DataType::Int64, &[]), Ok(own(&[("index_type", "INVERTED")])));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let vector = DataType::FloatVector;
        assert!(check(vector, &[("index_type", "HNSW")]).unwrap_err().contains("metric type not set"));
        assert!(check(vector, &[("index_type", "NOPE")]).unwrap_err().contains("invalid index type: NOPE"));
        assert!(
            check(vector, &[("index_type", "BITMAP")]).unwrap_err().contains("can't build with this index")
        );
        assert!(check(vector, &[("index_type", "BIN_FLAT")]).unwrap_err().contains("can't build"));
        assert!(check(DataType::Int64, &[("index_type", "HNSW")]).unwrap_err().contains("can't build"));
        assert!(
            check(vector, &[("metric_type", "HAMMING")])
                .unwrap_err()
                .contains("does not support metric type: HAMMING")
        );
    }
}
