//! The SeaweedFS that runs for all tests, and one that a test has for itself.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};

const BUCKET: &str = "cinclus-tests";
/// How long a server may take until it takes objects.
const READY_MAX: Duration = Duration::from_secs(120);

/// The one that `cargo xtask services` started.
pub(crate) async fn shared() -> Arc<dyn ObjectStore> {
    let address = std::env::var("CINCLUS_TEST_SEAWEEDFS_ADDRESS").expect(
        "CINCLUS_TEST_SEAWEEDFS_ADDRESS is where its S3 interface is: `cargo xtask ci services` sets it",
    );
    let address = format!("http://{address}");
    make_bucket(&address).await.unwrap();
    client(&address)
}

/// The bucket of the tests at an address.
pub(crate) fn client(address: &str) -> Arc<dyn ObjectStore> {
    // There may be one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ClientOptions::new().with_allow_http(true);
    let builder = AmazonS3Builder::new()
        .with_endpoint(address)
        .with_bucket_name(BUCKET)
        .with_region("us-east-1")
        .with_access_key_id("cinclus")
        .with_secret_access_key("of no importance here")
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_client_options(options);
    Arc::new(builder.build().unwrap())
}

async fn make_bucket(address: &str) -> Result<(), reqwest::Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new().put(format!("{address}/{BUCKET}")).send().await?;
    if answer.status() == reqwest::StatusCode::CONFLICT {
        Ok(())
    } else {
        answer.error_for_status().map(drop)
    }
}

/// A server of one test.
pub(crate) struct Server {
    directory: tempfile::TempDir,
    ports: Vec<u16>,
    child: Child,
}

impl Server {
    pub(crate) async fn start() -> Server {
        // All at once, so that they differ.
        let listeners: Vec<TcpListener> =
            (0..8).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let ports: Vec<u16> =
            listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(&directory, &ports);
        let server = Server { directory, ports, child };
        server.wait().await;
        server
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Ends it as a power cut ends a process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same folder and ports.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.directory, &self.ports);
        self.wait().await;
    }

    async fn wait(&self) {
        let begin = tokio::time::Instant::now();
        let store = client(&self.address());
        loop {
            let bucket = make_bucket(&self.address()).await;
            let put = store.put(&"ready".into(), "1".into()).await;
            if bucket.is_ok() && put.is_ok() {
                return;
            }
            assert!(begin.elapsed() < READY_MAX, "SeaweedFS does not get ready: {bucket:?} {put:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &tempfile::TempDir, ports: &[u16]) -> Child {
    let program = std::env::var("CINCLUS_TEST_SEAWEEDFS")
        .expect("CINCLUS_TEST_SEAWEEDFS names the program: `cargo xtask ci services` sets it");
    let names = [
        "s3.port",
        "s3.port.grpc",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
    ];
    let folder = directory.path().display();
    Command::new(program)
        .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
        .args(names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}")))
        .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20", "-master.volumeSizeLimitMB=64"])
        .args(["-master.electionTimeout=1s", "-master.telemetry=false"])
        .args(["dir", "filer.localSocket", "s3.localSocket"].map(|name| match name {
            "dir" => format!("-dir={folder}"),
            socket => format!("-{socket}={folder}/{socket}"),
        }))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
