//! Loops over the packed values of a column: one bit a row, whether or not the row has a value.

use std::ops::Range;

use cinclus_expr::{CompareOp, LikePattern, ValueSet};
use cinclus_types::{Column, ColumnData, Strings, Value};

use super::mask::ones;

/// A bit for each row that has a value.
pub(super) fn valid(column: &Column, rows: &Range<usize>) -> Vec<u64> {
    match &column.valid {
        None => ones(rows.len()),
        Some(valid) => bits(&valid[rows.clone()], |valid| valid),
    }
}

/// Compares with a constant; `None` if there is no loop for these types.
pub(super) fn compare(
    op: CompareOp,
    value: &Value,
) -> impl Fn(&ColumnData, Range<usize>) -> Option<Vec<u64>> {
    move |data, rows| match (data, value) {
        (ColumnData::Bool(values), Value::Bool(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Int8(values), Value::Int(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Int16(values), Value::Int(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Int32(values), Value::Int(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Int64(values), Value::Int(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Float(values), Value::Float(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::Double(values), Value::Float(value)) => Some(ordered(&values[rows], op, *value)),
        (ColumnData::VarChar(texts), Value::Text(value)) => {
            Some(ordered_texts(texts, rows, op, value.as_bytes()))
        }
        _ => None,
    }
}

/// Looks up in a set; `None` if there is no loop for this type.
pub(super) fn is_in(set: &ValueSet) -> impl Fn(&ColumnData, Range<usize>) -> Option<Vec<u64>> {
    move |data, rows| match data {
        ColumnData::Bool(values) => Some(bits(&values[rows], |value| set.contains_bool(value))),
        ColumnData::Int8(values) => Some(ints_in(&values[rows], set)),
        ColumnData::Int16(values) => Some(ints_in(&values[rows], set)),
        ColumnData::Int32(values) => Some(ints_in(&values[rows], set)),
        ColumnData::Int64(values) => Some(ints_in(&values[rows], set)),
        ColumnData::Float(values) => Some(bits(&values[rows], |value| set.contains_float(value.into()))),
        ColumnData::Double(values) => Some(bits(&values[rows], |value| set.contains_float(value))),
        ColumnData::VarChar(texts) => Some(text_bits(texts, rows, |text| set.contains_text(text))),
        ColumnData::Json(_) | ColumnData::Array(_) | ColumnData::FloatVector { .. } => None,
    }
}

/// Fits a pattern; `None` if it is no column of texts.
pub(super) fn like(pattern: &LikePattern) -> impl Fn(&ColumnData, Range<usize>) -> Option<Vec<u64>> {
    move |data, rows| {
        let ColumnData::VarChar(texts) = data else { return None };
        Some(match pattern {
            LikePattern::Exact(whole) => text_bits(texts, rows, |text| text == whole.as_bytes()),
            LikePattern::Prefix(prefix) => text_bits(texts, rows, |text| text.starts_with(prefix.as_bytes())),
            LikePattern::Suffix(suffix) => text_bits(texts, rows, |text| text.ends_with(suffix.as_bytes())),
            LikePattern::Contains(part) => text_bits(texts, rows, |text| holds(text, part)),
            LikePattern::General(_) => text_bits(texts, rows, |text| {
                std::str::from_utf8(text).is_ok_and(|text| pattern.matches(text))
            }),
        })
    }
}

/// Whether a text holds another. In a short one, looking at each place beats preparing a search; in a long
/// one the standard library's search never takes text × part steps.
fn holds(text: &[u8], part: &str) -> bool {
    if text.len() <= 64 && !part.is_empty() {
        text.windows(part.len()).any(|window| window == part.as_bytes())
    } else {
        std::str::from_utf8(text).is_ok_and(|text| text.contains(part))
    }
}

/// One loop for each order, so that the order is not asked for in the loop.
fn ordered<T, W>(values: &[T], op: CompareOp, constant: W) -> Vec<u64>
where
    T: Copy + Into<W>,
    W: Copy + PartialOrd,
{
    match op {
        CompareOp::Eq => bits(values, |value| value.into() == constant),
        CompareOp::Ne => bits(values, |value| value.into() != constant),
        CompareOp::Lt => bits(values, |value| value.into() < constant),
        CompareOp::Le => bits(values, |value| value.into() <= constant),
        CompareOp::Gt => bits(values, |value| value.into() > constant),
        CompareOp::Ge => bits(values, |value| value.into() >= constant),
    }
}

fn ordered_texts(texts: &Strings, rows: Range<usize>, op: CompareOp, constant: &[u8]) -> Vec<u64> {
    match op {
        CompareOp::Eq => text_bits(texts, rows, |text| text == constant),
        CompareOp::Ne => text_bits(texts, rows, |text| text != constant),
        CompareOp::Lt => text_bits(texts, rows, |text| text < constant),
        CompareOp::Le => text_bits(texts, rows, |text| text <= constant),
        CompareOp::Gt => text_bits(texts, rows, |text| text > constant),
        CompareOp::Ge => text_bits(texts, rows, |text| text >= constant),
    }
}

/// Most keys of a block lie outside of a short list of keys: the ends are asked first.
fn ints_in<T: Copy + Into<i64>>(values: &[T], set: &ValueSet) -> Vec<u64> {
    let (Some(&first), Some(&last)) = (set.ints.first(), set.ints.last()) else {
        return bits(values, |value| set.contains_int(value.into()));
    };
    bits(values, |value| (first..=last).contains(&value.into()) && set.contains_int(value.into()))
}

fn bits<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> Vec<u64> {
    let word = |values: &[T]| {
        values.iter().enumerate().fold(0, |word, (place, &value)| word | u64::from(test(value)) << place)
    };
    values.chunks(64).map(word).collect()
}

fn text_bits(texts: &Strings, rows: Range<usize>, test: impl Fn(&[u8]) -> bool) -> Vec<u64> {
    let mut words = vec![0; rows.len().div_ceil(64)];
    for (place, row) in rows.enumerate() {
        words[place / 64] |= u64::from(test(texts.get(row))) << (place % 64);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_texts_hold_their_parts() {
        let long = format!("{}needle", "ne".repeat(50));
        for (text, part, expected) in [
            ("needle", "need", true),
            ("needle", "dle", true),
            ("needle", "needle", true),
            ("needle", "needles", false),
            ("needle", "", true),
            ("", "n", false),
            (long.as_str(), "needle", true),
            (long.as_str(), "needles", false),
        ] {
            assert_eq!(holds(text.as_bytes(), part), expected, "{text} {part}");
        }
    }
}
