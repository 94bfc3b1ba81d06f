//! The persisted form of [`ShardState`]: JSON with a format version.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::OpenError;
use crate::shard::ShardState;

/// The version that is written. Older ones are read.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    state: &'a ShardState,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read {
    state: ShardState,
}

/// The snapshot of a state.
#[must_use]
pub fn encode(state: &ShardState) -> Bytes {
    let written = Written { version: FORMAT, state };
    serde_json::to_vec(&written).expect("a state has only text keys and finite numbers").into()
}

/// The state of a snapshot. An empty one is that of an empty log.
///
/// # Errors
/// It is of a newer release, or no snapshot.
pub fn decode(bytes: &[u8]) -> Result<ShardState, OpenError> {
    if bytes.is_empty() {
        return Ok(ShardState::default());
    }
    let corrupt = |error: serde_json::Error| OpenError::Corrupt(format!("the recovery snapshot: {error}"));
    let Version { version: found } = serde_json::from_slice(bytes).map_err(corrupt)?;
    if found > FORMAT {
        return Err(OpenError::NewerFormat { found, supported: FORMAT });
    }
    let Read { state } = serde_json::from_slice(bytes).map_err(corrupt)?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use cinclus_types::message::Header;
    use cinclus_types::{CollectionId, DatabaseId, PartitionId, SegmentId, Tick, VChannel};

    use super::*;
    use crate::shard::Effect;

    fn state() -> ShardState {
        let vchannel = VChannel::new("log_0_7v0");
        let create = Header::CreateCollection {
            collection: CollectionId(7),
            partitions: vec![PartitionId(8)],
            database: DatabaseId(1),
        };
        let segment = Header::CreateSegment {
            collection: CollectionId(7),
            partition: PartitionId(8),
            segment: SegmentId(9),
            storage_version: 1,
            segment_bytes_max: 1_000,
            rows_max: 100,
            schema_version: 0,
        };
        let mut state = ShardState::default();
        for (at, header) in [create, segment].iter().enumerate() {
            let tick = Tick(at as u64 + 1);
            state.apply(Effect { vchannel: &vchannel, header, tick, schema_version: Some(0) });
        }
        state
    }

    #[test]
    fn a_snapshot_reads_back() {
        assert_eq!(decode(&encode(&state())).unwrap(), state());
        assert_eq!(decode(b"").unwrap(), ShardState::default());
    }

    #[test]
    fn the_first_format_is_read_for_ever() {
        assert_eq!(String::from_utf8(encode(&state()).to_vec()).unwrap(), GOLDEN);
        assert_eq!(decode(GOLDEN.as_bytes()).unwrap(), state());
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let newer = decode(br#"{"version":2,"state":"anything"}"#);
        assert!(matches!(newer, Err(OpenError::NewerFormat { found: 2, supported: 1 })));
        assert!(matches!(decode(b"{"), Err(OpenError::Corrupt(_))));
    }

    const GOLDEN: &str = concat!(
        r#"{"version":1,"state":{"shards":{"log_0_7v0":{"collection":7,"created":1,"schema_version":0,"#,
        r#""partitions":{"8":[9]}}},"growing":{"9":{"collection":7,"partition":8,"vchannel":"log_0_7v0","#,
        r#""created":2,"last_write":2,"rows":0,"bytes":0,"rows_max":100,"bytes_max":1000}},"seals":{},"#,
        r#""dedup":{"requests":[],"broadcasts":[]}}}"#,
    );
}
