//! The object storage that a configuration names.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::{Method, StatusCode};

use crate::config::storage::{Provider, RemoteConfig};

/// One request may take so long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The client itself tries again for so long; whoever uses it knows better what a failure means.
const RETRY_TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES_MAX: usize = 3;
/// How long the request may take that makes a bucket.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Opens the storage and sees that its bucket is there.
///
/// # Errors
/// It cannot be reached, or has no such bucket and may not get one.
pub(crate) async fn open(config: &RemoteConfig) -> anyhow::Result<Arc<dyn ObjectStore>> {
    connect(config).await.with_context(|| describe(config))
}

async fn connect(config: &RemoteConfig) -> anyhow::Result<Arc<dyn ObjectStore>> {
    match config.provider {
        Provider::S3 => {
            let s3 = Arc::new(s3(config)?);
            if config.create_bucket && !has_bucket(&*s3, config).await? {
                create_bucket(&s3, config).await?;
            }
            ready(s3, config).await
        }
        Provider::Azure => ready(Arc::new(azure(config)?), config).await,
        Provider::Gcs => ready(Arc::new(gcs(config)?), config).await,
    }
}

/// The storage, if it has the bucket.
async fn ready(store: Arc<dyn ObjectStore>, config: &RemoteConfig) -> anyhow::Result<Arc<dyn ObjectStore>> {
    if has_bucket(&*store, config).await? {
        return Ok(store);
    }
    bail!("there is no bucket {:?}: make it, or let minio.createBucket be true", config.bucket)
}

/// A part of the storage: what lies under a name below the root.
pub(crate) fn under(store: &Arc<dyn ObjectStore>, config: &RemoteConfig, name: &str) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(store.clone(), Path::from(format!("{}/{name}", config.root))))
}

/// What people call it.
pub(crate) fn describe(config: &RemoteConfig) -> String {
    let scheme = match config.provider {
        Provider::S3 => "s3",
        Provider::Azure => "az",
        Provider::Gcs => "gs",
    };
    let at = config.endpoint().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    format!("{scheme}://{}/{}{at}", config.bucket, config.root)
}

fn client(config: &RemoteConfig) -> ClientOptions {
    let plain = config.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new().with_allow_http(plain).with_timeout(REQUEST_TIMEOUT)
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() }
}

fn s3(config: &RemoteConfig) -> object_store::Result<AmazonS3> {
    let builder = if config.use_iam { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
    let mut builder = builder
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_virtual_hosted_style_request(config.virtual_host)
        .with_client_options(client(config))
        .with_retry(retry());
    if let Some(endpoint) = config.endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    if !config.use_iam {
        builder = builder.with_access_key_id(&config.access_key).with_secret_access_key(&config.secret_key.0);
    }
    builder.build()
}

fn azure(config: &RemoteConfig) -> object_store::Result<impl ObjectStore> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(&config.bucket)
        .with_account(&config.access_key)
        .with_client_options(client(config))
        .with_retry(retry());
    if !config.use_iam {
        builder = builder.with_access_key(&config.secret_key.0);
    }
    if let Some(endpoint) = config.endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    builder.build()
}

fn gcs(config: &RemoteConfig) -> object_store::Result<impl ObjectStore> {
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(&config.bucket)
        .with_client_options(client(config))
        .with_retry(retry());
    if let Some(endpoint) = config.endpoint() {
        builder = builder.with_base_url(&endpoint);
    }
    builder.build()
}

/// Whether the bucket is there: a listing of it needs no object.
async fn has_bucket(store: &dyn ObjectStore, config: &RemoteConfig) -> anyhow::Result<bool> {
    let mut listing = store.list(Some(&Path::from(config.root.as_str())));
    match listing.next().await {
        None | Some(Ok(_)) => Ok(true),
        Some(Err(error)) if says_no_bucket(&error) => Ok(false),
        Some(Err(error)) => Err(error).context("the object storage does not answer as it should"),
    }
}

/// A listing fails with an error of its own for every status: only the storage's text tells that this is it.
fn says_no_bucket(error: &object_store::Error) -> bool {
    let text = error.to_string();
    let said = ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"];
    matches!(error, object_store::Error::NotFound { .. }) || said.iter().any(|said| text.contains(said))
}

/// Asks for the bucket with a signed request: the client itself has no call for it.
async fn create_bucket(store: &AmazonS3, config: &RemoteConfig) -> anyhow::Result<()> {
    let url = store.signed_url(Method::PUT, &Path::default(), SIGNED_FOR).await?;
    let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build()?;
    let mut request = client.put(url);
    // S3 itself wants to be told the region, except its oldest one, which it does not want to hear of.
    if config.region != "us-east-1" {
        let region = &config.region;
        request = request.body(format!(
            "<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        ));
    }
    let answer = request.send().await.context("the object storage cannot be reached")?;
    let status = answer.status();
    // Somebody else may have made it in between.
    if status.is_success() || status == StatusCode::CONFLICT {
        tracing::info!(bucket = %config.bucket, "made the bucket");
        return Ok(());
    }
    let text = answer.text().await.unwrap_or_default();
    bail!("the bucket {:?} is not there and could not be made ({status}): {text}", config.bucket)
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
