//! The members of JSON objects. Their values are not read, so that numbers stay as they were written.

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

/// A key, and the text of its value.
type Member<'a> = (String, &'a [u8]);

/// The members of two objects, in the order of their keys; where both have a key, that of `new`. Nothing if one of
/// them is no object.
#[must_use]
pub fn merged(old: &[u8], new: &[u8]) -> Option<Bytes> {
    let (mut all, new) = (members(old)?, members(new)?);
    all.retain(|(key, _)| new.iter().all(|(other, _)| other != key));
    all.extend(new);
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    write(all.iter())
}

/// The members of an object that have one of these keys. Nothing if it is no object.
#[must_use]
pub fn picked(text: &[u8], keys: &[String]) -> Option<Bytes> {
    write(members(text)?.iter().filter(|(key, _)| keys.contains(key)))
}

fn write<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> Option<Bytes> {
    let mut text = vec![b'{'];
    for (key, value) in members {
        if text.len() > 1 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, key).ok()?;
        text.push(b':');
        text.extend_from_slice(value);
    }
    text.push(b'}');
    Some(text.into())
}

fn members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut rest = text.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (key, after) = value::<String>(rest)?;
        let after = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let (IgnoredAny, end) = value(after)?;
        found.push((key, after[..after.len() - end.len()].trim_ascii_end()));
        let end = end.trim_ascii_start();
        rest = if end.is_empty() { end } else { end.strip_prefix(b",")?.trim_ascii_start() };
    }
    Some(found)
}

/// The JSON value that a text begins with, and what comes after it.
fn value<T: DeserializeOwned>(text: &[u8]) -> Option<(T, &[u8])> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_objects_are_merged_as_they_are_written() {
        let check = |old: &str, new: &str, expected: Option<&str>| {
            let merged = merged(old.as_bytes(), new.as_bytes());
            assert_eq!(merged.as_deref(), expected.map(str::as_bytes), "{old} {new}");
        };
        check("{}", "{}", Some("{}"));
        check(
            " { \"a\" : 1e400 , \"b\":\"}\" } ",
            "{\"c\":true}",
            Some("{\"a\":1e400,\"b\":\"}\",\"c\":true}"),
        );
        check("{\"a\":1,\"\\u0062\":2}", "{\"b\" : { } }", Some("{\"a\":1,\"b\":{ }}"));
        check("{\"b\":1}", "{\"c\":2,\"a\":3}", Some("{\"a\":3,\"b\":1,\"c\":2}"));
        check("[1]", "{}", None);
        check("{\"a\":1 2}", "{}", None);
    }

    #[test]
    fn members_are_picked_by_their_keys() {
        let pick = |text: &str| picked(text.as_bytes(), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            pick("{\"c\": 1, \"b\": 2.50, \"a\": {\"c\":1}}").unwrap(),
            "{\"b\":2.50,\"a\":{\"c\":1}}"
        );
        assert_eq!(pick("{\"c\":1}").unwrap(), "{}");
        assert_eq!(pick("1"), None);
    }
}
