//! Every crate inherits the workspace's lints.

use super::finding::{Finding, TextFile};

/// Manifests of crates that do not.
pub(super) fn findings(files: &[TextFile]) -> Vec<Finding> {
    let is_crate = |file: &&TextFile| file.path.ends_with("/Cargo.toml");
    let finding = |file: &TextFile| {
        let inherits = value(&file.text, "lints", "workspace") == Some("true");
        (!inherits).then(|| Finding {
            path: file.path.clone(),
            line: 0,
            message: "the workspace's lints are not inherited: add `workspace = true` under [lints]"
                .to_owned(),
        })
    };
    files.iter().filter(is_crate).filter_map(finding).collect()
}

/// The value of `key` under `[section]`, for the plain form that our manifests use.
fn value<'a>(manifest: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let header = format!("[{section}]");
    let mut lines = manifest.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.find(|line| *line == header)?;
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    #[test]
    fn a_manifest_that_inherits_is_right() {
        let text = "[package]\nname = \"a\"\n\n[lints] # ours\nworkspace = true\n\n[dependencies]\n";
        assert_eq!(findings(&[file("crates/a/Cargo.toml", text), file("Cargo.toml", "[workspace]\n")]), []);
    }

    #[test]
    fn a_manifest_that_does_not_is_found() {
        for text in [
            "[package]\nname = \"a\"\n",
            "[lints]\n\n[x]\nworkspace = true\n",
            "[lints]\nworkspace = false\n",
            "[lints]\n# workspace = true\n",
            "[lints.rust]\nworkspace = true\n",
        ] {
            assert_eq!(
                printed(&findings(&[file("crates/a/Cargo.toml", text)])),
                [
                    "crates/a/Cargo.toml: the workspace's lints are not inherited: add `workspace = true` under [lints]"
                ],
                "{text}"
            );
        }
    }
}
