//! Patterns of `like`.

use serde::{Deserialize, Serialize};

/// A pattern of `like`: `%` is any run of characters, `_` one character, a backslash takes the meaning
/// of the character behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LikePattern {
    /// The whole text.
    Exact(String),
    /// `abc%`
    Prefix(String),
    /// `%abc`
    Suffix(String),
    /// `%abc%`
    Contains(String),
    /// Anything else.
    General(Vec<LikePart>),
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LikePart {
    /// These characters.
    Text(String),
    /// `_`
    One,
    /// `%`
    Run,
}

impl LikePattern {
    /// Reads a pattern. A backslash at the end stands for itself.
    #[must_use]
    pub fn new(pattern: &str) -> LikePattern {
        let parts = parts_of(pattern);
        match parts.as_slice() {
            [] => LikePattern::Exact(String::new()),
            [LikePart::Text(text)] => LikePattern::Exact(text.clone()),
            [LikePart::Run] => LikePattern::Prefix(String::new()),
            [LikePart::Text(text), LikePart::Run] => LikePattern::Prefix(text.clone()),
            [LikePart::Run, LikePart::Text(text)] => LikePattern::Suffix(text.clone()),
            [LikePart::Run, LikePart::Text(text), LikePart::Run] => LikePattern::Contains(text.clone()),
            _ => LikePattern::General(parts),
        }
    }

    /// Whether a text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            LikePattern::Exact(whole) => text == whole,
            LikePattern::Prefix(prefix) => text.starts_with(prefix.as_str()),
            LikePattern::Suffix(suffix) => text.ends_with(suffix.as_str()),
            LikePattern::Contains(part) => text.contains(part.as_str()),
            LikePattern::General(parts) => matches_parts(parts, text),
        }
    }
}

impl std::fmt::Display for LikePattern {
    /// The pattern as it is written after `like`, without quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LikePattern::Exact(text) => f.write_str(&escaped(text)),
            LikePattern::Prefix(text) => write!(f, "{}%", escaped(text)),
            LikePattern::Suffix(text) => write!(f, "%{}", escaped(text)),
            LikePattern::Contains(text) => write!(f, "%{}%", escaped(text)),
            LikePattern::General(parts) => parts.iter().try_for_each(|part| match part {
                LikePart::Text(text) => f.write_str(&escaped(text)),
                LikePart::One => f.write_str("_"),
                LikePart::Run => f.write_str("%"),
            }),
        }
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, letter| {
        if matches!(letter, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
        escaped
    })
}

/// The parts in a normal form: no empty text, no two texts or runs side by side, `_` before `%`.
fn parts_of(pattern: &str) -> Vec<LikePart> {
    let mut parts: Vec<LikePart> = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let literal = match letter {
            '%' => {
                if parts.last() != Some(&LikePart::Run) {
                    parts.push(LikePart::Run);
                }
                continue;
            }
            '_' => {
                let before_run = parts.len() - usize::from(parts.last() == Some(&LikePart::Run));
                parts.insert(before_run, LikePart::One);
                continue;
            }
            '\\' => letters.next().unwrap_or('\\'),
            letter => letter,
        };
        if let Some(LikePart::Text(text)) = parts.last_mut() {
            text.push(literal);
        } else {
            parts.push(LikePart::Text(literal.into()));
        }
    }
    parts
}

/// Matches from the left; on a failure goes back to the last run and lets it take one character more.
/// Going back further can never help, so this takes at most text × pattern steps.
fn matches_parts(parts: &[LikePart], text: &str) -> bool {
    let (mut part, mut rest) = (0, text);
    let mut last_run: Option<(usize, &str)> = None;
    loop {
        let step = match parts.get(part) {
            None => rest.is_empty().then_some(rest),
            Some(LikePart::Run) => {
                last_run = Some((part, rest));
                Some(rest)
            }
            Some(LikePart::One) => without_first(rest),
            Some(LikePart::Text(literal)) => rest.strip_prefix(literal.as_str()),
        };
        match (step, last_run) {
            (Some(_), _) if part >= parts.len() => return true,
            (Some(next), _) => (part, rest) = (part + 1, next),
            (None, None) => return false,
            (None, Some((run, from))) => match without_first(from) {
                None => return false,
                Some(shorter) => {
                    last_run = Some((run, shorter));
                    (part, rest) = (run + 1, shorter);
                }
            },
        }
    }
}

fn without_first(text: &str) -> Option<&str> {
    let mut letters = text.chars();
    letters.next().map(|_| letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_into_the_cheapest_form() {
        let text = |text: &str| text.to_owned();
        for (pattern, expected) in [
            ("", LikePattern::Exact(text(""))),
            ("abc", LikePattern::Exact(text("abc"))),
            ("%", LikePattern::Prefix(text(""))),
            ("%%", LikePattern::Prefix(text(""))),
            ("abc%", LikePattern::Prefix(text("abc"))),
            ("%abc", LikePattern::Suffix(text("abc"))),
            ("%a%", LikePattern::Contains(text("a"))),
            (r"100\%", LikePattern::Exact(text("100%"))),
            (r"a\_b\\%", LikePattern::Prefix(text(r"a_b\"))),
            ("%_%", LikePattern::General(vec![LikePart::One, LikePart::Run])),
            ("a_", LikePattern::General(vec![LikePart::Text(text("a")), LikePart::One])),
        ] {
            let read = LikePattern::new(pattern);
            assert_eq!(read, expected, "{pattern}");
            assert_eq!(LikePattern::new(&read.to_string()), read, "{pattern}");
        }
    }

    #[test]
    fn texts_fit_or_do_not() {
        for (pattern, text, fits) in [
            ("a_c", "abc", true),
            ("a_c", "aßc", true),
            ("a_c", "ac", false),
            ("a_c", "abbc", false),
            ("a%b%c", "a-b-c", true),
            ("a%b%c", "a-c-b", false),
            ("%ab%ab", "abab", true),
            ("%ab%ab", "ab", false),
            ("%aab", "aaab", true),
            ("_%", "", false),
            ("_%_", "xy", true),
            ("_%_", "x", false),
            ("x%", "", false),
            ("%", "", true),
            ("a%_b", "ab", false),
            ("a%_b", "a-b", true),
        ] {
            assert_eq!(LikePattern::new(pattern).matches(text), fits, "{text} like {pattern}");
        }
    }
}
