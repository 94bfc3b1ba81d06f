//! An etcd of one test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::OsClock;
use cinclus_meta::{DynMetaStore, EtcdConfig, EtcdMetaStore, Revision};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a server may take until it answers.
const READY_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    /// A new one with an empty folder, on free ports of loopback.
    pub(crate) async fn start(arguments: &[&str]) -> Server {
        Server::start_on(None, arguments).await
    }

    /// As [`Server::start`], with one more address for clients.
    pub(crate) async fn start_with_port(url: &str, arguments: &[&str]) -> Server {
        Server::start_on(Some(url), arguments).await
    }

    async fn start_on(url: Option<&str>, arguments: &[&str]) -> Server {
        let (client, peer) = (free_port(), free_port());
        let urls = |port: u16| format!("http://127.0.0.1:{port}");
        let directory = tempfile::tempdir().unwrap();
        let mut all: Vec<String> = [
            ("--data-dir", directory.path().join("data").to_string_lossy().into_owned()),
            (
                "--listen-client-urls",
                [urls(client)].into_iter().chain(url.map(str::to_owned)).collect::<Vec<_>>().join(","),
            ),
            ("--advertise-client-urls", urls(client)),
            ("--listen-peer-urls", urls(peer)),
            ("--initial-advertise-peer-urls", urls(peer)),
            ("--initial-cluster", format!("default={}", urls(peer))),
            // A single member has nobody to wait for.
            ("--heartbeat-interval", "10".to_owned()),
            ("--election-timeout", "100".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let child = spawn(&all, &directory);
        let server = Server { directory, arguments: all, port: client, child };
        server.wait().await;
        server
    }

    /// Ends it as a power cut ends a process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same folder and ports.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(&self.arguments, &self.directory);
        self.wait().await;
    }

    pub(crate) async fn kill_and_start(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Stops it until it is told to go on. A stop is asynchronous: when this returns, no thread of it runs any more.
    pub(crate) async fn pause(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let state = |stat: String| stat.rsplit(") ").next().unwrap().chars().next().unwrap();
        loop {
            let threads = std::fs::read_dir(&tasks).unwrap();
            let stats = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")));
            // Of a thread that ends meanwhile there is nothing to read.
            if stats.into_iter().flatten().all(|stat| state(stat) == 'T') {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn config(&self, prefix: &str) -> EtcdConfig {
        EtcdConfig {
            endpoints: vec![format!("127.0.0.1:{}", self.port)],
            key_prefix: prefix.to_owned(),
            ..EtcdConfig::default()
        }
    }

    pub(crate) async fn open(&self, prefix: &str) -> DynMetaStore {
        Arc::new(EtcdMetaStore::open(&self.config(prefix), Arc::new(OsClock)).await.unwrap())
    }

    pub(crate) async fn compact(&self, revision: Revision) {
        self.post("kv/compaction", &format!(r#"{{"revision":"{revision}","physical":true}}"#)).await;
    }

    /// Calls etcd's JSON interface.
    pub(crate) async fn post(&self, path: &str, body: &str) {
        let answer = self.try_post(path, body).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} {body}: {answer}");
    }

    async fn try_post(&self, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let length = body.len();
        let head = format!(
            "POST /v3/{path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    async fn wait(&self) {
        let begin = tokio::time::Instant::now();
        loop {
            let answer = self.try_post("maintenance/status", "{}").await;
            let led = |answer: &String| answer.contains("200 OK") && !answer.contains(r#""leader":"0""#);
            if answer.as_ref().is_ok_and(led) {
                return;
            }
            assert!(begin.elapsed() < READY_MAX, "etcd does not get ready: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String], directory: &tempfile::TempDir) -> Child {
    let program = std::env::var("CINCLUS_TEST_ETCD")
        .expect("CINCLUS_TEST_ETCD names the program of etcd: `cargo xtask ci services` sets it");
    Command::new(program)
        .args(arguments)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
