//! Constants take the type of what they meet.

use cinclus_types::{DataType, Value};

use crate::ast::{ArithOp, Term};
use crate::path::FieldPath;

/// A constant as a value of a type, or `None` if it is of another kind.
///
/// An integer is fine where a float is wanted, never the other way round. A constant for a Float field
/// is rounded to 32 bits as the field's values are, so that `f == 0.1` finds the row that was given 0.1.
pub(crate) fn fit(value: Value, data_type: DataType) -> Option<Value> {
    match (data_type, value) {
        (DataType::Bool, value @ Value::Bool(_)) => Some(value),
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64, value @ Value::Int(_)) => {
            Some(value)
        }
        (DataType::Float, Value::Int(value)) => Some(Value::Float(rounded(value as f64))),
        (DataType::Float, Value::Float(value)) => Some(Value::Float(rounded(value))),
        (DataType::Double, Value::Int(value)) => Some(Value::Float(value as f64)),
        (DataType::Double, value @ Value::Float(_)) => Some(value),
        (DataType::VarChar, value @ Value::Text(_)) => Some(value),
        (
            DataType::Json,
            value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Array(_)),
        ) => Some(value),
        _ => None,
    }
}

/// Whether [`fit`] has an answer. Texts are not copied for the question.
pub(crate) fn fits(value: &Value, data_type: DataType) -> bool {
    match value {
        Value::Text(_) => matches!(data_type, DataType::VarChar | DataType::Json),
        Value::Array(_) => data_type == DataType::Json,
        other @ (Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::FloatVector(_)
        | Value::Json(_)
        | Value::Null) => fit(other.clone(), data_type).is_some(),
    }
}

/// To 32 bits and back; what is beyond their range stays, and is greater or less than all of them.
fn rounded(value: f64) -> f64 {
    let narrow = f64::from(value as f32);
    if narrow.is_finite() { narrow } else { value }
}

/// What a constant for a type should be.
pub(crate) fn wanted(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "true or false",
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => "an integer",
        DataType::Float | DataType::Double => "a number",
        DataType::VarChar => "a text",
        DataType::Json => "a truth value, number, text or list",
        DataType::Array => "a list",
        DataType::FloatVector => "nothing: vectors cannot be compared",
    }
}

/// A constant from a template, or what is wrong with it.
pub(crate) fn template_value(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Text(_) => Ok(value.clone()),
        Value::Float(number) if number.is_finite() => Ok(value.clone()),
        Value::Float(_) => Err("is not a finite number"),
        Value::Array(items) => items.iter().map(template_value).collect::<Result<_, _>>().map(Value::Array),
        Value::Json(json) => json_value(json),
        Value::Null => Err("is null: write `is null`"),
        Value::FloatVector(_) => Err("is a vector: vectors cannot be compared"),
    }
}

fn json_value(json: &serde_json::Value) -> Result<Value, &'static str> {
    match json {
        serde_json::Value::Null => Err("is null: write `is null`"),
        serde_json::Value::Bool(value) => Ok(Value::Bool(*value)),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Ok(Value::Int(value)),
            (None, Some(value)) if value.is_finite() => Ok(Value::Float(value)),
            (None, _) => Err("is not a finite number"),
        },
        serde_json::Value::String(text) => Ok(Value::Text(text.clone())),
        serde_json::Value::Array(items) => {
            items.iter().map(json_value).collect::<Result<_, _>>().map(Value::Array)
        }
        serde_json::Value::Object(_) => Err("is a JSON object: objects cannot be compared"),
    }
}

/// A constant as Milvus writes it in its errors.
pub(crate) fn quoted(value: &Value) -> String {
    match value {
        Value::Bool(value) => format!("bool_val:{value}"),
        Value::Int(value) => format!("int64_val:{value}"),
        Value::Float(value) => format!("float_val:{value}"),
        Value::Text(value) => format!("string_val:{value:?}"),
        other @ (Value::Array(_) | Value::FloatVector(_) | Value::Json(_) | Value::Null) => {
            describe_value(other).to_owned()
        }
    }
}

/// The type of a constant.
pub(crate) fn type_of_value(value: &Value) -> DataType {
    match value {
        Value::Bool(_) => DataType::Bool,
        Value::Int(_) => DataType::Int64,
        Value::Float(_) => DataType::Double,
        Value::Text(_) => DataType::VarChar,
        Value::Array(_) => DataType::Array,
        Value::FloatVector(_) => DataType::FloatVector,
        Value::Json(_) | Value::Null => DataType::Json,
    }
}

/// The type of a value that is not a list; of an arithmetic value Int64, Double, or Json if it is only
/// known for each row.
pub(crate) fn type_of(term: &Term) -> DataType {
    match term {
        Term::Path(path) => path.value_type(),
        Term::Length(_) => DataType::Int64,
        Term::Const(value) => type_of_value(value),
        Term::Arith { op, left, right } => {
            let (left, right_type) = (type_of(left), type_of(right));
            let negative = matches!(right.as_ref(), Term::Const(Value::Int(..0)));
            if left == DataType::Json || right_type == DataType::Json {
                DataType::Json
            } else if left.is_float() || right_type.is_float() || (*op == ArithOp::Pow && negative) {
                DataType::Double
            } else {
                DataType::Int64
            }
        }
    }
}

/// What Milvus calls the type of a value: a computed one is a number, also if JSON takes part.
pub(crate) fn type_name_of(term: &Term) -> &'static str {
    match (term, type_of(term)) {
        (Term::Arith { left, right, .. }, DataType::Json) => {
            let float = type_of(left).is_float() || type_of(right).is_float();
            type_name(if float { DataType::Double } else { DataType::Int64 })
        }
        (_, data_type) => type_name(data_type),
    }
}

/// Why a way leads into nothing.
pub(crate) fn not_inside(path: &FieldPath) -> String {
    let name = &path.name;
    if path.data_type == DataType::Array {
        format!("field {name} is an Array: expected one index such as {name}[0]")
    } else {
        format!("field {name} is {:?}: nothing is inside it", path.data_type)
    }
}

/// A type as Milvus calls it.
pub(crate) fn type_name(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Bool => "Bool",
        DataType::Int8 => "Int8",
        DataType::Int16 => "Int16",
        DataType::Int32 => "Int32",
        DataType::Int64 => "Int64",
        DataType::Float => "Float",
        DataType::Double => "Double",
        DataType::VarChar => "VarChar",
        DataType::Json => "JSON",
        DataType::Array => "Array",
        DataType::FloatVector => "FloatVector",
    }
}

/// A value in the words of a message.
pub(crate) fn describe(term: &Term) -> String {
    match term {
        Term::Path(path) => describe_path(path),
        Term::Const(value) => describe_value(value).to_owned(),
        Term::Length(path) => format!("the length of {}", path.name),
        Term::Arith { .. } => "a computed number".to_owned(),
    }
}

/// What is said of a value where a condition must stand.
pub(crate) fn not_a_condition(term: &Term) -> String {
    let mut what = format!("expected a condition, found {}", describe(term));
    if type_of(term) == DataType::Bool {
        what.push_str(&format!(": write `{term} == true`"));
    }
    what
}

/// A field in the words of a message.
pub(crate) fn describe_path(path: &FieldPath) -> String {
    let data_type = path.value_type();
    if path.steps.is_empty() {
        format!("field {path} ({data_type:?})")
    } else {
        format!("{path} ({data_type:?})")
    }
}

/// A constant in the words of a message.
pub(crate) fn describe_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Text(_) => "a text",
        Value::Json(_) => "JSON",
        Value::Array(_) => "a list",
        Value::FloatVector(_) => "a vector",
    }
}
