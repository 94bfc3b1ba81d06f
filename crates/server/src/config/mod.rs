//! The configuration of a process: defaults, a YAML file with Milvus' key names, flags.

mod keys;
pub(crate) mod nearest;
pub(crate) mod storage;
pub(crate) mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cinclus_client::ClientConfig;
use cinclus_coord::CoordConfig;
use cinclus_node::NodeConfig;
use cinclus_proxy::ProxyConfig;
use serde_json::Value;
use storage::StorageConfig;

/// All values of a process.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// Where everything is kept that is kept on this machine.
    pub data_dir: PathBuf,
    /// Where Milvus clients connect.
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    pub management_listen: SocketAddr,
    /// What is logged.
    pub log: String,
    /// How long a shutdown waits for requests and tasks.
    pub shutdown_timeout: Duration,
    /// A local log begins a new segment file at so many bytes, …
    pub log_roll_bytes: u64,
    /// … or at this age.
    pub log_roll_age: Duration,
    /// The most memory that rows and segments may take, in bytes; half of the machine's if none is given.
    pub memory_limit: Option<u64>,
    /// Where logs, metadata and segment files are.
    pub storage: StorageConfig,
    /// The coordinator.
    pub coord: CoordConfig,
    /// The streaming node.
    pub node: NodeConfig,
    /// The proxy.
    pub proxy: ProxyConfig,
    /// The client inside.
    pub client: ClientConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            data_dir: PathBuf::from("./cinclus-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 19530)),
            management_listen: SocketAddr::from(([127, 0, 0, 1], 9091)),
            log: "info".to_owned(),
            shutdown_timeout: Duration::from_secs(10),
            log_roll_bytes: 256_000_000,
            log_roll_age: Duration::from_secs(600),
            memory_limit: None,
            storage: StorageConfig::default(),
            coord: CoordConfig::default(),
            node: NodeConfig::default(),
            proxy: ProxyConfig::default(),
            client: ClientConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Reads a file on top of the defaults.
    ///
    /// # Errors
    /// If it cannot be read, names an unknown key, or gives a wrong value; the message names the key.
    pub(crate) fn read(file: &Path) -> anyhow::Result<ServerConfig> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        ServerConfig::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    /// Reads YAML on top of the defaults.
    pub(crate) fn parse(text: &str) -> anyhow::Result<ServerConfig> {
        let mut config = ServerConfig::default();
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(config);
        }
        let tree: Value = serde_saphyr::from_str(text).context("not YAML")?;
        config.apply("", &tree)?;
        Ok(config)
    }

    fn apply(&mut self, path: &str, value: &Value) -> anyhow::Result<()> {
        if let Some(key) = keys::find(path) {
            return (key.set)(self, value).with_context(|| format!("wrong value for {path}"));
        }
        let Value::Object(children) = value else {
            bail!("unknown key {path}; the nearest is {}", nearest::nearest(path, keys::names()));
        };
        for (name, child) in children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.apply(&path, child)?;
        }
        Ok(())
    }

    /// Checks the relations between values.
    ///
    /// # Errors
    /// Names the values that do not fit together.
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        ensure!(
            self.listen != self.management_listen || self.listen.port() == 0,
            "proxy.port and the management port are both {}",
            self.listen
        );
        ensure!(self.coord.channels >= 1, "rootCoord.dmlChannelNum must be at least 1");
        self.storage.validate()?;
        let wal = &self.node.wal;
        ensure!(
            self.proxy.message_bytes_max as u64 <= wal.message_bytes_max,
            "a proxy's message of {} bytes does not fit a log's of {}",
            self.proxy.message_bytes_max,
            wal.message_bytes_max
        );
        ensure!(
            self.proxy.request_bytes_max as u64 <= wal.in_flight_bytes_max,
            "proxy.grpc.serverMaxRecvSize ({}) must not be greater than cinclus.wal.inFlightBytesMax ({})",
            self.proxy.request_bytes_max,
            wal.in_flight_bytes_max
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milvus_keys_are_read() {
        let text = "rootCoord:\n  dmlChannelNum: 4\nproxy:\n  port: 1234\nlocalStorage:\n  path: /x\n";
        let config = ServerConfig::parse(text).unwrap();
        assert_eq!((config.coord.channels, config.listen.port()), (4, 1234));
        assert_eq!(config.data_dir, PathBuf::from("/x"));
        assert!(ServerConfig::parse("# nothing\n").is_ok());
        let config = ServerConfig::parse("cinclus:\n  wal:\n    subscriptionsMax: 7\n").unwrap();
        assert_eq!(config.node.subscriptions_max, 7);
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest() {
        let error = format!("{:#}", ServerConfig::parse("rootCoord:\n  dmlChanelNum: 4\n").unwrap_err());
        assert!(
            error.contains("rootCoord.dmlChanelNum") && error.contains("rootCoord.dmlChannelNum"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_is_named() {
        let error = format!("{:#}", ServerConfig::parse("rootCoord:\n  dmlChannelNum: many\n").unwrap_err());
        assert!(error.contains("rootCoord.dmlChannelNum") && error.contains("many"), "{error}");
    }
}
