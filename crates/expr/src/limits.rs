//! Bounds that keep hostile text from exhausting the stack.

/// How deep parentheses, lists, prefix operators and chains of operators may nest in the text.
pub const TEXT_DEPTH_MAX: usize = 128;

/// How deep the checked tree may be. Parentheses and repeated `and` or `or` do not count: they leave no
/// level behind. With it, a tree written as JSON stays below the 128 levels that `serde_json` reads.
pub const TREE_DEPTH_MAX: usize = 40;
