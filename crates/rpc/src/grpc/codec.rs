//! Messages into frames: protobuf, with the room for a message reserved before it is written, so that large ones
//! are not copied while their buffer grows.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The codec of all streams.
#[derive(Debug)]
pub(crate) struct Codec<S, R>(PhantomData<fn(S) -> R>);

/// Its half that sends.
#[derive(Debug)]
pub(crate) struct Sends<S>(PhantomData<fn(S)>);

/// Its half that receives.
#[derive(Debug)]
pub(crate) struct Receives<R>(PhantomData<fn() -> R>);

impl<S, R> Default for Codec<S, R> {
    fn default() -> Self {
        Codec(PhantomData)
    }
}

impl<S: Message + 'static, R: Message + Default + 'static> tonic::codec::Codec for Codec<S, R> {
    type Encode = S;
    type Decode = R;
    type Encoder = Sends<S>;
    type Decoder = Receives<R>;

    fn encoder(&mut self) -> Sends<S> {
        Sends(PhantomData)
    }

    fn decoder(&mut self) -> Receives<R> {
        Receives(PhantomData)
    }
}

impl<S: Message> Encoder for Sends<S> {
    type Item = S;
    type Error = Status;

    fn encode(&mut self, message: S, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(message.encoded_len());
        message.encode_raw(out);
        Ok(())
    }
}

impl<R: Message + Default> Decoder for Receives<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        let message = R::decode(bytes).map_err(|error| Status::internal(format!("not protobuf: {error}")))?;
        Ok(Some(message))
    }
}
