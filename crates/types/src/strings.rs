//! A packed column of byte strings.

/// Byte strings one behind another: 4 bytes a row beside the text itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Strings {
    /// An empty column with room for `rows` strings of `bytes` bytes together.
    #[must_use]
    pub fn with_capacity(rows: usize, bytes: usize) -> Strings {
        Strings { ends: Vec::with_capacity(rows), bytes: Vec::with_capacity(bytes) }
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If the column would hold 4 GiB or more: batches are bounded far below.
    pub fn push(&mut self, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(value.as_ref());
        self.ends.push(u32::try_from(self.bytes.len()).expect("a column of strings stays below 4 GiB"));
    }

    /// How many strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }

    /// The text of row `row`; what is not UTF-8 reads as empty (the proxy lets only UTF-8 in).
    #[must_use]
    pub fn text(&self, row: usize) -> &str {
        std::str::from_utf8(self.get(row)).unwrap_or_default()
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The bytes of all strings together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The memory that this column holds, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Strings {
    fn from_iter<I: IntoIterator<Item = S>>(values: I) -> Strings {
        let mut strings = Strings::default();
        for value in values {
            strings.push(value);
        }
        strings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_order() {
        let strings: Strings = ["a", "", "Größe"].into_iter().collect();
        assert_eq!((strings.len(), strings.text(0), strings.text(1), strings.text(2)), (3, "a", "", "Größe"));
    }
}
