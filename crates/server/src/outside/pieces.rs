//! A request whose bytes are ready: it goes out in pieces, nothing is encoded again. So the generator costs
//! one copy and is not what limits a measurement.

use bytes::{BufMut, Bytes};
use cinclus_proxy::proto::milvus::MutationResult;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// The bytes of one protobuf message.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(pub(crate) Vec<Bytes>);

impl Pieces {
    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

/// Sends [`Pieces`], receives the answers of inserts.
#[derive(Default)]
pub(crate) struct PiecesCodec;

impl Codec for PiecesCodec {
    type Encode = Pieces;
    type Decode = MutationResult;
    type Encoder = PiecesEncoder;
    type Decoder = ProstDecoder<MutationResult>;

    fn encoder(&mut self) -> PiecesEncoder {
        PiecesEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<MutationResult> {
        ProstCodec::<(), MutationResult>::raw_decoder(BufferSettings::default())
    }
}

/// Puts the pieces one behind the other.
pub(crate) struct PiecesEncoder;

impl Encoder for PiecesEncoder {
    type Item = Pieces;
    type Error = Status;

    fn encode(&mut self, pieces: Pieces, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(pieces.len());
        for piece in pieces.0 {
            to.put(piece);
        }
        Ok(())
    }
}
