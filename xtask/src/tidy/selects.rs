//! Every `select!` says `biased;` first: which branch wins must not be chance.

use super::finding::{Finding, TextFile};
use super::source::{code_only, line_of};

/// Uses of the macro without it.
pub(super) fn findings(files: &[TextFile]) -> Vec<Finding> {
    files.iter().filter(|file| file.is_crate_rust()).flat_map(of_file).collect()
}

fn of_file(file: &TextFile) -> Vec<Finding> {
    let code = code_only(&file.text);
    let is_unbiased = |offset: &usize| {
        let body = code[offset + "select!".len()..].trim_start();
        let body = body.strip_prefix(['{', '(', '[']).unwrap_or(body).trim_start();
        !body.strip_prefix("biased").is_some_and(|rest| rest.trim_start().starts_with(';'))
    };
    let finding = |offset| Finding {
        path: file.path.clone(),
        // `code` has the lines of the original, though not its bytes.
        line: line_of(&code, offset),
        message: "`select!` without `biased;` as its first token".to_owned(),
    };
    code.match_indices("select!").map(|(offset, _)| offset).filter(is_unbiased).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    #[test]
    fn a_biased_select_is_right() {
        let text = "tokio::select! {\n    // Closing wins.\n    biased;\n    () = closed => {}\n}\nselect!(biased; x = y => z);\n";
        assert_eq!(findings(&[file("crates/wal/src/run.rs", text)]), []);
    }

    #[test]
    fn an_unbiased_select_is_found_with_its_line() {
        let text = "// é\nfn f() {\n    tokio::select! {\n        biased_but_not = x => {}\n    }\n}\n";
        assert_eq!(
            printed(&findings(&[file("crates/wal/src/run.rs", text)])),
            ["crates/wal/src/run.rs:3: `select!` without `biased;` as its first token"]
        );
        assert_eq!(findings(&[file("crates/wal/src/run.rs", "select! { () = x => {} }")]).len(), 1);
    }

    #[test]
    fn words_in_comments_and_other_places_do_not_count() {
        let text = "// a select! { x } in words\nlet s = \"select! { }\";\n";
        assert_eq!(findings(&[file("crates/wal/src/run.rs", text)]), []);
        assert_eq!(findings(&[file("xtask/src/a.rs", "select! { x }")]), []);
    }
}
