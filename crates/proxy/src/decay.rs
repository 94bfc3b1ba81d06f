//! Decay: a hit counts the less, the further a number of its row is from a place.

use cinclus_types::proto::schema::FunctionSchema;
use cinclus_types::{CollectionSchema, DataType, FieldId, Value};

use crate::status::ProxyError;

/// How hits lose by distance: the factor is 1 up to `offset` from `origin`, and `decay` at `scale` beyond that.
#[derive(Clone, Debug, PartialEq)]
pub struct Decay {
    /// The field with the number.
    pub field: FieldId,
    shape: Shape,
    origin: f64,
    scale: f64,
    offset: f64,
    decay: f64,
}

/// The curve between these points and after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A bell.
    Gauss,
    /// A constant fraction a step.
    Exponential,
    /// A line that ends at `decay`.
    Linear,
}

impl Decay {
    /// Reads a decay function of a search.
    ///
    /// # Errors
    /// Its field or a parameter does not fit, in Milvus' words.
    pub fn of(schema: &CollectionSchema, function: &FunctionSchema) -> Result<Decay, ProxyError> {
        let field = field(schema, &function.input_field_names)?;
        let text = |name: &str| function.params.iter().find(|pair| pair.key.eq_ignore_ascii_case(name));
        let number = |name: &str| match text(name) {
            None => Ok(None),
            Some(pair) => match pair.value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                Ok(_) | Err(_) => plain(format!("Param {name}:{} is not a number", pair.value)),
            },
        };
        let needed = |name: &str| match number(name)? {
            Some(number) => Ok(number),
            None => plain(format!("Decay function lost param: {name}")),
        };
        let (origin, scale) = (needed("origin")?, needed("scale")?);
        let (offset, decay) = (number("offset")?.unwrap_or(0.0), number("decay")?.unwrap_or(0.5));
        if scale <= 0.0 {
            return plain(format!("Decay function param: scale must > 0, but got {scale:.6}"));
        }
        if offset < 0.0 {
            return plain(format!("Decay function param: offset must >= 0, but got {offset:.6}"));
        }
        if decay <= 0.0 || decay >= 1.0 {
            return plain(format!("Decay function param: decay must 0 < decay < 1, but got {decay:.6}"));
        }
        let shape = match text("function").map_or("", |pair| pair.value.as_str()) {
            "gauss" => Shape::Gauss,
            "exp" => Shape::Exponential,
            "linear" => Shape::Linear,
            other => {
                let what = "Invaild decay function: decay, only support [gauss,linear,exp]";
                return plain(format!("{what}, but got {other}"));
            }
        };
        Ok(Decay { field, shape, origin, scale, offset, decay })
    }

    /// What the score of a row with this value is multiplied by. A row without a value has no place: 0.
    #[must_use]
    pub fn factor(&self, value: &Value) -> f32 {
        let number = match value {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            Value::Bool(_)
            | Value::Text(_)
            | Value::Json(_)
            | Value::Array(_)
            | Value::FloatVector(_)
            | Value::Null => return 0.0,
        };
        let beyond = ((number - self.origin).abs() - self.offset).max(0.0) / self.scale;
        let factor = match self.shape {
            Shape::Gauss => self.decay.powf(beyond * beyond),
            Shape::Exponential => self.decay.powf(beyond),
            Shape::Linear => (1.0 - (1.0 - self.decay) * beyond).max(self.decay),
        };
        factor as f32
    }
}

fn plain<T>(text: String) -> Result<T, ProxyError> {
    Err(ProxyError::Plain(text))
}

/// The one field that the function names.
fn field(schema: &CollectionSchema, names: &[String]) -> Result<FieldId, ProxyError> {
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            let what = "Each function input field should be used exactly once in the same function";
            return plain(format!("{what}, input field: {name}"));
        }
        match schema.field(name).filter(|field| !field.dynamic) {
            None => return plain(format!("Function input field not found: {name}")),
            Some(field) if field.nullable => {
                return plain(format!("Function input field cannot be nullable: field {name}"));
            }
            Some(_) => {}
        }
    }
    let [name] = names else {
        let names = names.join(" ");
        return plain(format!("Decay function only supports single input, but gets [[{names}]] input"));
    };
    match schema.field(name) {
        Some(field) if field.data_type.is_integer() || field.data_type.is_float() => Ok(field.id),
        other => {
            let name = match other.map(|field| field.data_type) {
                Some(DataType::Json) => "JSON".to_owned(),
                Some(data_type) => format!("{data_type:?}"),
                None => "None".to_owned(),
            };
            plain(format!("Decay rerank: unsupported input field type:{name}, only support numberic field"))
        }
    }
}

#[cfg(test)]
mod tests {
    use cinclus_types::FieldSchema;
    use cinclus_types::proto::common::KeyValuePair;

    use super::*;

    fn schema() -> CollectionSchema {
        let mut maybe = FieldSchema::new(FieldId(102), "maybe", DataType::Int64);
        maybe.nullable = true;
        let fields = vec![
            FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(FieldId(101), "at", DataType::Double),
            maybe,
            FieldSchema::new(FieldId(103), "doc", DataType::Json),
        ];
        CollectionSchema { fields, ..CollectionSchema::default() }
    }

    fn read(fields: &[&str], params: &[(&str, &str)]) -> Result<Decay, String> {
        let pair = |(key, value): &(&str, &str)| KeyValuePair { key: (*key).into(), value: (*value).into() };
        let function = FunctionSchema {
            input_field_names: fields.iter().map(|name| (*name).to_owned()).collect(),
            params: params.iter().map(pair).collect(),
            ..FunctionSchema::default()
        };
        Decay::of(&schema(), &function).map_err(|error| error.to_string())
    }

    #[test]
    fn a_factor_is_one_near_the_origin_and_decay_at_the_scale() {
        for function in ["gauss", "exp", "linear"] {
            let params = [
                ("function", function),
                ("Origin", "10"),
                ("scale", "4"),
                ("offset", "1"),
                ("decay", "0.25"),
            ];
            let decay = read(&["at"], &params).unwrap();
            let at = |number: f64| decay.factor(&Value::Float(number));
            assert_eq!((at(10.0), at(11.0), at(9.0)), (1.0, 1.0, 1.0), "{function}");
            assert!((at(15.0) - 0.25).abs() < 1e-6 && (at(5.0) - 0.25).abs() < 1e-6, "{function}");
            assert_eq!(decay.factor(&Value::Null), 0.0);
        }
        let shape = |function| {
            let decay = read(&["at"], &[("function", function), ("origin", "0"), ("scale", "2")]).unwrap();
            [1, 4].map(|number| decay.factor(&Value::Int(number)))
        };
        let expected =
            [("gauss", [0.840_896_4, 0.0625]), ("exp", [0.707_106_77, 0.25]), ("linear", [0.75, 0.5])];
        for (function, factors) in expected {
            for (found, expected) in shape(function).iter().zip(factors) {
                assert!((found - expected).abs() < 1e-6, "{function}: {found} {expected}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_in_milvus_words() {
        let good = [("function", "gauss"), ("origin", "0"), ("scale", "1")];
        let with = |key, value| read(&["at"], &[&[(key, value)], &good[..]].concat()).unwrap_err();
        assert_eq!(with("offset", "[1]"), "Param offset:[1] is not a number");
        assert_eq!(with("scale", "-1.0"), "Decay function param: scale must > 0, but got -1.000000");
        assert_eq!(with("offset", "-1"), "Decay function param: offset must >= 0, but got -1.000000");
        assert_eq!(with("decay", "1"), "Decay function param: decay must 0 < decay < 1, but got 1.000000");
        assert!(
            with("function", "x")
                .starts_with("Invaild decay function: decay, only support [gauss,linear,exp]")
        );
        assert_eq!(read(&["at"], &good[..2]).unwrap_err(), "Decay function lost param: scale");
        let of = |fields: &[&str]| read(fields, &good).unwrap_err();
        assert_eq!(of(&["none"]), "Function input field not found: none");
        assert_eq!(of(&["maybe"]), "Function input field cannot be nullable: field maybe");
        assert_eq!(of(&["at", "id"]), "Decay function only supports single input, but gets [[at id]] input");
        assert!(of(&["at", "at"]).contains("should be used exactly once"));
        let json = of(&["doc"]);
        assert_eq!(json, "Decay rerank: unsupported input field type:JSON, only support numberic field");
    }
}
