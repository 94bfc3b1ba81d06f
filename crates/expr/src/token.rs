//! The words of a filter's text.

/// A word and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'t> {
    /// Its first byte.
    pub at: usize,
    /// The byte behind it.
    pub end: usize,
    /// What it is.
    pub kind: TokenKind<'t>,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind<'t> {
    /// A whole number without sign.
    Int(u64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A quoted text, escapes resolved.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A name, or a word that has a meaning only in some places.
    Name(&'t str),
    /// An operator, bracket or reserved word.
    Symbol(Symbol),
    /// The end of the text.
    End,
}

/// An operator, bracket or reserved word, whatever its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    Comma,
    Plus,
    Minus,
    Star,
    StarStar,
    Slash,
    Percent,
    ShiftLeft,
    ShiftRight,
    Ampersand,
    Pipe,
    Caret,
    Tilde,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    EqualEqual,
    NotEqual,
    Equal,
    RegexMatch,
    RegexNotMatch,
    And,
    Or,
    Not,
    In,
    Like,
    Exists,
}

/// Operators and brackets by their spelling, longer before shorter.
pub(crate) const OPERATORS: [(&str, Symbol); 31] = [
    ("**", Symbol::StarStar),
    ("<<", Symbol::ShiftLeft),
    (">>", Symbol::ShiftRight),
    ("<=", Symbol::LessEqual),
    (">=", Symbol::GreaterEqual),
    ("==", Symbol::EqualEqual),
    ("!=", Symbol::NotEqual),
    ("=~", Symbol::RegexMatch),
    ("!~", Symbol::RegexNotMatch),
    ("&&", Symbol::And),
    ("||", Symbol::Or),
    ("(", Symbol::LeftParen),
    (")", Symbol::RightParen),
    ("[", Symbol::LeftBracket),
    ("]", Symbol::RightBracket),
    ("{", Symbol::LeftBrace),
    ("}", Symbol::RightBrace),
    (",", Symbol::Comma),
    ("+", Symbol::Plus),
    ("-", Symbol::Minus),
    ("*", Symbol::Star),
    ("/", Symbol::Slash),
    ("%", Symbol::Percent),
    ("&", Symbol::Ampersand),
    ("|", Symbol::Pipe),
    ("^", Symbol::Caret),
    ("~", Symbol::Tilde),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
    ("=", Symbol::Equal),
    ("!", Symbol::Not),
];

/// Reserved words: all-lower and all-upper case only, as in Milvus.
pub(crate) fn reserved(word: &str) -> Option<TokenKind<'static>> {
    Some(match word {
        "and" | "AND" => TokenKind::Symbol(Symbol::And),
        "or" | "OR" => TokenKind::Symbol(Symbol::Or),
        "not" | "NOT" => TokenKind::Symbol(Symbol::Not),
        "in" | "IN" => TokenKind::Symbol(Symbol::In),
        "like" | "LIKE" => TokenKind::Symbol(Symbol::Like),
        "exists" | "EXISTS" => TokenKind::Symbol(Symbol::Exists),
        "true" | "True" | "TRUE" => TokenKind::Bool(true),
        "false" | "False" | "FALSE" => TokenKind::Bool(false),
        _ => return None,
    })
}
