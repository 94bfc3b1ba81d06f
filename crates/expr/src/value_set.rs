//! The constants of a list, ready to be searched.

use std::cmp::Ordering;

use cinclus_types::{Keys, Value};
use serde::{Deserialize, Serialize};

/// A set of constants. Numbers are equal if their values are, whether written as integer or float.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ValueSet {
    /// Whether false, and whether true, is in the set.
    pub bools: [bool; 2],
    /// The integers, ascending.
    pub ints: Vec<i64>,
    /// The floats, ascending. None is NaN.
    pub floats: Vec<f64>,
    /// The texts, ascending by bytes.
    pub texts: Vec<String>,
    /// The lists, as JSON, in an order of their own.
    pub lists: Vec<serde_json::Value>,
}

impl ValueSet {
    /// The set of some constants. Null and vectors are no constants and left out.
    pub fn new(values: impl IntoIterator<Item = Value>) -> ValueSet {
        let mut set = ValueSet::default();
        for value in values {
            match value {
                Value::Bool(value) => set.bools[usize::from(value)] = true,
                Value::Int(value) => set.ints.push(value),
                // -0.0 and 0.0 are one value.
                Value::Float(value) => set.floats.push(value + 0.0),
                Value::Text(value) => set.texts.push(value),
                Value::Array(_) => set.lists.push(constant_json(&value)),
                Value::Json(value) => set.lists.push(value),
                Value::Null | Value::FloatVector(_) => {}
            }
        }
        set.ints.sort_unstable();
        set.ints.dedup();
        set.floats.sort_unstable_by(f64::total_cmp);
        set.floats.dedup();
        set.texts.sort_unstable();
        set.texts.dedup();
        set.lists.sort_by_cached_key(ToString::to_string);
        set.lists.dedup();
        set
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many constants.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bools.iter().filter(|&&held| held).count()
            + self.ints.len()
            + self.floats.len()
            + self.texts.len()
            + self.lists.len()
    }

    /// All constants: bools, integers, floats, texts, lists, each ascending.
    pub fn iter(&self) -> impl Iterator<Item = Value> {
        let bools = [false, true].into_iter().filter(|&value| self.bools[usize::from(value)]);
        bools
            .map(Value::Bool)
            .chain(self.ints.iter().map(|&value| Value::Int(value)))
            .chain(self.floats.iter().map(|&value| Value::Float(value)))
            .chain(self.texts.iter().map(|value| Value::Text(value.clone())))
            .chain(self.lists.iter().map(|value| Value::Json(value.clone())))
    }

    /// Whether an integer is in the set.
    #[must_use]
    pub fn contains_int(&self, value: i64) -> bool {
        let float = value as f64;
        self.ints.binary_search(&value).is_ok()
            || (!self.floats.is_empty()
                && order_numbers(value, float) == Some(Ordering::Equal)
                && find_float(&self.floats, float))
    }

    /// Whether a float is in the set.
    #[must_use]
    pub fn contains_float(&self, value: f64) -> bool {
        let whole = value as i64;
        find_float(&self.floats, value)
            || (!self.ints.is_empty()
                && order_numbers(whole, value) == Some(Ordering::Equal)
                && self.ints.binary_search(&whole).is_ok())
    }

    /// Whether a text is in the set.
    #[must_use]
    pub fn contains_text(&self, value: &[u8]) -> bool {
        self.texts.binary_search_by(|text| text.as_bytes().cmp(value)).is_ok()
    }

    /// Whether a truth value is in the set.
    #[must_use]
    pub fn contains_bool(&self, value: bool) -> bool {
        self.bools[usize::from(value)]
    }

    /// The members as primary keys, if all are integers or all are texts.
    #[must_use]
    pub fn keys(&self) -> Option<Keys> {
        if self.ints.len() == self.len() {
            Some(Keys::Int64(self.ints.clone()))
        } else if self.texts.len() == self.len() {
            Some(Keys::VarChar(self.texts.iter().collect()))
        } else {
            None
        }
    }
}

/// The order of an integer and a float by their exact values; `None` if the float is NaN.
#[must_use]
pub fn order_numbers(int: i64, float: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        None
    } else if float >= BEYOND {
        Some(Ordering::Less)
    } else if float < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let fraction = 0.0_f64.partial_cmp(&float.fract())?;
        Some(int.cmp(&(float as i64)).then(fraction))
    }
}

/// A constant as JSON.
#[must_use]
pub fn constant_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.clone().into(),
        Value::Json(value) => value.clone(),
        Value::Array(items) => items.iter().map(constant_json).collect(),
        Value::FloatVector(items) => items.iter().copied().collect(),
    }
}

fn find_float(floats: &[f64], value: f64) -> bool {
    floats.binary_search_by(|held| held.total_cmp(&(value + 0.0))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_are_ordered_exactly() {
        let big = 1_i64 << 53;
        for (int, float, expected) in [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (0, -0.0, Some(Ordering::Equal)),
            (0, 0.5, Some(Ordering::Less)),
            (big + 1, big as f64, Some(Ordering::Greater)),
            (i64::MAX, 9_223_372_036_854_775_808.0, Some(Ordering::Less)),
            (i64::MIN, -9_223_372_036_854_775_808.0, Some(Ordering::Equal)),
            (i64::MIN, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(order_numbers(int, float), expected, "{int} {float}");
        }
    }

    #[test]
    fn a_set_finds_numbers_however_they_are_written() {
        let big = 1_i64 << 53;
        let set = ValueSet::new([Value::Int(big + 1), Value::Int(3), Value::Float(2.0), Value::Float(-0.0)]);
        assert!(set.contains_int(3) && set.contains_float(3.0) && set.contains_int(2) && set.contains_int(0));
        assert!(set.contains_float(0.0) && !set.contains_float(big as f64) && !set.contains_float(3.5));
        assert_eq!((set.len(), set.keys()), (4, None));
    }
}
