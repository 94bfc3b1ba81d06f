//! The layout of the files.
//!
//! # Chunk file: one Parquet file
//! The rows of one run of one segment, in the order of the segment, in one row group. The columns are named
//! by their field id in decimal, which is also the Parquet field id:
//!
//! | field | Parquet |
//! | --- | --- |
//! | `0`, the row id, if the rows have one | INT64 |
//! | `1`, the effective tick | INT64, the bits of the unsigned tick |
//! | Bool; Int8, Int16, Int32; Int64 | BOOLEAN; INT32 with its width; INT64 |
//! | Float; Double | FLOAT; DOUBLE |
//! | VarChar; JSON | BYTE_ARRAY as UTF-8 text; BYTE_ARRAY |
//! | Array | a three-level LIST of the item, which is never null |
//! | FloatVector | FIXED_LEN_BYTE_ARRAY of 4 × dim bytes: little-endian floats, not compressed |
//!
//! A column that has a null in the run is OPTIONAL, else REQUIRED. All but the vectors are compressed with
//! zstd, level 1; there are no statistics or page indexes. Fields that a row is older than are filled in
//! when they are written. Deleted rows are kept: deletes are in files of their own.
//!
//! # Delete file: one Parquet file
//! Two columns, `key` (INT64, or BYTE_ARRAY as UTF-8 text) and `1`, the tick, in the order of the log.
//!
//! # Metadata of both
//! | key | value |
//! | --- | --- |
//! | [`FORMAT`] | [`VERSION`] in decimal |
//! | [`KIND`] | [`KIND_CHUNK`] or [`KIND_DELETES`] |
//! | [`COLLECTION`], [`PARTITION`], [`SEGMENT`], [`SCHEMA_VERSION`] | of a chunk, in decimal |
//! | [`CHECKSUM`] | [`CHECKSUM_MARK`] and 16 hexadecimal digits: XXH3-64, seed 0, of the whole file in which these digits are written as zeros |
//!
//! # Tail file: several chunks in one object
//! The chunks, each a complete Parquet file as above, one behind another; then the directory: for each chunk
//! its offset and its length, 8 bytes each; then a trailer of [`TRAILER_BYTES`] bytes: the number of chunks
//! (4), [`VERSION`] (4), XXH3-64 of directory, number and version (8), [`TAIL_MAGIC`] (8). Numbers are
//! little-endian. So each chunk is found by two small reads, however many there are and however different
//! their schemas. `row_group` of a `ChunkRef` is the place in the directory.

/// The version of all layouts here.
pub const VERSION: u32 = 1;
/// Names the version.
pub const FORMAT: &str = "cinclus.format";
/// Names the kind of file.
pub const KIND: &str = "cinclus.kind";
/// A chunk.
pub const KIND_CHUNK: &str = "chunk";
/// A delete file.
pub const KIND_DELETES: &str = "deletes";
/// The collection of a chunk.
pub const COLLECTION: &str = "cinclus.collection";
/// The partition of a chunk.
pub const PARTITION: &str = "cinclus.partition";
/// The segment of a chunk.
pub const SEGMENT: &str = "cinclus.segment";
/// The version of the schema that a chunk was written with.
pub const SCHEMA_VERSION: &str = "cinclus.schema_version";
/// The checksum of the file.
pub const CHECKSUM: &str = "cinclus.checksum";
/// Stands before the digits of the checksum, and nowhere else in the footer.
pub const CHECKSUM_MARK: &str = "cinclus-xxh3-64:";
/// The column of keys in a delete file.
pub const DELETED_KEY: &str = "key";
/// The last bytes of a tail file.
pub const TAIL_MAGIC: &[u8; 8] = b"CNCLTAIL";
/// Bytes of the trailer of a tail file.
pub const TRAILER_BYTES: usize = 24;
/// Bytes of an entry of the directory of a tail file.
pub const DIRECTORY_ENTRY_BYTES: usize = 16;
/// The last bytes of a Parquet file.
pub const PARQUET_MAGIC: &[u8; 4] = b"PAR1";
