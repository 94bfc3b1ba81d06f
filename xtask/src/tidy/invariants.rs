//! Invariant ids: what the code cites exists in ARCHITECTURE.md, and what must be kept somewhere is cited somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, TextFile};

/// Where the invariants are written down: each id in bold where it is defined.
const LIST: &str = "ARCHITECTURE.md";

/// Ids of these letters must be cited by at least one line of the crates: each is kept by code somewhere.
const MUST_BE_CITED: [char; 3] = ['W', 'C', 'Q'];

/// The letters of the house: durable order, control, queries, architecture, log storage, metadata.
const LETTERS: &str = "WCQALM";

/// Invariants that no line cites yet, each with its reason. Empty is the goal.
pub(super) const UNCITED_ALLOWED: &[(&str, &str)] = &[];

/// What this rule says.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) warnings: Vec<String>,
}

/// Compares the list with the citations.
pub(super) fn report(files: &[TextFile], uncited_allowed: &[(&str, &str)]) -> Report {
    let mut report = Report::default();
    let defined = defined(files, &mut report);
    let mut cited = BTreeSet::new();
    for file in files.iter().filter(|file| file.is_crate_rust()) {
        for (index, line) in file.text.lines().enumerate() {
            for id in citations(line) {
                if !defined.contains(&id) {
                    let message = format!("Invariant {id} is not in {LIST}");
                    report.findings.push(Finding { path: file.path.clone(), line: index + 1, message });
                }
                cited.insert(id);
            }
        }
    }
    for id in defined.iter().filter(|id| id.starts_with(MUST_BE_CITED)) {
        let allowed = uncited_allowed.iter().find(|(allowed, _)| allowed == id);
        match (cited.contains(id), allowed) {
            (true, None) => {}
            (true, Some(_)) => {
                let message = format!("Invariant {id} is cited: take it from UNCITED_ALLOWED");
                report.findings.push(Finding { path: LIST.to_owned(), line: 0, message });
            }
            (false, Some((_, reason))) => {
                report.warnings.push(format!("no code cites Invariant {id}: {reason}"))
            }
            (false, None) => {
                let message = format!("no code cites Invariant {id}: name it at the line that keeps it");
                report.findings.push(Finding { path: LIST.to_owned(), line: 0, message });
            }
        }
    }
    report
}

/// The ids in bold; the numbers of each letter run from 1 without a gap.
fn defined(files: &[TextFile], report: &mut Report) -> BTreeSet<String> {
    let text = files.iter().find(|file| file.path == LIST).map_or("", |file| file.text.as_str());
    let bold_id = |(offset, _): (usize, &str)| {
        let rest = &text[offset + 2..];
        id_at(rest).filter(|id| rest[id.len()..].starts_with("**"))
    };
    let ids: BTreeSet<String> = text.match_indices("**").filter_map(bold_id).collect();
    let mut highest: BTreeMap<char, usize> = LETTERS.chars().map(|letter| (letter, 1)).collect();
    for id in &ids {
        let (letter, number) = id.split_at(1);
        let (Some(letter), Ok(number)) = (letter.chars().next(), number.parse::<usize>()) else { continue };
        let known = highest.entry(letter).or_insert(1);
        *known = number.max(*known);
    }
    for (letter, last) in highest {
        for id in (1..=last).map(|number| format!("{letter}{number}")).filter(|id| !ids.contains(id)) {
            let message = format!("Invariant {id} is missing from the list");
            report.findings.push(Finding { path: LIST.to_owned(), line: 0, message });
        }
    }
    ids
}

/// The ids of a line that says `Invariant W3`, or `Invariants W3, W4 and Q1`.
fn citations(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for (offset, word) in line.match_indices("Invariant") {
        let mut rest = &line[offset + word.len()..];
        rest = rest.strip_prefix('s').unwrap_or(rest);
        while let Some(id) = rest.strip_prefix(' ').and_then(id_at) {
            rest = &rest[1 + id.len()..];
            rest = rest.strip_prefix(" and").or_else(|| rest.strip_prefix(',')).unwrap_or("");
            rest = rest.strip_prefix(" and").unwrap_or(rest);
            ids.push(id);
        }
    }
    ids
}

/// The id at the beginning of a text: one of our letters and a number, with nothing joined to it.
fn id_at(text: &str) -> Option<String> {
    let letter = text.chars().next().filter(|letter| LETTERS.contains(*letter))?;
    let digits: String = text[1..].chars().take_while(char::is_ascii_digit).collect();
    let next = text[1 + digits.len()..].chars().next();
    let ends = !next.is_some_and(|next| next.is_alphanumeric() || next == '_');
    (!digits.is_empty() && ends).then(|| format!("{letter}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::{file, printed};
    use super::*;

    const ALL: &str =
        "- **W1** a\n- **W2** b\n- **C1** c\n- **Q1** d\n- **A1** e **L1** f\n- **M1** g **not an id**\n";

    fn given(list: &str, code: &str, allowed: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let report = report(&[file(LIST, list), file("crates/wal/src/a.rs", code)], allowed);
        (printed(&report.findings), report.warnings)
    }

    #[test]
    fn a_list_that_is_cited_is_right() {
        let code = "// Invariant W1.\n/// Invariants W2, C1 and Q1: all of them.\n// Invariant L1\n";
        assert_eq!(given(ALL, code, &[]), (vec![], vec![]));
    }

    #[test]
    fn a_citation_of_nothing_is_found_with_its_line() {
        let code = "// Invariants W1, W2, C1, Q1.\n\n// Invariant W12.\n";
        assert_eq!(
            given(ALL, code, &[]).0,
            ["crates/wal/src/a.rs:3: Invariant W12 is not in ARCHITECTURE.md"]
        );
    }

    #[test]
    fn an_uncited_invariant_is_found_unless_it_is_allowed() {
        let code = "// Invariants W1, C1 and Q1\n";
        let (findings, warnings) = given(ALL, code, &[]);
        assert_eq!(
            findings,
            ["ARCHITECTURE.md: no code cites Invariant W2: name it at the line that keeps it"]
        );
        assert!(warnings.is_empty());
        let (findings, warnings) = given(ALL, code, &[("W2", "later")]);
        assert!(findings.is_empty());
        assert_eq!(warnings, ["no code cites Invariant W2: later"]);
        let (findings, _) = given(ALL, "// Invariants W1, W2, C1, Q1\n", &[("W2", "later")]);
        assert_eq!(findings, ["ARCHITECTURE.md: Invariant W2 is cited: take it from UNCITED_ALLOWED"]);
    }

    #[test]
    fn a_gap_in_the_list_is_found() {
        let list = ALL.replace("- **W1** a\n", "").replace("**M1**", "**M3**");
        let code = "// Invariants W2, C1, Q1\n";
        assert_eq!(
            given(&list, code, &[]).0,
            [
                "ARCHITECTURE.md: Invariant M1 is missing from the list",
                "ARCHITECTURE.md: Invariant M2 is missing from the list",
                "ARCHITECTURE.md: Invariant W1 is missing from the list",
            ]
        );
    }

    #[test]
    fn citations_are_read_as_people_write_them() {
        let check = |line: &str, then: &[&str]| assert_eq!(citations(line), then, "{line}");
        check("// Invariant W3.", &["W3"]);
        check("// Invariants W3, W4, and Q1 hold", &["W3", "W4", "Q1"]);
        check("assert!(x, \"Invariant W10: order\");", &["W10"]);
        check("// Invariant W1x, Invariant of W2, invariant W3", &[]);
    }
}
