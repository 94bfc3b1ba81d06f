//! Rows to insert and vectors to look for, made before any clock runs.

use bytes::Bytes;
use cinclus_proxy::proto::milvus::{InsertRequest, SearchRequest};
use cinclus_types::proto::common::{
    ConsistencyLevel, DslType, KeyValuePair, PlaceholderGroup, PlaceholderType, PlaceholderValue,
};
use cinclus_types::proto::schema::{
    DataType, FieldData, FloatArray, LongArray, ScalarField, VectorField, field_data, scalar_field,
    vector_field,
};
use prost::Message;

use super::pieces::Pieces;

/// The name of the primary key.
pub(crate) const KEY: &str = "id";
/// The name of the vector.
pub(crate) const VECTOR: &str = "vector";

/// Reproducible noise (SplitMix64): vectors that are all different, bytes that do not compress.
#[derive(Clone, Debug)]
pub(crate) struct Noise(u64);

impl Noise {
    /// A source; the same seed gives the same noise.
    pub(crate) fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Floats from -1 to 1.
    pub(crate) fn floats(&mut self, count: usize) -> Vec<f32> {
        let float = |bits: u64| (bits >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
        (0..count).map(|_| float(self.next())).collect()
    }

    /// Bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// Vectors in the form in which an insert carries them.
#[derive(Clone, Debug)]
pub(crate) struct Vectors {
    encoded: Bytes,
    /// How many.
    pub(crate) rows: usize,
    /// Bytes of the floats.
    pub(crate) bytes: u64,
}

impl Vectors {
    /// Encodes vectors that stand one behind the other.
    pub(crate) fn new(data: Vec<f32>, dim: usize) -> Vectors {
        let (rows, bytes) = (data.len() / dim, size_of_val(data.as_slice()) as u64);
        let fields_data = vec![floats(VECTOR, data, dim)];
        let request = InsertRequest { fields_data, ..InsertRequest::default() };
        Vectors { encoded: request.encode_to_vec().into(), rows, bytes }
    }
}

/// An insert of rows with the keys from `first` on. A protobuf message is its fields one behind the other in
/// any pieces: what differs from request to request is encoded here, the vectors have been.
pub(crate) fn insert(collection: &str, first: i64, vectors: &Vectors) -> Pieces {
    let keys = (first..).take(vectors.rows).collect();
    let head = InsertRequest {
        collection_name: collection.to_owned(),
        num_rows: vectors.rows as u32,
        fields_data: vec![longs(KEY, keys)],
        ..InsertRequest::default()
    };
    Pieces(vec![head.encode_to_vec().into(), vectors.encoded.clone()])
}

/// A column of integers.
pub(crate) fn longs(name: &str, data: Vec<i64>) -> FieldData {
    FieldData {
        r#type: DataType::Int64.into(),
        field_name: name.to_owned(),
        field: Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(LongArray { data })),
            ..ScalarField::default()
        })),
        ..FieldData::default()
    }
}

/// A column of vectors that stand one behind the other.
pub(crate) fn floats(name: &str, data: Vec<f32>, dim: usize) -> FieldData {
    FieldData {
        r#type: DataType::FloatVector.into(),
        field_name: name.to_owned(),
        field: Some(field_data::Field::Vectors(VectorField {
            dim: dim as i64,
            data: Some(vector_field::Data::FloatVector(FloatArray { data })),
            ..VectorField::default()
        })),
        ..FieldData::default()
    }
}

/// A Strong search for the `top` nearest of one vector.
pub(crate) fn search(collection: &str, vector: &[f32], top: usize) -> SearchRequest {
    let placeholder = PlaceholderValue {
        tag: "$0".to_owned(),
        r#type: PlaceholderType::FloatVector.into(),
        values: vec![vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()],
        ..PlaceholderValue::default()
    };
    let group = PlaceholderGroup { placeholders: vec![placeholder] }.encode_to_vec();
    let params = [
        ("anns_field", VECTOR),
        ("topk", &top.to_string()),
        ("metric_type", "L2"),
        ("round_decimal", "-1"),
        ("params", "{}"),
    ];
    SearchRequest {
        collection_name: collection.to_owned(),
        dsl_type: DslType::BoolExprV1.into(),
        search_input: Some(cinclus_proxy::proto::milvus::search_request::SearchInput::PlaceholderGroup(
            group.into(),
        )),
        search_params: params.map(|(key, value)| pair(key, value)).into(),
        nq: 1,
        consistency_level: ConsistencyLevel::Strong.into(),
        ..SearchRequest::default()
    }
}

/// A pair of protobuf.
pub(crate) fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair { key: key.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_in_pieces_is_one_request() {
        let vectors = Vectors::new((0..6).map(|x| x as f32).collect(), 3);
        assert_eq!((vectors.rows, vectors.bytes), (2, 24));
        let pieces = insert("c", 41, &vectors);
        let bytes = pieces.0.concat();
        assert_eq!(bytes.len(), pieces.len());
        let request = InsertRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!((request.collection_name.as_str(), request.num_rows), ("c", 2));
        let names: Vec<&str> = request.fields_data.iter().map(|field| field.field_name.as_str()).collect();
        assert_eq!(names, [KEY, VECTOR]);
        let Some(field_data::Field::Scalars(scalars)) = &request.fields_data[0].field else { panic!() };
        assert_eq!(scalars.data, Some(scalar_field::Data::LongData(LongArray { data: vec![41, 42] })));
        let Some(field_data::Field::Vectors(found)) = &request.fields_data[1].field else { panic!() };
        assert_eq!(found.dim, 3);
    }

    #[test]
    fn noise_is_reproducible_and_in_range() {
        let floats = Noise::new(1).floats(1000);
        assert_eq!(floats, Noise::new(1).floats(1000));
        assert!(floats.iter().all(|x| (-1.0..1.0).contains(x)) && floats.iter().any(|x| *x < 0.0));
        assert_eq!(Noise::new(2).bytes(13).len(), 13);
    }
}
