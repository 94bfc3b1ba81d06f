//! A request whose bytes are ready: it goes out in pieces, nothing is encoded or copied again. So the generator is
//! not what limits a measurement.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// The bytes of one protobuf message.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(pub(crate) Vec<Bytes>);

impl Pieces {
    /// A message in one piece.
    pub(crate) fn of(message: &impl Message) -> Pieces {
        Pieces(vec![message.encode_to_vec().into()])
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

/// What is still to be sent of a gRPC message. The socket gets the pieces as they are.
pub(crate) struct PiecesBuf {
    /// None of them is empty.
    left: VecDeque<Bytes>,
    bytes: usize,
}

impl PiecesBuf {
    /// A message that is not compressed.
    pub(crate) fn message(pieces: Pieces) -> PiecesBuf {
        let mut head = BytesMut::with_capacity(5);
        head.put_u8(0);
        head.put_u32(pieces.len() as u32);
        let bytes = head.len() + pieces.len();
        let left = std::iter::once(head.freeze()).chain(pieces.0).filter(|piece| !piece.is_empty());
        PiecesBuf { left: left.collect(), bytes }
    }
}

impl Buf for PiecesBuf {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.left.front().map_or(&[], Bytes::as_ref)
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        to.iter_mut().zip(&self.left).map(|(to, piece)| *to = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "{count} bytes of {} were sent", self.bytes);
        self.bytes -= count;
        while let Some(first) = self.left.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.left.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_pieces_behind_a_head() {
        let pieces = || Pieces(["abc", "", "d", "efg"].map(Bytes::from).to_vec());
        let whole = b"\0\0\0\0\x07abcdefg";
        for step in 1..=whole.len() {
            let (mut buf, mut sent) = (PiecesBuf::message(pieces()), Vec::new());
            while buf.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 8];
                let filled = buf.chunks_vectored(&mut slices);
                let all: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                assert_eq!((all.len(), buf.remaining()), (whole.len() - sent.len(), all.len()));
                let count = step.min(all.len());
                sent.extend_from_slice(&all[..count]);
                buf.advance(count);
            }
            assert_eq!(sent, whole);
        }
        assert_eq!(PiecesBuf::message(Pieces(Vec::new())).chunk(), &[0; 5]);
    }
}
