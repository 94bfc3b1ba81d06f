//! Links of markdown files to files of the repository lead somewhere.

use std::collections::BTreeSet;

use super::finding::{Finding, TextFile};

/// Links to tracked files or their folders that are not there. Addresses elsewhere and places in the same page are
/// not followed; examples in code are not links.
pub(super) fn findings(files: &[TextFile], tracked: &[String]) -> Vec<Finding> {
    let known = files_and_folders(tracked);
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&file.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !resolve(&file.path, path).is_some_and(|resolved| known.contains(&resolved)) {
                let message = format!("the link to `{target}` leads to no tracked file");
                findings.push(Finding { path: file.path.clone(), line, message });
            }
        }
    }
    findings
}

fn files_and_folders(tracked: &[String]) -> BTreeSet<String> {
    let mut known = BTreeSet::from([String::new()]);
    for path in tracked {
        known.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        known.insert(path.clone());
    }
    known
}

/// The path from the root that a relative link names; `None` if it leaves the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect::<Vec<_>>().split_last()?.1.to_vec(),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Targets of `[text](target)` and of `[name]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        if let Some((_, target)) = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            links.push((index + 1, target.trim().to_owned()));
        }
        for (open, _) in prose.match_indices("](") {
            let rest = &prose[open + 2..];
            let target = rest.split(')').next().unwrap_or_default();
            // A title may follow the target: [text](target "title").
            links.push((index + 1, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let tracked = ["README.md", "docs/decisions/0001-a.md", "crates/wal/src/lib.rs"].map(str::to_owned);
        printed(&findings(&[file(path, text)], &tracked))
    }

    #[test]
    fn links_that_lead_somewhere_are_right() {
        let none: [&str; 0] = [];
        assert_eq!(
            found("README.md", "[a](docs/decisions/0001-a.md#x) [b](crates/wal) [c](#here) [d](./)"),
            none
        );
        assert_eq!(
            found("docs/decisions/0001-a.md", "[up](../../README.md) [root](/crates/wal/src/lib.rs)"),
            none
        );
        assert_eq!(found("README.md", "[web](https://example.com/a.md) [post](mailto:a@example.com)"), none);
        assert_eq!(found("README.md", "`[x](nowhere.md)`\n```\n[y](nowhere.md)\n```\n"), none);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let expected = |line: usize, target: &str| {
            vec![format!("README.md:{line}: the link to `{target}` leads to no tracked file")]
        };
        assert_eq!(found("README.md", "one\n[a](docs/gone.md)"), expected(2, "docs/gone.md"));
        assert_eq!(found("README.md", "![a](docs/gone.png \"A picture\")"), expected(1, "docs/gone.png"));
        assert_eq!(found("README.md", "[a]: docs/gone.md"), expected(1, "docs/gone.md"));
        assert_eq!(found("README.md", "[a](../outside.md)"), expected(1, "../outside.md"));
    }
}
