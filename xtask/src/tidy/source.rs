//! Rust text without its comments and without what its literals say.

/// The same text with every character of comments and literals replaced by a space; line breaks stay, so lines and
/// columns are those of the original. Knows nested block comments, raw strings, and lifetimes from characters.
pub(super) fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_or_comment_end(&characters, at);
        if end > at {
            code.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            code.push(characters[at]);
            at += 1;
        }
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_or_comment_end(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    let after_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match text[at] {
        '/' if next == Some('/') => position(text, at, |c| c == '\n'),
        '/' if next == Some('*') => block_comment_end(text, at),
        '"' => quoted_end(text, at + 1, '"'),
        'r' if !after_word || text[at - 1] == 'b' || text[at - 1] == 'c' => raw_string_end(text, at),
        // 'a' and '\n' are characters; 'a in &'a str is a lifetime.
        '\'' if next == Some('\\') || text.get(at + 2) == Some(&'\'') => quoted_end(text, at + 1, '\''),
        _ => at,
    }
}

fn position(text: &[char], from: usize, found: impl Fn(char) -> bool) -> usize {
    text[from..].iter().position(|c| found(*c)).map_or(text.len(), |offset| from + offset)
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 1;
    let mut end = at + 2;
    while end < text.len() && depth > 0 {
        match (text[end], text.get(end + 1)) {
            ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
            ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
    }
    end
}

fn quoted_end(text: &[char], mut at: usize, quote: char) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

fn raw_string_end(text: &[char], at: usize) -> usize {
    let quote = position(text, at + 1, |c| c != '#');
    if text.get(quote) != Some(&'"') {
        return at;
    }
    let hashes = quote - at - 1;
    let closes = |end: &usize| {
        text[*end] == '"' && text[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (quote + 1..text.len()).find(closes).map_or(text.len(), |end| end + 1 + hashes)
}

/// The line (from 1) of a byte offset.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, then: &str) {
        assert_eq!(code_only(given), then, "{given}");
    }

    #[test]
    fn comments_and_literals_become_spaces() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x \" y", 1)"#, "f(        , 1)");
        check(r##"f(r#"x " y"#)"##, "f(          )");
        check(r#"f(br"x", c)"#, "f(b    , c)");
        check(r"f('a', '\'', '\n')", "f(   ,     ,     )");
    }

    #[test]
    fn lifetimes_and_raw_names_stay() {
        check("fn f<'a>(x: &'a str) -> &'static str", "fn f<'a>(x: &'a str) -> &'static str");
        check("let r#type = var;", "let r#type = var;");
    }

    #[test]
    fn text_that_ends_early_is_no_panic() {
        for text in ["\"a", "/* a", "r#\"a", "'", "\"a\\", "// a", "r", "r#"] {
            assert_eq!(code_only(text).len(), text.len());
        }
    }
}
