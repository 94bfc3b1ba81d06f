//! Changing collections and their fields.

use std::collections::BTreeMap;

use cinclus_rpc::Ddl;
use cinclus_types::convert::schema::map;
use cinclus_types::proto::common::Status;
use cinclus_types::{ConsistencyLevel, DataType, FieldSchema};

use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy, Target};
use crate::status::{ProxyError, success};
use crate::validate::schema;

/// The property that says whether rows may have undeclared keys.
const DYNAMIC: &str = "dynamicfield.enabled";
/// The property that lets rows bring keys that the server would make.
pub(crate) const KEYS_ALLOWED: &str = "allow_insert_auto_id";
/// The property that is the description of a field.
const FIELD_DESCRIPTION: &str = "field.description";
/// Whether values are read through the page cache.
const MMAP: &str = "mmap.enabled";
/// What begins the names of properties that say what is read before it is asked for.
const WARMUP: &str = "warmup";

/// Sets or removes properties, the description, or the consistency level of a collection.
///
/// # Errors
/// The request is not right, or the collection is missing.
pub(crate) async fn collection(
    proxy: &Proxy,
    call: &Call,
    request: wire::AlterCollectionRequest,
) -> Result<Status, ProxyError> {
    let target = match request.collection_name.as_str() {
        "" => proxy.target_or_id(call, &request.db_name, "", request.collection_id)?,
        name => proxy.existing(call, &request.db_name, name)?,
    };
    let (mut set, remove) = changes(map(request.properties), request.delete_keys)?;
    check_loaded(&target, &set, &remove)?;
    if let Some(wanted) = set.get(DYNAMIC) {
        check_dynamic(&target, wanted, set.len())?;
        return Ok(success());
    }
    if remove.iter().any(|key| key == DYNAMIC) {
        return Err(ProxyError::Invalid(format!("cannot delete key {DYNAMIC}")));
    }
    if is_true(set.get(KEYS_ALLOWED)) && !target.primary_key()?.auto_id {
        let text = format!("the value for {KEYS_ALLOWED} must be false when autoID is false");
        return Err(ProxyError::Invalid(text));
    }
    let description = set.remove("collection.description");
    let consistency = set.remove("consistency_level").map(|text| level(&text)).transpose()?;
    let alter = Ddl::AlterCollection {
        database: target.database.name.clone(),
        name: target.collection.name.clone(),
        set,
        remove,
        description,
        consistency,
    };
    proxy.ddl(alter).await?;
    Ok(success())
}

/// Refuses what can be changed of released collections only.
fn check_loaded(
    target: &Target,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Result<(), ProxyError> {
    if !target.collection.is_loaded() {
        return Ok(());
    }
    let kind = |key: &String| match key.as_str() {
        MMAP | "lazyload.enabled" => Some("mmap"),
        key if key.starts_with(WARMUP) => Some(WARMUP),
        _ => None,
    };
    let what = match (set.keys().find_map(kind), remove.iter().find_map(kind)) {
        (Some(kind), _) => format!("can not alter {kind} properties if collection loaded"),
        (None, Some(kind)) => format!("can not delete {kind} properties if collection loaded"),
        (None, None) => return Ok(()),
    };
    Err(while_loaded(target, what))
}

fn while_loaded(target: &Target, what: impl Into<std::borrow::Cow<'static, str>>) -> ProxyError {
    ProxyError::AlteredWhileLoaded { what: what.into(), collection: target.collection.name.clone() }
}

/// Refuses to change whether rows may have undeclared keys; saying what is so already changes nothing.
fn check_dynamic(target: &Target, wanted: &str, properties: usize) -> Result<(), ProxyError> {
    if properties > 1 {
        let text = "cannot alter dynamic schema with other properties at the same time";
        return Err(ProxyError::Invalid(text.to_owned()));
    }
    let wanted = match wanted.to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(ProxyError::Invalid(format!("{DYNAMIC} should be a boolean, but got {wanted}"))),
    };
    match (target.collection.schema().dynamic, wanted) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => {
            Err(ProxyError::Invalid("dynamic schema cannot supported to be disabled".to_owned()))
        }
        (false, true) => Err(ProxyError::Unsupported("allowing undeclared keys later".to_owned())),
    }
}

/// Sets or removes the description and type parameters of a field.
///
/// # Errors
/// The request is not right, or there is no such field.
pub(crate) async fn field(
    proxy: &Proxy,
    call: &Call,
    request: wire::AlterCollectionFieldRequest,
) -> Result<Status, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let set = map(request.properties).into_iter().map(|(key, value)| (usual(key), value)).collect();
    let (set, remove) = changes(set, request.delete_keys.into_iter().map(usual).collect())?;
    let (name, collection) = (&request.field_name, &target.collection.name);
    let missing = || ProxyError::Invalid(format!("field {name} does not exist in collection {collection}"));
    let field = target.collection.schema().field(name).ok_or_else(missing)?;
    check_field(&target, field, &set, &remove)?;
    schema::check_changed(collection, field, &set)?;
    let alter = Ddl::AlterField {
        database: target.database.name.clone(),
        name: collection.clone(),
        field: field.name.clone(),
        set,
        remove,
    };
    proxy.ddl(alter).await?;
    Ok(success())
}

/// Two spellings of one property.
fn usual(key: String) -> String {
    if key == "mmap_enabled" { MMAP.to_owned() } else { key }
}

fn check_field(
    target: &Target,
    field: &FieldSchema,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Result<(), ProxyError> {
    let loaded = target.collection.is_loaded();
    let is_text = field.data_type == DataType::VarChar || field.element_type == Some(DataType::VarChar);
    let refused = |text: String| Err(ProxyError::Invalid(text));
    for key in set.keys() {
        match key.as_str() {
            MMAP if loaded => {
                let what = "can not alter collection field properties if collection loaded";
                return Err(while_loaded(target, what));
            }
            key if key.starts_with(WARMUP) && loaded => {
                return Err(while_loaded(target, "can not alter warmup if collection loaded"));
            }
            "max_length" if !is_text => {
                return refused(format!("{} can not modify the maxlength for non-string types", field.name));
            }
            "max_capacity" if field.data_type != DataType::Array => {
                return refused(format!("{} can not modify the maxcapacity for non-array types", field.name));
            }
            MMAP | FIELD_DESCRIPTION | "max_length" | "max_capacity" => {}
            key if key.starts_with(WARMUP) => {}
            key => return refused(format!("{key} does not allow update in collection field param")),
        }
    }
    match remove.iter().find(|key| *key != MMAP && !key.starts_with(WARMUP)) {
        Some(key) => refused(format!("{key} is not allowed to drop in collection field param")),
        None if loaded && !remove.is_empty() => {
            let what = "can not drop collection field properties if collection loaded";
            Err(while_loaded(target, what))
        }
        None => Ok(()),
    }
}

/// Whether a property is set to true, as Milvus reads it.
pub(crate) fn is_true(value: Option<&String>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// What to set and what to remove: exactly one of both.
///
/// # Errors
/// Neither or both are given.
pub(crate) fn changes(
    set: BTreeMap<String, String>,
    remove: Vec<String>,
) -> Result<(BTreeMap<String, String>, Vec<String>), ProxyError> {
    match (set.is_empty(), remove.is_empty()) {
        (true, true) => Err(ProxyError::Invalid("no properties or delete keys provided".to_owned())),
        (false, false) => {
            Err(ProxyError::Invalid("cannot provide both DeleteKeys and ExtraParams".to_owned()))
        }
        (true, false) | (false, true) => Ok((set, remove)),
    }
}

fn level(text: &str) -> Result<ConsistencyLevel, ProxyError> {
    let by_name = match text.to_ascii_lowercase().as_str() {
        "strong" => Some(ConsistencyLevel::Strong),
        "session" => Some(ConsistencyLevel::Session),
        "bounded" => Some(ConsistencyLevel::Bounded),
        "eventually" => Some(ConsistencyLevel::Eventually),
        "customized" => Some(ConsistencyLevel::Customized),
        other => other.parse().ok().and_then(ConsistencyLevel::from_number),
    };
    by_name.ok_or_else(|| ProxyError::Invalid(format!("unknown consistency level {text}")))
}
