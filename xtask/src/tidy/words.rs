//! Words that may not stand in a tracked file: they belong to one machine or one registry, not to the project.
//!
//! The list is a plain search for text. `Cargo.lock` is cargo's own file and names its registry by rule; this file
//! names the words to look for.

use super::finding::{Finding, TextFile};

/// The word, and why it may not be there.
const WORDS: [(&str, &str); 10] = [
    ("/work/", "a path of one machine"),
    ("/root/", "a path of one machine"),
    ("/home/", "a path of one machine"),
    ("crates.io", "a registry's host name"),
    ("pypi.org", "a registry's host name"),
    ("pythonhosted.org", "a registry's host name"),
    ("npmjs.org", "a registry's host name"),
    ("proxy.golang.org", "a registry's host name"),
    ("deb.debian.org", "a registry's host name"),
    ("repo1.maven.org", "a registry's host name"),
];

const EXEMPT: [&str; 2] = ["Cargo.lock", "xtask/src/tidy/words.rs"];

/// Every line with such a word.
pub(super) fn findings(files: &[TextFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !EXEMPT.contains(&file.path.as_str())) {
        for (index, line) in file.text.lines().enumerate() {
            for (word, reason) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: index + 1,
                    message: format!("`{word}` is {reason}"),
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    #[test]
    fn each_word_is_found_with_its_line() {
        for (word, reason) in WORDS {
            let found = findings(&[file("README.md", &format!("one\nsee {word} there\n"))]);
            assert_eq!(printed(&found), [format!("README.md:2: `{word}` is {reason}")]);
        }
    }

    #[test]
    fn the_lock_file_names_its_registry() {
        let text = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(findings(&[file("Cargo.lock", text)]), []);
    }

    #[test]
    fn paths_of_the_repository_are_right() {
        assert_eq!(findings(&[file("README.md", "crates/worker/src/lib.rs and /tmp/x\n")]), []);
    }
}
