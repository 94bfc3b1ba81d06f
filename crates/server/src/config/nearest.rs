//! The key that a mistyped one probably means.

/// The candidate with the least edit distance.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    candidates.min_by_key(|candidate| distance(word, candidate)).unwrap_or("none")
}

/// The candidates, the nearest first.
pub(crate) fn by_distance<'a>(word: &str, candidates: &'a [String]) -> Vec<&'a str> {
    let mut sorted: Vec<&str> = candidates.iter().map(String::as_str).collect();
    sorted.sort_by_cached_key(|candidate| distance(word, candidate));
    sorted
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest("prox.port", ["proxy.port", "common.port"].into_iter()), "proxy.port");
        let names = ["log_1_10v0", "log_0_12v0", "log_0_11v0"].map(str::to_owned);
        assert_eq!(by_distance("log_0_12v1", &names), ["log_0_12v0", "log_0_11v0", "log_1_10v0"]);
    }
}
