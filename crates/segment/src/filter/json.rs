//! One place of a JSON text, without building the rest.

use std::fmt;

use cinclus_expr::PathStep;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The value at the end of a path; `None` if there is none, or the text is not JSON. Of a key that
/// repeats, the last counts.
pub(super) fn at(text: &[u8], steps: &[PathStep]) -> Option<Value> {
    if steps.is_empty() {
        return serde_json::from_slice(text).ok();
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let found = Place(steps).deserialize(&mut json).ok()?;
    json.end().ok().and(found)
}

/// Reads a value, keeps what is at the end of the steps, and skips all else.
struct Place<'a>(&'a [PathStep]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<Value>, D::Error> {
        if self.0.is_empty() {
            return serde::Deserialize::deserialize(json).map(Some);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let (step, rest) = (&self.0[0], &self.0[1..]);
        let index;
        let wanted = match step {
            PathStep::Key(key) => key.as_str(),
            PathStep::Index(number) => {
                index = number.to_string();
                &index
            }
        };
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Same(wanted))? {
            if is_wanted {
                found = map.next_value_seed(Place(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        if let PathStep::Index(index) = self.0[0] {
            for _ in 0..index {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element_seed(Place(&self.0[1..]))?.flatten();
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<Value>, E> {
        Ok(None)
    }
}

/// Reads a key and says whether it is this one.
struct Same<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Same<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Same<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_what_a_whole_document_holds() {
        let key = |key: &str| PathStep::Key(key.to_owned());
        let document =
            r#" {"a": {"b": [1, {"c": "x"}, null], "0": true}, "\u0062": 2, "a\"": 3, "n": null} "#;
        for (steps, expected) in [
            (vec![], serde_json::from_str(document).ok()),
            (vec![key("b")], Some(2.into())),
            (vec![key("a\"")], Some(3.into())),
            (vec![key("n")], Some(Value::Null)),
            (vec![key("a"), key("b"), PathStep::Index(1), key("c")], Some("x".into())),
            (vec![key("a"), PathStep::Index(0)], Some(true.into())),
            (vec![key("a"), key("b"), PathStep::Index(3)], None),
            (vec![key("a"), key("b"), key("1")], None),
            (vec![key("b"), key("c")], None),
            (vec![key("z")], None),
        ] {
            assert_eq!(at(document.as_bytes(), &steps), expected, "{steps:?}");
        }
        assert_eq!(at(br#"{"a": 1, "a": 2}"#, &[key("a")]), Some(2.into()));
        for broken in ["", "{", r#"{"a": 1"#, r#"{"a": 1} x"#] {
            assert_eq!(
                (at(broken.as_bytes(), &[key("a")]), at(broken.as_bytes(), &[])),
                (None, None),
                "{broken}"
            );
        }
    }
}
