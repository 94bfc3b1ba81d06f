//! How logs, segments, blocks and messages are worded.

use cinclus_log_storage::Record;
use cinclus_log_storage::woodpecker::local::inspect::{LogReport, SegmentReport, Shape};
use cinclus_types::message::{CodecError, Encoded, Message};
use cinclus_types::{MessageId, Tick};

use super::place;

/// The message of a record.
pub(super) fn message(id: MessageId, record: &Record) -> Result<Message, CodecError> {
    let Record { payload, properties } = record.clone();
    Encoded { payload, properties }.into_stored(id)
}

/// A log in one line.
pub(super) fn log_line(log: &LogReport) -> String {
    let bytes: u64 = log.segments.iter().map(|segment| segment.bytes).sum();
    format!("{} · log {}, {} segments, {bytes} bytes", place::name(log), log.id, log.segments.len())
}

/// A segment in one line.
pub(super) fn segment_line(segment: &SegmentReport) -> String {
    let SegmentReport { id, bytes, blocks, entries, shape, .. } = segment;
    let shape = match shape {
        Shape::Empty => return format!("segment {id} · empty, ready to be written"),
        Shape::Finished => "finished".to_owned(),
        Shape::Unfinished { tail_bytes: Some(0) | None } => "being written, or not closed".to_owned(),
        Shape::Unfinished { tail_bytes: Some(tail) } => {
            format!("being written, or not closed; {tail} bytes behind the last whole block")
        }
        Shape::Damaged { block, reason } => format!("DAMAGED in block {id}/{block}: {reason}"),
    };
    format!("segment {id} · {bytes} bytes, {blocks} blocks, {entries} entries, {shape}")
}

/// A message in one line.
pub(super) fn message_line(message: &Message) -> String {
    let (id, tick, term) = (message.id(), message.tick(), message.term().0);
    let vchannel = message.vchannel().map_or("all VChannels", |vchannel| vchannel.name());
    let mut line = format!(
        "{}/{} · {:?} · tick {tick} ({}), term {term}, {vchannel}, {} bytes",
        id.segment(),
        id.entry(),
        message.header(),
        time(tick),
        message.payload().len()
    );
    if let Some(txn) = message.txn() {
        line += &format!(", transaction {}", txn.txn.0);
    }
    if let Some(broadcast) = message.broadcast() {
        line += &format!(", broadcast {}", broadcast.id.0);
    }
    if let Some(key) = message.idempotency_key() {
        line += &format!(", key {key:?}");
    }
    line
}

/// The time of a tick, in UTC to the millisecond.
pub(super) fn time(tick: Tick) -> String {
    let ms = tick.unix_ms();
    let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, milli) = (ms_of_day / 1000 % 60, ms_of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01. Counted in years that begin in March, so that the
/// day that only some years have is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01; 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cinclus_types::message::{Draft, Header, LastConfirmed, Placement};
    use cinclus_types::{CollectionId, Term, VChannel};

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |unix_ms| time(Tick::from_unix_ms(unix_ms));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(at(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_stored_message_is_shown_with_its_header() {
        let header = Header::Delete { collection: CollectionId(7), rows: 3 };
        let draft = Draft::new(VChannel::new("p_0_7v0"), header, Bytes::from_static(b"keys"));
        let stamped = draft.stamp(Tick::from_unix_ms(1_700_000_000_123), Term(2), LastConfirmed::Own);
        let encoded = stamped.place(Placement::Nowhere).encode();
        let record = Record { payload: encoded.payload, properties: encoded.properties };
        let stored = message(MessageId::from_parts(0, 5, 9), &record).unwrap();
        let line = message_line(&stored);
        assert!(line.starts_with("5/9 · Delete { collection: CollectionId(7), rows: 3 } · tick "), "{line}");
        assert!(line.ends_with("(2023-11-14T22:13:20.123Z), term 2, p_0_7v0, 4 bytes"), "{line}");
        assert!(message(MessageId::EARLIEST, &Record::new("x", Vec::new())).is_err());
    }
}
