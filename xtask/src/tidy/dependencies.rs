//! Every external crate of the workspace has its line, with the reason, in the record of dependencies.

use super::finding::{Finding, TextFile};

const MANIFEST: &str = "Cargo.toml";
const RECORD: &str = "docs/decisions/0001-dependencies.md";

/// Crates without a line, and lines without a crate.
pub(super) fn findings(files: &[TextFile]) -> Vec<Finding> {
    let text = |path| files.iter().find(|file| file.path == path).map_or("", |file| file.text.as_str());
    let external = external(text(MANIFEST));
    let recorded: Vec<&str> = text(RECORD).lines().filter_map(recorded).collect();
    let finding = |message| Finding { path: RECORD.to_owned(), line: 0, message };
    let missing = external.iter().filter(|name| !recorded.contains(name));
    let stale = recorded.iter().filter(|name| !external.contains(name));
    let missing = missing.map(|name| finding(format!("`{name}` of the root manifest has no line")));
    missing
        .chain(stale.map(|name| finding(format!("`{name}` is not in the root manifest any more"))))
        .collect()
}

/// Names under `[workspace.dependencies]` that are not paths of our own.
fn external(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let entries = section.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    entries.filter(|(_, value)| !value.contains("path =")).map(|(name, _)| name.trim()).collect()
}

/// The crate of a line of the table: `` | `name` | why | ``.
fn recorded(line: &str) -> Option<&str> {
    let (name, reason) = line.strip_prefix("| `")?.split_once("` | ")?;
    (reason.trim_end_matches('|').trim().len() > 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    const TABLE: &str =
        "| crate | why |\n| --- | --- |\n| `bytes` | shared payloads |\n| `tokio` | the runtime |\n";

    fn given(manifest: &str, table: &str) -> Vec<String> {
        let manifest =
            format!("[workspace]\n[workspace.dependencies]\n{manifest}\n[profile.dev]\ndebug = 1\n");
        printed(&findings(&[file(MANIFEST, &manifest), file(RECORD, table)]))
    }

    #[test]
    fn a_complete_record_is_right() {
        let manifest =
            "cinclus-env = { path = \"crates/env\" }\n\nbytes = \"1\"\ntokio = { version = \"1\" }";
        assert_eq!(given(manifest, TABLE), Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_a_line_is_found() {
        let expected = ["docs/decisions/0001-dependencies.md: `rand` of the root manifest has no line"];
        assert_eq!(given("bytes = \"1\"\ntokio = \"1\"\nrand = \"1\"", TABLE), expected);
        let without_reason = TABLE.replace("the runtime", "");
        assert_eq!(given("bytes = \"1\"\ntokio = \"1\"", &without_reason).len(), 1);
    }

    #[test]
    fn a_line_without_a_crate_is_found() {
        let expected = ["docs/decisions/0001-dependencies.md: `tokio` is not in the root manifest any more"];
        assert_eq!(given("bytes = \"1\"", TABLE), expected);
    }
}
