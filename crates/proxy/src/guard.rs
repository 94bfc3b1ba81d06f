//! What becomes of requests that no handler sees, because they are too large or cannot be read.
//!
//! Clients repeat a call that fails with `OUT_OF_RANGE` or `INTERNAL` for minutes, and such a request can
//! never work. They do not repeat `RESOURCE_EXHAUSTED` and `INVALID_ARGUMENT`.

use std::convert::Infallible;
use std::task::{Context, Poll};

use tonic::Code;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;

/// A gRPC service whose codes for requests it could not read are those that clients do not repeat.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
}

impl<S> Guarded<S> {
    /// Guards a service.
    #[must_use]
    pub fn new(inner: S) -> Guarded<S> {
        Guarded { inner }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            let headers = answer.headers_mut();
            match headers.get(tonic::Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes())) {
                Some(Code::OutOfRange) => {
                    let code = http::HeaderValue::from(Code::ResourceExhausted as i32);
                    headers.insert(tonic::Status::GRPC_STATUS, code);
                    if let Some(text) = headers.get(tonic::Status::GRPC_MESSAGE).and_then(too_large) {
                        headers.insert(tonic::Status::GRPC_MESSAGE, text);
                    }
                }
                Some(Code::Internal) => {
                    let code = http::HeaderValue::from(Code::InvalidArgument as i32);
                    headers.insert(tonic::Status::GRPC_STATUS, code);
                }
                Some(_) | None => {}
            }
            Ok(answer)
        })
    }
}

/// What gRPC servers in Go, Milvus among them, say of a request that is too large: people and tests know it.
fn too_large(text: &http::HeaderValue) -> Option<http::HeaderValue> {
    let text = text.to_str().ok()?.replace("%20", " ");
    if !text.contains("too large") {
        return None;
    }
    let mut sizes = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() > 2);
    let (found, limit) = (sizes.next()?, sizes.next()?);
    format!("grpc:%20received%20message%20larger%20than%20max%20({found}%20vs.%20{limit})").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails with a code.
    struct Fails(Code);

    impl Service<http::Request<()>> for Fails {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<http::Response<Body>, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<()>) -> Self::Future {
            let answer = tonic::Status::new(self.0, "too much").into_http();
            Box::pin(async move { Ok(answer) })
        }
    }

    async fn check(given: Code, seen: Code) {
        let mut guarded = Guarded::new(Fails(given));
        let answer = guarded.call(http::Request::new(())).await.unwrap();
        let status = tonic::Status::from_header_map(answer.headers()).unwrap();
        assert_eq!((status.code(), status.message()), (seen, "too much"));
    }

    #[test]
    fn sizes_are_told_as_other_servers_tell_them() {
        let refused =
            "Error, decoded message length too large: found 82861406 bytes, the limit is: 67108864 bytes";
        let answer = tonic::Status::out_of_range(refused).into_http::<()>();
        let text = too_large(&answer.headers()[tonic::Status::GRPC_MESSAGE]).unwrap();
        let mut told = http::HeaderMap::new();
        told.insert(tonic::Status::GRPC_STATUS, http::HeaderValue::from_static("8"));
        told.insert(tonic::Status::GRPC_MESSAGE, text);
        let told = tonic::Status::from_header_map(&told).unwrap();
        assert_eq!(told.message(), "grpc: received message larger than max (82861406 vs. 67108864)");
    }

    #[tokio::test]
    async fn requests_that_can_never_work_are_not_repeated() {
        check(Code::OutOfRange, Code::ResourceExhausted).await;
        check(Code::Internal, Code::InvalidArgument).await;
        check(Code::Unimplemented, Code::Unimplemented).await;
    }
}
