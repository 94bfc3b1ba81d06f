//! The protobuf values of Woodpecker's metadata, and our fence.

use prost::Message;

/// The version of the metadata.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Version {
    /// Incompatible changes.
    #[prost(int32, tag = "1")]
    pub major: i32,
    /// Compatible changes.
    #[prost(int32, tag = "2")]
    pub minor: i32,
    /// Repairs.
    #[prost(int32, tag = "3")]
    pub patch: i32,
}

impl Version {
    /// The version that is written.
    pub const CURRENT: Version = Version { major: 1, minor: 0, patch: 0 };
}

/// The value of a log.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct LogMeta {
    /// The log's number, part of its files' names.
    #[prost(int64, tag = "1")]
    pub log_id: i64,
    /// Written once, read by nobody.
    #[prost(int64, tag = "2")]
    pub max_segment_roll_time_seconds: i64,
    /// Written once, read by nobody.
    #[prost(int64, tag = "3")]
    pub max_segment_roll_size_bytes: i64,
    /// Written once, read by nobody.
    #[prost(int64, tag = "4")]
    pub compaction_buffer_size_bytes: i64,
    /// Written once, read by nobody.
    #[prost(int64, tag = "5")]
    pub max_compaction_file_count: i64,
    /// Unix seconds.
    #[prost(fixed64, tag = "6")]
    pub creation_timestamp: u64,
    /// Unix seconds.
    #[prost(fixed64, tag = "7")]
    pub modification_timestamp: u64,
    /// The segment of the truncation point; -1 if there is none.
    #[prost(int64, tag = "8")]
    pub truncated_segment_id: i64,
    /// The entry of the truncation point; -1 if there is none.
    #[prost(int64, tag = "9")]
    pub truncated_entry_id: i64,
}

impl LogMeta {
    /// A log that was never truncated.
    #[must_use]
    pub fn new(log_id: i64, unix_ms: u64) -> LogMeta {
        LogMeta {
            log_id,
            max_segment_roll_time_seconds: 60,
            max_segment_roll_size_bytes: 268_435_456,
            compaction_buffer_size_bytes: 134_217_728,
            max_compaction_file_count: 600,
            creation_timestamp: unix_ms / 1000,
            modification_timestamp: unix_ms / 1000,
            truncated_segment_id: -1,
            truncated_entry_id: -1,
        }
    }

    /// Segment and entry of the truncation point: the first record that stays.
    #[must_use]
    pub fn truncated(&self) -> (i64, i64) {
        (self.truncated_segment_id, self.truncated_entry_id)
    }
}

/// The life of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SegmentState {
    /// It is written to, or was when its writer died.
    Active = 0,
    /// It has its footer.
    Completed = 2,
    /// It was compacted; never in local mode.
    Sealed = 3,
    /// All of it lies below the truncation point.
    Truncated = 4,
}

/// The value of a segment.
#[derive(Clone, PartialEq, Message)]
pub struct SegmentMetadata {
    /// Its number in the log.
    #[prost(int64, tag = "1")]
    pub seg_no: i64,
    /// Unix milliseconds.
    #[prost(int64, tag = "2")]
    pub create_time: i64,
    /// Legacy.
    #[prost(int64, tag = "3")]
    pub quorum_id: i64,
    /// Its state.
    #[prost(enumeration = "SegmentState", tag = "4")]
    pub state: i32,
    /// Unix milliseconds.
    #[prost(int64, tag = "5")]
    pub completion_time: i64,
    /// The id of its last entry; -1 while it is active, or if it is empty.
    #[prost(int64, tag = "6")]
    pub last_entry_id: i64,
    /// Its bytes, about.
    #[prost(int64, tag = "7")]
    pub size: i64,
    /// Unix milliseconds.
    #[prost(int64, tag = "8")]
    pub sealed_time: i64,
    /// Where it is.
    #[prost(message, optional, tag = "9")]
    pub quorum: Option<QuorumInfo>,
}

impl SegmentMetadata {
    /// A new segment.
    #[must_use]
    pub fn active(segment: u64, unix_ms: u64) -> SegmentMetadata {
        SegmentMetadata {
            seg_no: segment as i64,
            create_time: unix_ms as i64,
            state: SegmentState::Active as i32,
            last_entry_id: -1,
            quorum: Some(QuorumInfo::embedded()),
            ..SegmentMetadata::default()
        }
    }

    /// Notes that the segment has its footer.
    pub fn complete(&mut self, last_entry: i64, bytes: u64, unix_ms: u64) {
        self.set_state(SegmentState::Completed);
        self.last_entry_id = last_entry;
        self.size = bytes as i64;
        self.completion_time = unix_ms as i64;
    }

    /// Notes that the segment was compacted.
    pub fn seal(&mut self, bytes: u64, unix_ms: u64) {
        self.set_state(SegmentState::Sealed);
        self.size = bytes as i64;
        self.sealed_time = unix_ms as i64;
    }
}

/// The nodes of a segment; one that stands for this process in the embedded modes.
#[derive(Clone, PartialEq, Message)]
pub struct QuorumInfo {
    /// -1 when embedded.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Ensemble size.
    #[prost(int32, tag = "2")]
    pub es: i32,
    /// Write quorum.
    #[prost(int32, tag = "3")]
    pub wq: i32,
    /// Ack quorum.
    #[prost(int32, tag = "4")]
    pub aq: i32,
    /// Addresses.
    #[prost(string, repeated, tag = "5")]
    pub nodes: Vec<String>,
    /// Where the nodes stand.
    #[prost(message, repeated, tag = "6")]
    pub replicas: Vec<QuorumNode>,
}

impl QuorumInfo {
    /// What Woodpecker writes when it is embedded: one node that stands for the process itself.
    #[must_use]
    pub fn embedded() -> QuorumInfo {
        let nodes = vec!["127.0.0.1:59456".to_owned()];
        QuorumInfo { id: -1, es: 1, wq: 1, aq: 1, nodes, replicas: Vec::new() }
    }
}

/// One node of a quorum.
#[derive(Clone, PartialEq, Message)]
pub struct QuorumNode {
    /// Its address.
    #[prost(string, tag = "1")]
    pub endpoint: String,
    /// Its id.
    #[prost(string, tag = "2")]
    pub node_id: String,
    /// Its cluster.
    #[prost(string, tag = "3")]
    pub cluster_name: String,
    /// Its region.
    #[prost(string, tag = "4")]
    pub region: String,
    /// Its zone.
    #[prost(string, tag = "5")]
    pub az: String,
    /// Its resource group.
    #[prost(string, tag = "6")]
    pub resource_group: String,
    /// Its tags.
    #[prost(btree_map = "string, string", tag = "7")]
    pub tags: std::collections::BTreeMap<String, String>,
}

/// Who may change a log: the newest open of the newest term. Ours; Woodpecker does not look at it.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Fence {
    /// The newest term that opened the log.
    #[prost(int64, tag = "1")]
    pub term: i64,
    /// How often it was opened.
    #[prost(uint64, tag = "2")]
    pub opened: u64,
    /// Random, so that no two opens ever write the same value.
    #[prost(fixed64, tag = "3")]
    pub nonce: u64,
}

/// The first record that stays. Ours: [`LogMeta`] holds, for logs on objects, the last one that does not.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Point {
    /// Its segment.
    #[prost(uint64, tag = "1")]
    pub segment: u64,
    /// Its entry.
    #[prost(uint64, tag = "2")]
    pub entry: u64,
}

/// Where a reader is. Segments from the one that it reads on are not removed.
#[derive(Clone, PartialEq, Message)]
pub struct ReaderTempInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub reader_name: String,
    /// Unix milliseconds.
    #[prost(fixed64, tag = "2")]
    pub open_timestamp: u64,
    /// The log's number.
    #[prost(int64, tag = "3")]
    pub log_id: i64,
    /// Where it began: the segment.
    #[prost(int64, tag = "4")]
    pub open_segment_id: i64,
    /// Where it began: the entry.
    #[prost(int64, tag = "5")]
    pub open_entry_id: i64,
    /// Where it was lately: the segment.
    #[prost(int64, tag = "6")]
    pub recent_read_segment_id: i64,
    /// Where it was lately: the entry.
    #[prost(int64, tag = "7")]
    pub recent_read_entry_id: i64,
    /// Unix milliseconds.
    #[prost(fixed64, tag = "8")]
    pub recent_read_timestamp: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_truncated_is_minus_one_in_ten_bytes() {
        let bytes = LogMeta::new(5, 1_700_000_000_000).encode_to_vec();
        let mut tail = vec![0x40];
        tail.extend([0xff; 9]);
        tail.extend([0x01, 0x48]);
        tail.extend([0xff; 9]);
        tail.push(0x01);
        assert!(bytes.ends_with(&tail), "{bytes:02x?}");
        assert_eq!(bytes[..2], [0x08, 5]);
        let created = 1_700_000_000_u64.to_le_bytes();
        let at = bytes.windows(9).position(|window| window[0] == 0x31 && window[1..] == created);
        assert!(at.is_some(), "creation time is fixed64 in field 6");
    }

    #[test]
    fn an_active_segment_names_the_embedded_node() {
        let mut meta = SegmentMetadata::active(3, 17);
        let read = SegmentMetadata::decode(&*meta.encode_to_vec()).unwrap();
        assert_eq!((read.state(), read.last_entry_id, read.seg_no), (SegmentState::Active, -1, 3));
        assert_eq!(read.quorum.unwrap(), QuorumInfo::embedded());
        meta.complete(41, 900, 18);
        let read = SegmentMetadata::decode(&*meta.encode_to_vec()).unwrap();
        assert_eq!(
            (read.state(), read.last_entry_id, read.completion_time),
            (SegmentState::Completed, 41, 18)
        );
    }
}
