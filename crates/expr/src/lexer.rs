//! Text to words.

use crate::error::{ExprError, Problem};
use crate::literal::{self, Literal};
use crate::token::{OPERATORS, Symbol, Token, TokenKind, reserved};

/// Gives the words of a text one by one.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    next: usize,
}

impl<'t> Lexer<'t> {
    /// At the start of a text.
    pub(crate) fn new(text: &'t str) -> Lexer<'t> {
        Lexer { text, next: 0 }
    }

    /// The next word; at the end, `End` again and again.
    pub(crate) fn token(&mut self) -> Result<Token<'t>, ExprError> {
        let rest = &self.text[self.next..];
        let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let at = self.text.len() - rest.len();
        let (kind, length) = self.word(at, rest)?;
        self.next = at + length;
        Ok(Token { at, end: self.next, kind })
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    fn word(&self, at: usize, rest: &'t str) -> Result<(TokenKind<'t>, usize), ExprError> {
        let bytes = rest.as_bytes();
        let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
        let literal = |skipped: usize, literal: Literal| match literal {
            Ok((kind, length)) => Ok((kind, skipped + length)),
            Err((inside, what)) => Err(self.error(at + skipped + inside, Problem::Literal(what))),
        };
        match bytes.first() {
            None => Ok((TokenKind::End, 0)),
            Some(b'\'' | b'"') => literal(0, literal::quoted(rest)),
            Some(b'0'..=b'9') => literal(0, literal::number(rest)),
            Some(b'.') if digit(1) => literal(0, literal::number(rest)),
            Some(b'$') => self.meta(at, rest),
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'_' => {
                let length = name_length(rest);
                let quote = matches!(bytes.get(length), Some(b'\'' | b'"'));
                match &rest[..length] {
                    "r" | "R" if quote => literal(length, literal::raw(&rest[length..])),
                    // What C says of the encoding; it is always UTF-8 here.
                    "u8" | "u" | "U" | "L" if quote => literal(length, literal::quoted(&rest[length..])),
                    word => Ok((reserved(word).unwrap_or(TokenKind::Name(word)), length)),
                }
            }
            Some(_) => match OPERATORS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
                Some((spelling, symbol)) => Ok((TokenKind::Symbol(*symbol), spelling.len())),
                None => {
                    let found = rest.chars().next().map(|letter| format!("`{letter}`")).unwrap_or_default();
                    let expected = "an expression".to_owned();
                    Err(self.error(at, Problem::Unexpected { expected, found }))
                }
            },
        }
    }

    /// `$meta`, or what the language of struct arrays begins with.
    fn meta(&self, at: usize, rest: &'t str) -> Result<(TokenKind<'t>, usize), ExprError> {
        let length = 1 + name_length(&rest[1..]);
        match &rest[..length] {
            "$meta" => Ok((TokenKind::Name("$meta"), length)),
            "$" => Err(self.error(at, Problem::NotSupported("a struct array element (`$`)".to_owned()))),
            word => {
                let (expected, found) = ("`$meta`".to_owned(), format!("`{word}`"));
                Err(self.error(at, Problem::Unexpected { expected, found }))
            }
        }
    }

    fn error(&self, at: usize, problem: Problem) -> ExprError {
        ExprError::new(self.text, at, problem)
    }
}

fn name_length(rest: &str) -> usize {
    rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

impl TokenKind<'_> {
    /// Whether this is a symbol.
    pub(crate) fn is(&self, symbol: Symbol) -> bool {
        *self == TokenKind::Symbol(symbol)
    }
}
