use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use cinclus_env::{PanicPolicy, TaskGroup};
use object_store::ObjectStoreExt;

use super::*;
use crate::config::storage::Secret;

/// As much of S3 as opening a storage sees of it.
#[derive(Default)]
struct Bucket {
    exists: bool,
    /// Whoever asks for a bucket is refused.
    may_not_make: bool,
    /// Method, path, and whether the request was signed.
    requests: Vec<(Method, String, bool)>,
}

type Shared = Arc<Mutex<Bucket>>;

async fn answer(State(bucket): State<Shared>, request: Request) -> impl IntoResponse {
    let mut bucket = bucket.lock().unwrap();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let in_query = request.uri().query().is_some_and(|query| query.contains("X-Amz-Signature="));
    let signed = in_query || request.headers().contains_key("authorization");
    bucket.requests.push((method.clone(), path.clone(), signed));
    let error = |code: &str| format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    if method == Method::PUT && path.trim_end_matches('/') == "/ours" {
        if bucket.may_not_make {
            return (StatusCode::FORBIDDEN, error("AccessDenied"));
        }
        bucket.exists = true;
        return (StatusCode::OK, String::new());
    }
    if !bucket.exists {
        return (StatusCode::NOT_FOUND, error("NoSuchBucket"));
    }
    let empty = "<ListBucketResult><Name>ours</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>\
                 </ListBucketResult>";
    (StatusCode::OK, empty.to_owned())
}

/// A storage that answers as the bucket says.
async fn storage(bucket: Bucket) -> (RemoteConfig, Shared) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shared = Arc::new(Mutex::new(bucket));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let config = RemoteConfig {
        address: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        bucket: "ours".to_owned(),
        root: "files".to_owned(),
        secret_key: Secret("hush".to_owned()),
        ..RemoteConfig::default()
    };
    let router = Router::new().fallback(answer).with_state(shared.clone());
    TaskGroup::new(PanicPolicy::Propagate)
        .spawn("storage", async move { axum::serve(listener, router).await });
    (config, shared)
}

async fn refused(config: &RemoteConfig) -> String {
    format!("{:#}", open(config).await.expect_err("such a storage is not opened"))
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_made_with_a_signed_request() {
    let (config, shared) = storage(Bucket::default()).await;
    open(&config).await.unwrap();
    assert!(shared.lock().unwrap().exists);
    let asked =
        |method: Method| shared.lock().unwrap().requests.iter().filter(|request| request.0 == method).count();
    assert_eq!(asked(Method::PUT), 1);
    assert!(
        shared.lock().unwrap().requests.iter().all(|(_, path, signed)| *signed && path.starts_with("/ours"))
    );
    open(&config).await.unwrap();
    assert_eq!(asked(Method::PUT), 1, "one that is there is not made again");
}

#[tokio::test]
async fn a_bucket_that_may_not_be_made_is_named_with_the_way_out() {
    let (config, shared) = storage(Bucket::default()).await;
    let config = RemoteConfig { create_bucket: false, ..config };
    let text = refused(&config).await;
    assert!(text.contains(r#"no bucket "ours""#) && text.contains("minio.createBucket"), "{text}");
    assert!(text.contains(&format!("s3://ours/files at http://127.0.0.1:{}", config.port)), "{text}");
    assert!(
        shared.lock().unwrap().requests.iter().all(|request| request.0 == Method::GET),
        "nothing is made"
    );

    let (config, _) = storage(Bucket { may_not_make: true, ..Bucket::default() }).await;
    let text = refused(&config).await;
    assert!(text.contains(r#""ours" is not there and could not be made (403"#), "{text}");
    assert!(text.contains("AccessDenied") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn a_storage_that_does_not_answer_is_named() {
    let (config, _) = storage(Bucket::default()).await;
    // Nobody listens there: the listener of this one is gone at once.
    let port = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
    let text = refused(&RemoteConfig { port, ..config }).await;
    assert!(text.contains(&format!("http://127.0.0.1:{port}")) && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn parts_of_the_storage_lie_below_the_root() {
    let (config, shared) = storage(Bucket { exists: true, ..Bucket::default() }).await;
    let store = open(&config).await.unwrap();
    under(&store, &config, "segments").put(&"a/b".into(), "1".into()).await.unwrap_err();
    let last = shared.lock().unwrap().requests.last().cloned();
    assert_eq!(last, Some((Method::PUT, "/ours/files/segments/a/b".to_owned(), true)));
}

#[test]
fn every_provider_is_built_from_the_keys() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = |provider, secret: &str| RemoteConfig {
        provider,
        access_key: "account".to_owned(),
        secret_key: Secret(secret.to_owned()),
        bucket: "ours".to_owned(),
        ..RemoteConfig::default()
    };
    let azure_config = config(Provider::Azure, "aHVzaA==");
    assert!(azure(&azure_config).unwrap().to_string().contains("account"));
    assert_eq!(describe(&azure_config), "az://ours/files");
    let not_a_key = azure(&config(Provider::Azure, "not base64!")).map(drop).unwrap_err().to_string();
    assert!(!not_a_key.contains("not base64!"), "{not_a_key}");
    let s3_config = RemoteConfig { virtual_host: true, ..config(Provider::S3, "hush") };
    assert!(s3(&s3_config).unwrap().to_string().contains("ours"));
    assert_eq!(describe(&config(Provider::Gcs, "")), "gs://ours/files");
}
