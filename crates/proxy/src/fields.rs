//! Which fields an answer shows.

use cinclus_types::proto::schema::FieldData;
use cinclus_types::{CollectionSchema, FieldId, FieldSchema, Rows};

use crate::convert::output;
use crate::status::ProxyError;

/// The fields of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputFields {
    /// The fields to read, each once.
    pub fields: Vec<FieldSchema>,
    /// The names to tell the client: of the fields, and of keys inside `$meta`.
    pub names: Vec<String>,
    /// The keys inside `$meta` to show, if it is not shown as a whole.
    pub keys: Option<Vec<String>>,
}

impl OutputFields {
    /// The fields of the asked names. `*` is every field. A name that the schema does not have is a key
    /// inside `$meta`, if there is such.
    ///
    /// # Errors
    /// There is no such field.
    pub fn of(schema: &CollectionSchema, asked: &[String]) -> Result<OutputFields, ProxyError> {
        let mut output = OutputFields { fields: Vec::new(), names: Vec::new(), keys: None };
        let mut keys = Vec::new();
        for name in asked.iter().map(|name| name.trim()) {
            match (name, schema.field(name), schema.dynamic_field()) {
                ("*", _, _) => schema.fields.iter().for_each(|field| output.add(field, &field.name)),
                (_, Some(field), _) => output.add(field, &field.name),
                (_, None, Some(meta)) if is_key(name) => {
                    output.add(meta, name);
                    keys.push(name.to_owned());
                }
                (_, None, Some(_)) => {
                    let what = "it is neither a field nor a key beside the fields";
                    return Err(ProxyError::Plain(format!("parse output field name failed: {name}: {what}")));
                }
                (_, None, None) => return Err(ProxyError::OutputFieldNotFound(name.to_owned())),
            }
        }
        let whole = output.names.iter().any(|name| name == CollectionSchema::DYNAMIC_FIELD);
        output.keys = (!whole && !keys.is_empty()).then_some(keys);
        Ok(output)
    }

    /// The same with a field that is always shown, first.
    #[must_use]
    pub fn with_first(mut self, field: &FieldSchema) -> OutputFields {
        if self.fields.iter().all(|other| other.id != field.id) {
            self.fields.insert(0, field.clone());
            self.names.insert(0, field.name.clone());
        }
        self
    }

    fn add(&mut self, field: &FieldSchema, name: &str) {
        if self.fields.iter().all(|other| other.id != field.id) {
            self.fields.push(field.clone());
        }
        if self.names.iter().all(|other| other != name) {
            self.names.push(name.to_owned());
        }
    }

    /// The ids of the fields to read.
    #[must_use]
    pub fn ids(&self) -> Vec<FieldId> {
        self.fields.iter().map(|field| field.id).collect()
    }

    /// The columns of the answer, one for each field even without rows.
    #[must_use]
    pub fn columns(&self, mut rows: Rows) -> Vec<FieldData> {
        let mut column = |field: &FieldSchema| {
            let mut column = output::take_column(&mut rows, field);
            if let Some(keys) = self.keys.as_ref().filter(|_| field.dynamic) {
                output::pick(&mut column, keys);
            }
            column
        };
        self.fields.iter().map(&mut column).collect()
    }
}

/// Refuses to aggregate rows, which is for queries.
///
/// # Errors
/// A name is that of an aggregate.
pub fn refuse_aggregates(asked: &[String]) -> Result<(), ProxyError> {
    let aggregate = |name: &String| {
        let kind = name.trim().strip_suffix(')').and_then(|name| name.split_once('(')).map(|(kind, _)| kind);
        kind.is_some_and(|kind| {
            ["count", "sum", "min", "max", "avg"].iter().any(|known| known.eq_ignore_ascii_case(kind.trim()))
        })
    };
    if asked.iter().any(aggregate) {
        return Err(ProxyError::Plain("aggregates are not supported in search request".to_owned()));
    }
    Ok(())
}

/// Whether a name can be a key inside `$meta`.
fn is_key(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

#[cfg(test)]
mod tests {
    use cinclus_types::proto::schema::field_data::Field;
    use cinclus_types::proto::schema::scalar_field::Data;
    use cinclus_types::{Column, ColumnData, DataType};

    use super::*;

    fn schema(dynamic: bool) -> CollectionSchema {
        let mut schema = CollectionSchema { dynamic, ..CollectionSchema::default() };
        schema.fields.push(FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key());
        schema.fields.push(FieldSchema::new(FieldId(101), "a", DataType::VarChar));
        if dynamic {
            let mut meta = FieldSchema::new(FieldId(102), "$meta", DataType::Json);
            meta.dynamic = true;
            schema.fields.push(meta);
        }
        schema
    }

    fn check(dynamic: bool, asked: &[&str]) -> Result<(Vec<i64>, Vec<String>), String> {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        let output = OutputFields::of(&schema(dynamic), &asked).map_err(|error| error.to_string())?;
        Ok((output.ids().iter().map(|id| id.0).collect(), output.names))
    }

    #[test]
    fn of_undeclared_keys_only_the_asked_ones_are_shown() {
        let shown = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
            let texts = [br#"{"x":1,"y":2}"#.as_slice(), br#"{"y":3}"#].into_iter().collect();
            let columns = vec![Column::new(FieldId(102), ColumnData::Json(texts))];
            let output = OutputFields::of(&schema(true), &asked).unwrap();
            let columns = output.columns(Rows { count: 2, columns });
            let Some(Field::Scalars(scalars)) = &columns.last().unwrap().field else { panic!("no scalars") };
            let Some(Data::JsonData(texts)) = &scalars.data else { panic!("no JSON") };
            texts.data.iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(shown(&["x"]), [r#"{"x":1}"#, "{}"]);
        assert_eq!(shown(&["x", "z", "y"]), [r#"{"x":1,"y":2}"#, r#"{"y":3}"#]);
        for whole in [&["$meta"][..], &["x", "$meta"], &["*", "x"]] {
            assert_eq!(shown(whole), [r#"{"x":1,"y":2}"#, r#"{"y":3}"#]);
        }
    }

    #[test]
    fn searches_do_not_aggregate() {
        let judge = |name: &str| refuse_aggregates(&[name.to_owned()]).map_err(|error| error.to_string());
        assert_eq!((judge("a"), judge("count"), judge("f(x)")), (Ok(()), Ok(()), Ok(())));
        let text = "aggregates are not supported in search request";
        assert_eq!(judge("count(*)"), Err(text.to_owned()));
        assert_eq!(judge("Sum( a )"), Err(text.to_owned()));
    }

    #[test]
    fn names_stars_and_dynamic_keys_are_found() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(check(false, &["a", "a"]), Ok((vec![101], names(&["a"]))));
        assert_eq!(check(true, &["*"]), Ok((vec![100, 101, 102], names(&["id", "a", "$meta"]))));
        assert_eq!(check(true, &["color", "x"]), Ok((vec![102], names(&["color", "x"]))));
        assert_eq!(check(false, &["color"]), Err("field color not exist".to_owned()));
        assert_eq!(
            check(true, &["a b"]),
            Err("parse output field name failed: a b: it is neither a field nor a key beside the fields"
                .to_owned())
        );
    }
}
