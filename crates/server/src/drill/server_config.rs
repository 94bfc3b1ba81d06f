//! The configuration of the server that is drilled.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::config::ServerConfig;

/// What happens in hours on a large server happens in seconds: small log files, small rounds of persisting.
fn defaults() -> [(&'static str, Value); 4] {
    [
        ("proxy.idempotentRequests", json!(true)),
        ("woodpecker.client.segmentRollingPolicy.maxSize", json!("4m")),
        ("cinclus.recovery.logBytesMax", json!("16m")),
        ("cinclus.recovery.persistAge", json!("1s")),
    ]
}

/// A configuration for a file, and what it says.
pub(super) struct ServerFile {
    /// The text.
    pub(super) text: String,
    /// Its values.
    pub(super) config: ServerConfig,
}

impl ServerFile {
    /// The user's file on top of the drill's own values.
    ///
    /// # Errors
    /// If it cannot be read, or a server would refuse it.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<ServerFile> {
        let Some(file) = file else { return ServerFile::parse("") };
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        ServerFile::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<ServerFile> {
        // First as the server reads it, for its words about what is wrong.
        ServerConfig::parse(text)?;
        let tree: Value = serde_saphyr::from_str(text).unwrap_or_default();
        let mut keys: BTreeMap<String, Value> =
            defaults().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        flatten(String::new(), &tree, &mut keys);
        let text = serde_json::to_string_pretty(&keys)?;
        let config = ServerConfig::parse(&text)?;
        config.validate()?;
        Ok(ServerFile { text, config })
    }
}

fn flatten(path: String, value: &Value, keys: &mut BTreeMap<String, Value>) {
    if let Value::Object(children) = value {
        for (name, child) in children {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            flatten(path, child, keys);
        }
    } else if !path.is_empty() {
        keys.insert(path, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_over_the_drill_and_the_rest_stays() {
        let own = ServerFile::parse("").unwrap().config;
        assert!(own.proxy.idempotent_requests);
        assert_eq!((own.log_roll_bytes, own.node.recovery_log_bytes_max), (4 << 20, 16 << 20));
        let text = "# mine\ncinclus:\n  recovery:\n    logBytesMax: 1g\nproxy.idempotentRequests: false\n";
        let config = ServerFile::parse(text).unwrap().config;
        assert_eq!((config.log_roll_bytes, config.node.recovery_log_bytes_max), (4 << 20, 1 << 30));
        assert!(!config.proxy.idempotent_requests);
        assert!(ServerFile::parse("cinclus:\n  recovery:\n    logBytes: 1g\n").is_err());
    }
}
