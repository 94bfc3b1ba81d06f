//! Indexes, as users ask for them.

use std::collections::BTreeMap;

use bytes::Bytes;
use cinclus_catalog::{CollectionEntry, IndexEntry};
use cinclus_rpc::{Ddl, DdlError};
use cinclus_types::message::Header;
use cinclus_types::message::body::IndexBody;
use cinclus_types::{FieldSchema, IndexId, Tick};

use super::planner::edit_properties;
use super::{CatalogEdit, Plan, Planner};

impl Planner<'_> {
    pub(super) fn create_index(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::CreateIndex { database, collection, field, name, params } = ddl else {
            return Err(DdlError::Invalid("not a creation of an index".to_owned()));
        };
        let (database, entry) = self.collection(database, collection)?;
        let schema = entry.schema();
        let field = schema.field(field).ok_or_else(|| DdlError::FieldNotFound(field.clone()))?;
        let name = if name.is_empty() { default_name(entry, field, params) } else { name.clone() };
        if let Some(existing) = entry.indexes.iter().find(|index| index.name == name) {
            if existing.field == field.id && existing.params == *params {
                return Ok(Plan::default());
            }
            return Err(DdlError::IndexExists(existing.id));
        }
        let same_place = |index: &&IndexEntry| index.field == field.id && path(&index.params) == path(params);
        if entry.indexes.iter().any(|index| same_place(&index)) {
            return Err(DdlError::FieldIndexed);
        }
        let id = IndexId(self.next_id());
        let header = Header::CreateIndex {
            database: database.id,
            collection: entry.id,
            field: field.id,
            index: id,
            index_name: name.clone(),
        };
        let index = IndexEntry { id, name, field: field.id, params: params.clone(), created: Tick::ZERO };
        let body = index_body(entry, &index);
        let mut changed = CollectionEntry::clone(entry);
        changed.indexes.push(index);
        Ok(self.in_control(header, body.encode_create(), CatalogEdit::collection(changed)))
    }

    pub(super) fn alter_index(&mut self, ddl: &Ddl) -> Result<Plan, DdlError> {
        let Ddl::AlterIndex { database, collection, name, set, remove } = ddl else {
            return Err(DdlError::Invalid("not a change of an index".to_owned()));
        };
        let (_, entry) = self.collection(database, collection)?;
        let mut changed = CollectionEntry::clone(entry);
        let found = changed.indexes.iter_mut().find(|index| index.name == *name);
        let found = found.ok_or_else(|| DdlError::IndexNotFound(name.clone()))?;
        edit_properties(&mut found.params, set, remove);
        let header = Header::AlterIndex { collection: entry.id, indexes: vec![found.id] };
        let body = IndexBody::encode_alter(&[index_body(entry, found)]);
        Ok(self.in_control(header, body, CatalogEdit::collection(changed)))
    }

    pub(super) fn drop_index(
        &mut self,
        database: &str,
        collection: &str,
        name: &str,
    ) -> Result<Plan, DdlError> {
        let (_, entry) = self.collection(database, collection)?;
        let by_name = entry.indexes.iter().find(|index| index.name == name);
        let field = entry.schema().field(name).map(|field| field.id);
        let found = by_name.or_else(|| entry.indexes.iter().find(|index| Some(index.field) == field));
        let Some(found) = found else { return Ok(Plan::default()) };
        let is_vector = entry.schema().field_by_id(found.field).is_some_and(|f| f.data_type.is_vector());
        if is_vector && entry.is_loaded() {
            return Err(DdlError::CollectionLoaded(entry.id));
        }
        let header = Header::DropIndex { collection: entry.id, indexes: vec![found.id] };
        let mut changed = CollectionEntry::clone(entry);
        changed.indexes.retain(|index| index.id != found.id);
        Ok(self.in_control(header, Bytes::new(), CatalogEdit::collection(changed)))
    }
}

/// The path in a JSON field that an index is for; fields of other types have no such.
fn path(params: &BTreeMap<String, String>) -> Option<&String> {
    params.get("json_path")
}

/// The name of an index that was given none: that of the index which is there already, the field's, or, if an
/// index of another path has that, with the path.
fn default_name(entry: &CollectionEntry, field: &FieldSchema, params: &BTreeMap<String, String>) -> String {
    let mut of_field = entry.indexes.iter().filter(|index| index.field == field.id);
    if let Some(existing) = of_field.find(|index| path(&index.params) == path(params)) {
        return existing.name.clone();
    }
    let taken = entry.indexes.iter().any(|index| index.name == field.name);
    match path(params) {
        Some(path) if taken => format!("{}/{path}", field.name),
        Some(_) | None => field.name.clone(),
    }
}

fn index_body(entry: &CollectionEntry, index: &IndexEntry) -> IndexBody {
    IndexBody {
        collection: entry.id,
        field: index.field,
        index: index.id,
        name: index.name.clone(),
        type_params: Default::default(),
        params: index.params.clone(),
        user_params: index.params.clone(),
        auto: index.params.get("index_type").is_some_and(|kind| kind == "AUTOINDEX"),
        created: index.created,
    }
}
