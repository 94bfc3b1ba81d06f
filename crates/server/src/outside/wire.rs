//! gRPC calls over one HTTP/2 connection, with little between them and the socket.
//!
//! A general client hands a request from task to task until it is on its way: its headers are sent before its body is
//! looked at, and the end of the body after that. For a small request that is three packets, each of which wakes the
//! server. Here a request is handed over whole.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codegen::http::{HeaderMap, Request, Uri};

use super::pieces::{Pieces, PiecesBuf};

/// Of answers.
const WINDOW_BYTES: u32 = 8 << 20;
const CONNECT: Duration = Duration::from_secs(5);
/// The head of a gRPC message: not compressed, and its length.
const HEAD_BYTES: usize = 5;

/// One connection.
#[derive(Clone)]
pub(crate) struct Wire {
    requests: SendRequest<PiecesBuf>,
    address: String,
}

impl Wire {
    /// Connects to an address like `http://127.0.0.1:19530`.
    ///
    /// # Errors
    /// If nobody answers there.
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Wire> {
        let uri: Uri = address.parse().with_context(|| format!("{address} is no address"))?;
        let authority = uri.authority().with_context(|| format!("{address} names no host"))?.as_str();
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(authority)).await;
        let socket = connecting.map_err(std::io::Error::from).flatten();
        let socket = socket.with_context(|| format!("no server answers at {address}"))?;
        socket.set_nodelay(true)?;
        let handshake = h2::client::Builder::new()
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .handshake(socket);
        let (requests, connection) = handshake.await?;
        // It ends with the last handle; errors come to those who call.
        tokio::spawn(connection);
        Ok(Wire { requests, address: address.trim_end_matches('/').to_owned() })
    }

    /// Calls a method, as `/package.Service/Method`.
    ///
    /// # Errors
    /// The connection is broken, or the server refuses the call.
    pub(crate) async fn call<T: Message + Default>(
        &mut self,
        method: &str,
        request: Pieces,
    ) -> anyhow::Result<T> {
        let head = Request::post(format!("{}{method}", self.address))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut body) = requests.send_request(head, false)?;
        body.send_data(PiecesBuf::message(request), true)?;
        let answer = answer.await?;
        let status = answer.status();
        ensure!(status.is_success(), "{method}: HTTP status {status}");
        check(method, answer.headers())?;
        let mut body = answer.into_body();
        let mut received = BytesMut::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            received.extend_from_slice(&piece);
        }
        check(method, &body.trailers().await?.unwrap_or_default())?;
        message(received.freeze()).with_context(|| format!("{method}: the answer cannot be read"))
    }
}

fn check(method: &str, headers: &HeaderMap) -> anyhow::Result<()> {
    let Some(status) = headers.get(tonic::Status::GRPC_STATUS) else { return Ok(()) };
    if Code::from_bytes(status.as_bytes()) == Code::Ok {
        return Ok(());
    }
    match tonic::Status::from_header_map(headers) {
        Some(status) => Err(anyhow::Error::new(status).context(method.to_owned())),
        None => bail!("{method}: refused without a reason"),
    }
}

/// The one message of an answer.
fn message<T: Message + Default>(mut received: Bytes) -> anyhow::Result<T> {
    ensure!(received.len() >= HEAD_BYTES, "it has {} bytes", received.len());
    ensure!(received.get_u8() == 0, "it is compressed");
    let len = received.get_u32() as usize;
    ensure!(len == received.len(), "{len} bytes were announced, {} came", received.len());
    Ok(T::decode(received)?)
}
