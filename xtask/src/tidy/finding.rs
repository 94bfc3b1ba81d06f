//! What the rules read and what they say.

use std::fmt;

/// A tracked text file.
#[derive(Debug, Clone)]
pub(super) struct TextFile {
    /// Relative to the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl TextFile {
    /// Rust that belongs to a crate of the house or to xtask.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Rust of the product's crates.
    pub(super) fn is_crate_rust(&self) -> bool {
        self.is_rust() && self.path.starts_with("crates/")
    }
}

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: String,
    /// From 1; 0 speaks of the whole file.
    pub(super) line: usize,
    pub(super) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.message),
            line => write!(out, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// A file for a test of a rule.
#[cfg(test)]
pub(super) fn file(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}

/// Findings as their printed lines.
#[cfg(test)]
pub(super) fn printed(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
