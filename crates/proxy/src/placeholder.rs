//! The queries of a search: a `PlaceholderGroup`.

use std::sync::Arc;

use cinclus_types::FieldSchema;
use cinclus_types::proto::common::{PlaceholderGroup, PlaceholderType};
use prost::Message as _;

use crate::params::WINDOW;
use crate::status::ProxyError;

/// Reads the query vectors for a field, one behind another. `count` is what the request says of their
/// number; clients that say nothing send 0.
///
/// # Errors
/// The group cannot be read, or its vectors are not of the field's type and dimension.
pub fn queries(field: &FieldSchema, group: &[u8], count: i64) -> Result<Arc<[f32]>, ProxyError> {
    let group = PlaceholderGroup::decode(group)
        .map_err(|error| ProxyError::Invalid(format!("the placeholder group cannot be read: {error}")))?;
    let [placeholder] = group.placeholders.as_slice() else {
        return Err(ProxyError::Invalid(format!(
            "a search needs one placeholder, but got {}",
            group.placeholders.len()
        )));
    };
    let given = i64::try_from(placeholder.values.len()).unwrap_or(i64::MAX);
    if !(1..=WINDOW).contains(&given) {
        return Err(ProxyError::QueryCount(given));
    }
    if count != 0 && count != given {
        return Err(ProxyError::Unexpected {
            what: "nq of the request does not match its placeholder group".into(),
            expected: count.to_string(),
            actual: given.to_string(),
        });
    }
    if placeholder.r#type != PlaceholderType::FloatVector as i32 {
        let name = PlaceholderType::try_from(placeholder.r#type).map_or("unknown", |kind| kind.as_str_name());
        return Err(ProxyError::Plain(format!(
            "vector type must be the same, field {} - type FloatVector, search info type {name}",
            field.name
        )));
    }
    let expected = field.dim() * 4;
    let mut floats = Vec::with_capacity(placeholder.values.len() * field.dim());
    for value in &placeholder.values {
        if value.len() != expected {
            return Err(ProxyError::QueryDimension { expected, actual: value.len() });
        }
        let (words, _) = value.as_chunks::<4>();
        floats.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
    }
    if let Some(bad) = floats.iter().find(|float| !float.is_finite()) {
        return Err(ProxyError::Invalid(format!(
            "value '{bad}' of a query vector is not a number or infinity"
        )));
    }
    Ok(floats.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cinclus_types::proto::common::PlaceholderValue;
    use cinclus_types::{DataType, FieldId};

    use super::*;

    fn group(kind: PlaceholderType, vectors: &[&[f32]]) -> Vec<u8> {
        let bytes = |vector: &&[f32]| vector.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let value = PlaceholderValue {
            tag: "$0".to_owned(),
            r#type: kind as i32,
            values: vectors.iter().map(|vector| Bytes::from(bytes(vector))).collect(),
            element_level: false,
        };
        PlaceholderGroup { placeholders: vec![value] }.encode_to_vec()
    }

    fn check(group: &[u8], count: i64) -> Result<Vec<f32>, String> {
        let field = FieldSchema::new(FieldId(101), "v", DataType::FloatVector).with_param("dim", 2);
        queries(&field, group, count).map(|floats| floats.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn vectors_come_one_behind_another() {
        let two = group(PlaceholderType::FloatVector, &[&[1.0, 2.0], &[3.0, 4.0]]);
        assert_eq!(check(&two, 2), Ok(vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(check(&two, 0), Ok(vec![1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let float = PlaceholderType::FloatVector;
        assert_eq!(
            check(&group(float, &[&[1.0, 2.0, 3.0]]), 1).unwrap_err(),
            "vector dimension mismatch, expected vector size(byte) 8, actual 12."
        );
        assert_eq!(
            check(&group(float, &[]), 0).unwrap_err(),
            "nq [0] is invalid, nq (number of search vector per search request) should be in range [1, 16384], but got 0"
        );
        assert!(
            check(&group(PlaceholderType::BinaryVector, &[&[1.0]]), 1).unwrap_err().contains("BinaryVector")
        );
        assert!(check(&group(float, &[&[f32::NAN, 0.0]]), 1).unwrap_err().contains("not a number"));
        assert!(check(&group(float, &[&[1.0, 2.0]]), 2).unwrap_err().contains("[expected=2][actual=1]"));
        assert!(check(b"\xff", 1).unwrap_err().contains("cannot be read"));
    }
}
