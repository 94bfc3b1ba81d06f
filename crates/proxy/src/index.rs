//! Indexes: create, describe, drop, alter. What the user asks for is kept and shown; what is built inside
//! is not its business.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cinclus_catalog::IndexEntry;
use cinclus_expr::{Expr, PathStep};
use cinclus_rpc::Ddl;
use cinclus_types::convert::schema::pairs;
use cinclus_types::proto::common::{IndexState, KeyValuePair, Status};
use cinclus_types::{CollectionSchema, DataType, FieldSchema, Metric};

use crate::alter::changes;
use crate::index_params;
use crate::names;
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
    let target = proxy.existing(call, &request.db_name, &request.collection_name)?;
    if !request.index_name.is_empty() {
        names::index(&request.index_name)?;
    }
    let name = &request.field_name;
    let schema = target.collection.schema();
    // A key that is no field is in the dynamic one.
    let field = schema.field(name).or_else(|| schema.dynamic_field().filter(|_| schema.dynamic));
    let missing = || ProxyError::Plain(format!("cannot create index on non-exist field: {name}"));
    let field = field.ok_or_else(missing)?;
    let given = flat(&request.extra_params)?;
    let mut params = complete(field, given)?;
    let dim = if field.data_type.is_vector() { field.dim() } else { 0 };
    index_params::check_build(&params, dim)?;
    if field.data_type == DataType::Json {
        complete_json(name, &mut params)?;
    }
    let index_name = match request.index_name.as_str() {
        "" => name_of_path(&target, field, &params).unwrap_or_default(),
        name => name.to_owned(),
    };
    let params = as_given(&request.extra_params, params);
    let create = Ddl::CreateIndex {
        database: target.database.name.clone(),
        collection: target.collection.name.clone(),
        field: field.name.clone(),
        name: index_name,
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

/// The parameters to keep: those that clients put together into `params` stay there, as they ask for them.
fn as_given(given: &[KeyValuePair], mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if let Some(pair) = given.iter().find(|pair| pair.key == "params" && !pair.value.is_empty()) {
        let outside = |key: &str| given.iter().any(|pair| pair.key == key);
        let of_us = ["index_type", "metric_type", "json_path", "json_cast_type"];
        all.retain(|key, _| outside(key) || of_us.contains(&key.as_str()));
        all.insert(pair.key.clone(), pair.value.clone());
    }
    all
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
    if !vector {
        scalar_fits(field, &index_type)?;
    }
    if vector && !params.contains_key("metric_type") && known(&SCALAR_TYPES) && !known(&VECTOR_TYPES) {
        return Err(ProxyError::Invalid("metric type not set for vector index".to_owned()));
    }
    if !vector && !fits && (known(&VECTOR_TYPES) || known(&OTHER_TYPES)) {
        return Err(unfit(format!("index {index_type} only supports vector data type")));
    }
    if !fits && (known(&VECTOR_TYPES) || known(&SCALAR_TYPES) || known(&OTHER_TYPES)) {
        return Err(unfit(format!(
            "data type {:?} can't build with this index {index_type}",
            field.data_type
        )));
    }
    if !fits {
        return Err(ProxyError::UnknownIndexType(index_type));
    }
    if vector {
        let metric = params.get("metric_type").filter(|name| !name.is_empty()).cloned();
        let metric = match metric {
            Some(name) => name,
            None if index_type.eq_ignore_ascii_case("AUTOINDEX") => Metric::Cosine.name().to_owned(),
            None => return Err(ProxyError::Invalid("metric type not set for vector index".to_owned())),
        };
        if Metric::from_name(&metric).is_none() {
            return Err(unfit(format!("float vector index does not support metric type: {metric}")));
        }
        params.insert("metric_type".to_owned(), metric);
    }
    params.insert("index_type".to_owned(), index_type);
    Ok(params)
}

/// Parameters that cannot be those of an index of the field.
fn unfit(what: impl Into<Cow<'static, str>>) -> ProxyError {
    let (expected, actual) = ("valid index params".to_owned(), "invalid index params".to_owned());
    ProxyError::Unexpected { what: what.into(), expected, actual }
}

/// Refuses the index types that are for some scalars only.
fn scalar_fits(field: &FieldSchema, index_type: &str) -> Result<(), ProxyError> {
    let scalar = if let (DataType::Array, Some(element)) = (field.data_type, field.element_type) {
        element
    } else {
        field.data_type
    };
    let sorted = field.data_type;
    let sorted = sorted.is_integer() || sorted.is_float() || sorted == DataType::VarChar;
    let text = match index_type.to_ascii_uppercase().as_str() {
        "TRIE" if field.data_type != DataType::VarChar => {
            "TRIE are only supported on varchar field".to_owned()
        }
        "STL_SORT" if !sorted => {
            let got = format!("{:?}", field.data_type).replace("Json", "JSON");
            format!("STL_SORT are only supported on numeric, varchar or timestamptz field, got {got}")
        }
        "BITMAP" if field.primary_key => "create bitmap index on primary key not supported".to_owned(),
        "BITMAP" if scalar.is_float() || scalar == DataType::Json => {
            "bitmap index are only supported on bool, int, string and array field".to_owned()
        }
        "NGRAM" if !matches!(field.data_type, DataType::VarChar | DataType::Json) => {
            "Ngram index can only be created on VARCHAR or JSON field".to_owned()
        }
        _ => return Ok(()),
    };
    Err(unfit(text))
}

/// What the values at a path in a JSON field can be indexed as.
const JSON_CASTS: [&str; 7] =
    ["BOOL", "DOUBLE", "VARCHAR", "JSON", "ARRAY_BOOL", "ARRAY_DOUBLE", "ARRAY_VARCHAR"];

/// Checks the parameters of an index in a JSON field, and fills in that it is for all of it.
fn complete_json(field: &str, params: &mut BTreeMap<String, String>) -> Result<(), ProxyError> {
    let Some(cast) = params.get("json_cast_type") else {
        let what = "json index must specify cast type: missing parameter[missing_param=json_cast_type]";
        return Err(unfit(what));
    };
    if !JSON_CASTS.iter().any(|known| known.eq_ignore_ascii_case(cast)) {
        return Err(unfit(format!("json_cast_type {cast} is not supported")));
    }
    let path = params.entry("json_path".to_owned()).or_insert_with(|| field.to_owned());
    match path.trim_start().chars().next() {
        Some(c) if c.is_alphabetic() || matches!(c, '_' | '$' | '[') => Ok(()),
        Some(c) if !c.is_numeric() => Err(ProxyError::Plain(format!(
            "cannot parse identifier: {path}, error: mismatched input '{c}' expecting a name"
        ))),
        Some(_) | None => Err(ProxyError::Plain(format!("cannot parse identifier: {path}"))),
    }
}

/// The name of an index on a path in a JSON field that was given none: the way, with slashes. None if there is an
/// index on that path, whatever its name.
fn name_of_path(target: &Target, field: &FieldSchema, params: &BTreeMap<String, String>) -> Option<String> {
    let path = params.get("json_path").filter(|_| field.data_type == DataType::Json)?;
    let same = |index: &IndexEntry| index.field == field.id && index.params.get("json_path") == Some(path);
    if target.collection.indexes.iter().any(same) {
        return None;
    }
    path_name(target.collection.schema(), path)
}

/// A path in a JSON field with slashes, if it can be read.
fn path_name(schema: &CollectionSchema, path: &str) -> Option<String> {
    let Ok(Expr::Exists(path)) = cinclus_expr::parse(&format!("exists {path}"), schema, &BTreeMap::new())
    else {
        return None;
    };
    let steps = path.steps.iter().map(|step| match step {
        PathStep::Key(key) => key.clone(),
        PathStep::Index(index) => index.to_string(),
    });
    let parts: Vec<String> = std::iter::once(path.name).chain(steps).collect();
    Some(parts.join("/"))
}

/// The name of an indexed field: of the dynamic one, the key that is indexed.
fn shown_field(target: &Target, index: &IndexEntry) -> String {
    let field = target.collection.schema().field_by_id(index.field);
    match (field, index.params.get("json_path")) {
        (Some(field), Some(path)) if field.dynamic => {
            path.split('[').next().map_or_else(String::new, |name| name.trim().to_owned())
        }
        (Some(field), _) => field.name.clone(),
        (None, _) => String::new(),
    }
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
        field_name: shown_field(target, index),
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

/// Whether no index has this name, but a field: the index of that field was not meant.
fn is_only_a_field(schema: &CollectionSchema, indexes: &[IndexEntry], name: &str) -> bool {
    schema.field(name).is_some() && indexes.iter().all(|index| index.name != name)
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
    if !request.index_name.is_empty()
        && is_only_a_field(target.collection.schema(), &target.collection.indexes, &request.index_name)
    {
        return Ok(success());
    }
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
    check_change(&target, &request.index_name, &set, &remove)?;
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

/// What can be changed of an index.
const CHANGEABLE: [&str; 3] = ["mmap.enabled", "indexoffsetcache.enabled", "warmup"];

fn check_change(
    target: &Target,
    name: &str,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Result<(), ProxyError> {
    if let Some(key) = set.keys().chain(remove).find(|key| !CHANGEABLE.contains(&key.as_str())) {
        return Err(ProxyError::Invalid(format!("{key} is not a configable index property")));
    }
    let is_truth = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "true" | "false");
    if let Some(value) = set.get("mmap.enabled").filter(|value| !is_truth(value)) {
        return Err(ProxyError::Invalid(format!(
            "invalid mmap.enabled value: {value}, expected: true, false"
        )));
    }
    if target.collection.is_loaded() {
        return Err(ProxyError::AlteredWhileLoaded {
            what: "can't alter index on loaded collection, please release the collection first".into(),
            collection: target.collection.name.clone(),
        });
    }
    let indexes = selected(target, name, "")?;
    let of_type = |index: &&IndexEntry, kind| {
        index.params.get("index_type").is_some_and(|given: &String| given.eq_ignore_ascii_case(kind))
    };
    let cached = |index: &&IndexEntry| of_type(index, "BITMAP") || of_type(index, "INVERTED");
    let cache = set.get("indexoffsetcache.enabled");
    if let Some(value) = cache.filter(|value| !is_truth(value) || !indexes.iter().all(cached)) {
        return Err(ProxyError::Invalid(format!("invalid offset cache index params: {value}")));
    }
    let sorted = |index: &&IndexEntry| of_type(index, "STL_SORT");
    if set.contains_key("mmap.enabled") && indexes.iter().any(sorted) {
        return Err(ProxyError::Plain("index type STL_SORT does not support mmap".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
