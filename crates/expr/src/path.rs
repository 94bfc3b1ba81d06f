//! What a filter reads of a row: a field, an item of an array, a place inside JSON.

use cinclus_types::{DataType, FieldId};
use serde::{Deserialize, Serialize};

/// A field and the way into its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldPath {
    /// The field.
    pub field: FieldId,
    /// Its name when the filter was checked: for messages only, `field` decides.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// The type of the items of an Array.
    pub element_type: Option<DataType>,
    /// The way into JSON (any number of steps) or to an item of an Array (one step); empty: the value itself.
    pub steps: Vec<PathStep>,
}

/// One step into a JSON value or an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathStep {
    /// The value of a key of an object.
    Key(String),
    /// An item of an array, from 0; of a JSON object, the value of the key spelled like the number.
    Index(usize),
}

impl FieldPath {
    /// The type of the value at the end of the path: of an item, if it leads into an Array; Json inside JSON.
    #[must_use]
    pub fn value_type(&self) -> DataType {
        match (self.data_type, self.element_type) {
            (DataType::Array, Some(element)) if !self.steps.is_empty() => element,
            (data_type, _) => data_type,
        }
    }

    /// The value at the end of the path in a JSON document; `None` if there is none.
    #[must_use]
    pub fn walk<'j>(&self, document: &'j serde_json::Value) -> Option<&'j serde_json::Value> {
        self.steps.iter().try_fold(document, |value, step| match step {
            PathStep::Key(key) => value.as_object()?.get(key),
            PathStep::Index(index) => match value.as_array() {
                Some(items) => items.get(*index),
                None => value.as_object()?.get(&index.to_string()),
            },
        })
    }
}
