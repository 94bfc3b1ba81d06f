//! Where a record stands in the log of its PChannel.

use serde::{Deserialize, Serialize};

/// An ordered id: 16 bits of storage generation, then 112 bits of the backend (DESIGN §1.7).
///
/// Ids order over generations, so that a log can change its storage. For Woodpecker the backend bits
/// are segment and entry, 56 bits each.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u128);

const BACKEND_BITS: u32 = 112;
const HALF_BITS: u32 = 56;
const HALF_MASK: u128 = (1 << HALF_BITS) - 1;

impl MessageId {
    /// Before every record.
    pub const EARLIEST: MessageId = MessageId(0);
    /// After every record.
    pub const LATEST: MessageId = MessageId(u128::MAX);

    /// An id of a backend with two numbers (Woodpecker: segment and entry).
    ///
    /// # Panics
    /// If a number does not fit in 56 bits: no log gets there.
    #[must_use]
    pub fn from_parts(generation: u16, segment: u64, entry: u64) -> MessageId {
        assert!(u128::from(segment) <= HALF_MASK && u128::from(entry) <= HALF_MASK, "id out of range");
        MessageId(
            u128::from(generation) << BACKEND_BITS | u128::from(segment) << HALF_BITS | u128::from(entry),
        )
    }

    /// The storage generation.
    #[must_use]
    pub const fn generation(self) -> u16 {
        (self.0 >> BACKEND_BITS) as u16
    }

    /// The first number of the backend (Woodpecker: segment).
    #[must_use]
    pub const fn segment(self) -> u64 {
        ((self.0 >> HALF_BITS) & HALF_MASK) as u64
    }

    /// The second number of the backend (Woodpecker: entry).
    #[must_use]
    pub const fn entry(self) -> u64 {
        (self.0 & HALF_MASK) as u64
    }

    /// The least id that is greater: "after this record" as a starting point.
    #[must_use]
    pub const fn next(self) -> MessageId {
        MessageId(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.generation(), self.segment(), self.entry())
    }
}

impl std::fmt::Debug for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The text of an id does not have the form `generation/segment/entry`.
#[derive(Debug, thiserror::Error)]
#[error("a message id has the form generation/segment/entry, not {0:?}")]
pub struct ParseMessageIdError(String);

impl std::str::FromStr for MessageId {
    type Err = ParseMessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseMessageIdError(text.to_owned());
        let mut parts = text.split('/');
        let mut number = |limit: u64| {
            let value: u64 = parts.next()?.parse().ok()?;
            (value <= limit).then_some(value)
        };
        let half = HALF_MASK as u64;
        let id = (|| Some((number(u64::from(u16::MAX))?, number(half)?, number(half)?)))();
        let (generation, segment, entry) = id.ok_or_else(wrong)?;
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(MessageId::from_parts(generation as u16, segment, entry))
    }
}

impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_generation_then_segment_then_entry() {
        let low = MessageId::from_parts(0, 5, 900);
        let high = MessageId::from_parts(0, 6, 0);
        assert!(low < high && high < MessageId::from_parts(1, 0, 0));
        assert_eq!((high.segment(), low.entry()), (6, 900));
    }

    #[test]
    fn the_text_form_reads_back() {
        let id = MessageId::from_parts(3, 17, 42);
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        assert!("1/2".parse::<MessageId>().is_err() && "1/2/3/4".parse::<MessageId>().is_err());
    }
}
