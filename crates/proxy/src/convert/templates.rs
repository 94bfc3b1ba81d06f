//! The values for the `{names}` in a filter.

use std::collections::BTreeMap;

use cinclus_types::Value;
use cinclus_types::proto::schema::{TemplateArrayValue, TemplateValue, template_array_value, template_value};

/// The values as our words.
#[must_use]
pub fn values(given: &BTreeMap<String, TemplateValue>) -> BTreeMap<String, Value> {
    given.iter().map(|(name, value)| (name.clone(), one(value))).collect()
}

fn one(value: &TemplateValue) -> Value {
    use template_value::Val;
    match &value.val {
        None | Some(Val::BytesVal(_)) => Value::Null,
        Some(Val::BoolVal(value)) => Value::Bool(*value),
        Some(Val::Int64Val(value)) => Value::Int(*value),
        Some(Val::FloatVal(value)) => Value::Float(*value),
        Some(Val::StringVal(value)) => Value::Text(value.clone()),
        Some(Val::ArrayVal(values)) => array(values),
    }
}

fn array(values: &TemplateArrayValue) -> Value {
    use template_array_value::Data;
    Value::Array(match &values.data {
        None => Vec::new(),
        Some(Data::BoolData(v)) => v.data.iter().map(|value| Value::Bool(*value)).collect(),
        Some(Data::LongData(v)) => v.data.iter().map(|value| Value::Int(*value)).collect(),
        Some(Data::DoubleData(v)) => v.data.iter().map(|value| Value::Float(*value)).collect(),
        Some(Data::StringData(v)) => v.data.iter().map(|value| Value::Text(value.clone())).collect(),
        Some(Data::ArrayData(v)) => v.data.iter().map(array).collect(),
        Some(Data::JsonData(v)) => {
            v.data.iter().map(|text| serde_json::from_slice(text).map_or(Value::Null, Value::Json)).collect()
        }
    })
}
