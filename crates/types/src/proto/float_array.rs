//! `schema.FloatArray`, written by hand: vectors are nearly all of the bytes that pass through here.
//!
//! The generated code reads and writes floats one by one; this one does it by the block, which the
//! compiler turns into copying. The wire form is the same, golden tests compare it.

use bytes::{Buf, BufMut};
use prost::DecodeError;
use prost::encoding::{
    DecodeContext, WireType, decode_varint, encode_key, encode_varint, encoded_len_varint, float, key_len,
    skip_field,
};

const TAG: u32 = 1;
const FLOAT_BYTES: usize = size_of::<f32>();
/// Floats that are turned into bytes at a time, on the stack.
const BLOCK: usize = 1024;

/// A column of floats, or of vectors one behind another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatArray {
    /// The floats.
    pub data: Vec<f32>,
}

impl FloatArray {
    fn byte_len(&self) -> usize {
        self.data.len() * FLOAT_BYTES
    }
}

impl prost::Message for FloatArray {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.data.is_empty() {
            return;
        }
        encode_key(TAG, WireType::LengthDelimited, buf);
        encode_varint(self.byte_len() as u64, buf);
        let mut bytes = [[0_u8; FLOAT_BYTES]; BLOCK];
        for floats in self.data.chunks(BLOCK) {
            for (to, from) in bytes.iter_mut().zip(floats) {
                *to = from.to_le_bytes();
            }
            buf.put_slice(bytes[..floats.len()].as_flattened());
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != TAG {
            return skip_field(wire_type, tag, buf, ctx);
        }
        if wire_type != WireType::LengthDelimited {
            // A single float, as proto3 allows; anything else is an error that prost words.
            return float::merge_repeated(wire_type, &mut self.data, buf, ctx);
        }
        let len = usize::try_from(decode_varint(buf)?).unwrap_or(usize::MAX);
        if len > buf.remaining() || !len.is_multiple_of(FLOAT_BYTES) {
            return too_short(ctx);
        }
        self.data.reserve(len / FLOAT_BYTES);
        let mut left = len;
        while left > 0 {
            let chunk = buf.chunk();
            let (whole, _cut) = chunk[..chunk.len().min(left)].as_chunks::<FLOAT_BYTES>();
            let taken = if whole.is_empty() {
                // A float that lies across two chunks.
                self.data.push(buf.get_f32_le());
                FLOAT_BYTES
            } else {
                self.data.extend(whole.iter().map(|bytes| f32::from_le_bytes(*bytes)));
                let taken = whole.as_flattened().len();
                buf.advance(taken);
                taken
            };
            left -= taken;
        }
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        if self.data.is_empty() {
            return 0;
        }
        key_len(TAG) + encoded_len_varint(self.byte_len() as u64) + self.byte_len()
    }

    fn clear(&mut self) {
        self.data.clear();
    }
}

/// The error of floats that end in the middle: only prost makes such values, so it is asked for one.
fn too_short(ctx: DecodeContext) -> Result<(), DecodeError> {
    let mut nothing: &[u8] = &[];
    float::merge(WireType::ThirtyTwoBit, &mut 0.0, &mut nothing, ctx)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// What the generator would make of FloatArray.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Generated {
        #[prost(float, repeated, tag = "1")]
        data: Vec<f32>,
    }

    proptest! {
        #[test]
        fn the_wire_form_is_that_of_generated_code(
            data in prop::collection::vec(any::<f32>(), 0..2100),
            cut in 0..9000_usize,
        ) {
            let ours = FloatArray { data: data.clone() };
            let bytes = Generated { data }.encode_to_vec();
            prop_assert_eq!(&ours.encode_to_vec(), &bytes);
            // Also when the bytes come in two pieces.
            let (front, back) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(FloatArray::decode(front.chain(back)).unwrap(), ours);
        }

        #[test]
        fn what_generated_code_refuses_is_refused(bytes in prop::collection::vec(0..20_u8, 0..24)) {
            let ours = FloatArray::decode(bytes.as_slice()).map(|array| array.data);
            let generated = Generated::decode(bytes.as_slice()).map(|array| array.data);
            prop_assert_eq!(ours.is_ok(), generated.is_ok());
            if let (Ok(ours), Ok(generated)) = (ours, generated) {
                prop_assert_eq!(ours, generated);
            }
        }
    }

    #[test]
    fn single_floats_and_several_runs_add_up() {
        let one = |value: f32| [&[0x0d][..], &value.to_le_bytes()].concat();
        let run = FloatArray { data: vec![2.0, 3.0] }.encode_to_vec();
        let bytes = [one(1.0), run.clone(), one(4.0), run].concat();
        assert_eq!(FloatArray::decode(bytes.as_slice()).unwrap().data, [1.0, 2.0, 3.0, 4.0, 2.0, 3.0]);
    }
}
