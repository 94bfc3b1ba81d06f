//! Names and values of a record or message, kept in the form in which logs and calls carry them.
//!
//! That form is a `map<string, string>` of protobuf: one field for each entry, `key = 1`, `value = 2`. Reading a
//! record takes a slice of it, and passing it on copies it once; nothing is allocated for a single name or value.

use std::ops::Range;

use bytes::{BufMut, Bytes};

/// The field of a map entry that holds the name, and the one that holds the value.
const NAME_TAG: u8 = 1 << 3 | 2;
const VALUE_TAG: u8 = 2 << 3 | 2;
/// The field of entries that are made here: that of a log's records.
const ENTRY_TAG: u8 = 2 << 3 | 2;

/// Names and values, sorted by name, each name once.
///
/// Two are equal if their names and values are, whichever field they were read from.
#[derive(Clone, Default)]
pub struct Properties {
    /// Whole fields one behind the other: a tag of one byte, the length of the entry, name, value. Lengths have as
    /// few bytes as they can, and both parts are always there.
    fields: Bytes,
}

/// Why bytes are no properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// An entry is cut off, or is no map entry.
    #[error("a property is malformed")]
    Malformed,
    /// A name or value is not text.
    #[error("a property is not UTF-8")]
    NotText,
}

impl Properties {
    /// The value of a property.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values by ascending name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (fields, mut at): (&[u8], &[u8]) = (&self.fields, &self.fields);
        // Tags are ASCII, and lengths as a rule: then all of it is text, which is checked at once.
        let whole = std::str::from_utf8(fields).ok();
        std::iter::from_fn(move || {
            let (name, value) = next_canonical(&mut at)?;
            let Some(whole) = whole else { return Some((text(name), text(value))) };
            let end = fields.len() - at.len();
            let name_end = end - prefixed_len(value.len()) - 1;
            Some((&whole[name_end - name.len()..name_end], &whole[end - value.len()..end]))
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Bytes of [`Properties::put_fields`].
    #[must_use]
    pub fn fields_len(&self) -> usize {
        self.fields.len()
    }

    /// Writes each entry as a field of a message, which is numbered 1 to 15.
    pub fn put_fields(&self, number: u8, out: &mut impl BufMut) {
        let tag = number << 3 | 2;
        if self.fields.first() == Some(&tag) {
            out.put_slice(&self.fields);
            return;
        }
        let mut at: &[u8] = &self.fields;
        while !at.is_empty() {
            let before = at;
            let _ = next_canonical(&mut at);
            out.put_u8(tag);
            out.put_slice(&before[1..before.len() - at.len()]);
        }
    }

    /// Properties of whole fields that stand one behind the other, each with a tag of one byte. What another
    /// program wrote in another order or with more bytes than needed is put right; of a name given twice the last
    /// value counts, as protobuf says of maps.
    ///
    /// # Errors
    /// They are no map entries.
    pub fn from_fields(fields: Bytes) -> Result<Properties, PropertiesError> {
        if is_canonical(&fields) {
            return Ok(Properties { fields });
        }
        let (mut at, mut list): (&[u8], Vec<(&str, &str)>) = (&fields, Vec::new());
        while !at.is_empty() {
            at = &at[1..];
            list.push(entry(take_prefixed(&mut at).ok_or(PropertiesError::Malformed)?)?);
        }
        Ok(sorted(list))
    }

    /// These and one more.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Properties {
        sorted(self.iter().chain([(name, value)]).collect())
    }
}

/// The property fields of a message while it is read: one slice of it, as we and most others write them, or put
/// together.
#[derive(Debug)]
pub struct PropertyFields {
    tag: u8,
    slice: Range<usize>,
    gathered: Vec<u8>,
}

impl PropertyFields {
    /// None yet, of the field of that number, which is 1 to 15.
    #[must_use]
    pub fn numbered(number: u8) -> PropertyFields {
        PropertyFields { tag: number << 3 | 2, slice: 0..0, gathered: Vec::new() }
    }

    /// Takes in one field of a message: where it stands there, and what it holds.
    pub fn add(&mut self, message: &[u8], field: Range<usize>, content: &[u8]) {
        let begins = self.slice.is_empty() && self.gathered.is_empty();
        let goes_on = begins || self.gathered.is_empty() && self.slice.end == field.start;
        // A tag may be written with more bytes than it needs.
        if goes_on && message[field.start] == self.tag {
            self.slice = if begins { field } else { self.slice.start..field.end };
            return;
        }
        if self.gathered.is_empty() {
            self.gathered.extend_from_slice(&message[self.slice.clone()]);
        }
        self.gathered.push(self.tag);
        put_len(content.len(), &mut self.gathered);
        self.gathered.extend_from_slice(content);
    }

    /// All of them.
    ///
    /// # Errors
    /// They are no map entries.
    pub fn of(self, message: &Bytes) -> Result<Properties, PropertiesError> {
        let whole = self.gathered.is_empty();
        Properties::from_fields(if whole { message.slice(self.slice) } else { self.gathered.into() })
    }
}

/// Puts together properties that come by ascending name.
#[derive(Debug, Default)]
pub struct PropertiesBuilder {
    fields: Vec<u8>,
}

impl PropertiesBuilder {
    /// None yet, and room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> PropertiesBuilder {
        PropertiesBuilder { fields: Vec::with_capacity(bytes) }
    }

    /// Adds one whose name is greater than all before.
    pub fn put(&mut self, name: &str, value: &str) {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        self.fields.push(ENTRY_TAG);
        put_len(prefixed_len(name.len()) + prefixed_len(value.len()) + 2, &mut self.fields);
        for (tag, text) in [(NAME_TAG, name), (VALUE_TAG, value)] {
            self.fields.push(tag);
            put_len(text.len(), &mut self.fields);
            self.fields.extend_from_slice(text);
        }
    }

    /// All of them.
    #[must_use]
    pub fn build(self) -> Properties {
        debug_assert!(is_canonical(&self.fields), "the names ascend");
        Properties { fields: self.fields.into() }
    }
}

/// Sorts by name; of a name given twice the last value stays.
fn sorted(mut list: Vec<(&str, &str)>) -> Properties {
    list.sort_by_key(|(name, _)| *name);
    let mut built = PropertiesBuilder::default();
    for (at, (name, value)) in list.iter().enumerate() {
        if list.get(at + 1).is_none_or(|next| next.0 != *name) {
            built.put(name, value);
        }
    }
    built.build()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("checked when the properties were made")
}

fn put_len(mut len: usize, out: &mut Vec<u8>) {
    while len > 127 {
        out.push(len as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Bytes of a text with its length before it.
fn prefixed_len(text: usize) -> usize {
    let bits = usize::BITS - (text | 1).leading_zeros();
    bits.div_ceil(7) as usize + text
}

/// Takes a length and so many bytes off `at`; `None` if they are not there.
fn take_prefixed<'a>(at: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (mut len, mut shift) = (0_usize, 0);
    loop {
        let (first, rest) = at.split_first()?;
        *at = rest;
        len |= usize::from(first & 127) << shift;
        shift += 7;
        if *first < 128 {
            break;
        }
        if shift > 28 {
            return None;
        }
    }
    let (text, rest) = at.split_at_checked(len)?;
    *at = rest;
    Some(text)
}

/// Takes a field in the form in which we write it off `at`: name and value.
fn next_canonical<'a>(at: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let part = |entry: &mut &'a [u8], tag: u8| {
        let (first, rest) = entry.split_first()?;
        *entry = rest;
        take_prefixed(entry).filter(|_| *first == tag)
    };
    let (_, rest) = at.split_first()?;
    *at = rest;
    let mut entry = take_prefixed(at)?;
    let (name, value) = (part(&mut entry, NAME_TAG)?, part(&mut entry, VALUE_TAG)?);
    entry.is_empty().then_some((name, value))
}

/// Whether the fields are as we write them, under any number below 16.
fn is_canonical(fields: &[u8]) -> bool {
    let (mut at, mut last): (&[u8], Option<&[u8]>) = (fields, None);
    let all_text = std::str::from_utf8(fields).is_ok();
    while !at.is_empty() {
        let (before, same_field) = (at.len(), at[0] == fields[0]);
        let Some((name, value)) = next_canonical(&mut at) else { return false };
        let entry = prefixed_len(name.len()) + prefixed_len(value.len()) + 2;
        let shortest = 1 + prefixed_len(entry) == before - at.len();
        let text = all_text || [name, value].iter().all(|part| std::str::from_utf8(part).is_ok());
        if !same_field || !shortest || !text || last.is_some_and(|last| last >= name) {
            return false;
        }
        last = Some(name);
    }
    true
}

/// An entry as anybody may write it: fields in any order, or missing, or unknown.
fn entry(mut at: &[u8]) -> Result<(&str, &str), PropertiesError> {
    let (mut name, mut value) = ("", "");
    while let Some((tag, rest)) = at.split_first() {
        at = rest;
        // What else a later protocol may put there has a length too: a map entry has strings only.
        if tag & 7 != 2 || *tag > 127 {
            return Err(PropertiesError::Malformed);
        }
        let bytes = take_prefixed(&mut at).ok_or(PropertiesError::Malformed)?;
        let text = || std::str::from_utf8(bytes).map_err(|_| PropertiesError::NotText);
        match *tag {
            NAME_TAG => name = text()?,
            VALUE_TAG => value = text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

impl PartialEq for Properties {
    fn eq(&self, other: &Properties) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Properties {}

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(properties: I) -> Properties {
        let list: Vec<(N, V)> = properties.into_iter().collect();
        sorted(list.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect())
    }
}

impl From<Vec<(String, String)>> for Properties {
    fn from(list: Vec<(String, String)>) -> Properties {
        list.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    /// The map as the field 2 of a message.
    #[derive(Clone, PartialEq, Message)]
    struct Two {
        #[prost(btree_map = "string, string", tag = "2")]
        map: BTreeMap<String, String>,
    }

    /// The map as the field 3 of a message.
    #[derive(Clone, PartialEq, Message)]
    struct Three {
        #[prost(btree_map = "string, string", tag = "3")]
        map: BTreeMap<String, String>,
    }

    fn fields(properties: &Properties, number: u8) -> Bytes {
        let mut out = Vec::new();
        properties.put_fields(number, &mut out);
        assert_eq!(out.len(), properties.fields_len());
        out.into()
    }

    #[test]
    fn names_are_sorted_and_found() {
        let properties = Properties::from_iter([("b", "2"), ("a", ""), ("ab", "3"), ("b", "4")]);
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("a", ""), ("ab", "3"), ("b", "4")]);
        assert_eq!(
            (properties.get("b"), properties.get("a"), properties.get("c")),
            (Some("4"), Some(""), None)
        );
        assert_eq!(properties.text_len(), 6);
        assert_eq!(properties.with("aa", "x").iter().nth(1), Some(("aa", "x")));
        assert!(Properties::default().is_empty() && !properties.is_empty());
        assert_eq!(format!("{properties:?}"), r#"{"a": "", "ab": "3", "b": "4"}"#);
    }

    #[test]
    fn what_is_read_in_our_form_is_not_copied() {
        let written = fields(&Properties::from_iter([("a", "1"), ("b", "2")]), 2);
        let read = Properties::from_fields(written.clone()).unwrap();
        assert_eq!(read.fields.as_ptr(), written.as_ptr());
    }

    #[test]
    fn what_others_write_otherwise_is_put_right() {
        // Value before name; no value; a length of two bytes that one would do for; a name twice.
        let odd = b"\x12\x06\x12\x011\x0a\x01z\x12\x03\x0a\x01y\x12\x87\x00\x0a\x01x\x12\x81\x003\x12\x06\x0a\x01z\x12\x012";
        let read = Properties::from_fields(Bytes::from_static(odd)).unwrap();
        assert_eq!(read, Properties::from_iter([("x", "3"), ("y", ""), ("z", "2")]));
        for bad in [&b"\x12"[..], b"\x12\x05\x0a\x01a", b"\x12\x02\x08\x01", b"\x12\x03\x0a\x05a"] {
            let error = Properties::from_fields(Bytes::copy_from_slice(bad)).unwrap_err();
            assert_eq!(error, PropertiesError::Malformed, "{bad:?}");
        }
        let not_text = Properties::from_fields(Bytes::from_static(b"\x12\x03\x0a\x01\xff"));
        assert_eq!(not_text, Err(PropertiesError::NotText));
    }

    proptest! {
        #[test]
        fn it_is_a_protobuf_map(map in prop::collection::btree_map("\\PC{0,9}", "\\PC{0,200}", 0..6)) {
            let properties: Properties = map.iter().collect();
            let (two, three) = (fields(&properties, 2), fields(&properties, 3));
            prop_assert_eq!(&Two::decode(two.clone()).unwrap().map, &map);
            prop_assert_eq!(&Three::decode(three.clone()).unwrap().map, &map);
            // Prost leaves out what is empty.
            let theirs = Bytes::from(Two { map }.encode_to_vec());
            for read in [two, three, theirs] {
                let read = Properties::from_fields(read).unwrap();
                prop_assert_eq!(&read, &properties);
                prop_assert_eq!(fields(&read, 3), fields(&properties, 3));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            if let Ok(properties) = Properties::from_fields(bytes.into()) {
                prop_assert!(properties.iter().is_sorted());
            }
        }
    }
}
