//! Where things are: the root of the repository and cargo's target folder, as cargo itself tells them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// What `cargo metadata` says about this workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The folder of the root Cargo.toml.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds; follows `CARGO_TARGET_DIR`.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    /// The crates of the workspace.
    pub(crate) packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(crate) metadata: Option<PackageMetadata>,
}

/// One edge of the dependency graph, of any kind.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// `[package.metadata]`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PackageMetadata {
    pub(crate) floor: Option<u32>,
}

impl Workspace {
    /// Asks cargo; touches no network and changes nothing.
    pub(crate) fn load() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata printed")
    }

    /// The server's release binary.
    pub(crate) fn release_binary(&self) -> PathBuf {
        self.target.join("release").join("cinclus")
    }
}

/// The cargo that runs us, so that one toolchain does everything.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
