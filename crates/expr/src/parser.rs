//! Words to a tree, by precedence climbing (Pratt).
//!
//! The powers follow the order of alternatives in Milvus' grammar. What surprises: `not` binds tighter
//! than comparisons, so `not a == 1` is `(not a) == 1`; `&`, `^` and `|` bind weaker than them, as in C.

use crate::ast::{ArithOp, CompareOp, Quantifier};
use crate::error::{ExprError, Problem};
use crate::lexer::Lexer;
use crate::limits::TEXT_DEPTH_MAX;
use crate::syntax::{BinaryOp, ContainsCall, Step, Syntax, SyntaxKind, UnaryOp};
use crate::token::{Symbol, Token, TokenKind};

/// How tight an operator binds; greater is tighter. All associate to the left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Power(u8);

impl Power {
    const OR: Power = Power(1);
    const AND: Power = Power(2);
    const BIT_OR: Power = Power(3);
    const BIT_XOR: Power = Power(4);
    const BIT_AND: Power = Power(5);
    const EQUALITY: Power = Power(6);
    const RELATION: Power = Power(7);
    const IN: Power = Power(8);
    const SHIFT: Power = Power(9);
    const SUM: Power = Power(10);
    const PRODUCT: Power = Power(11);
    const UNARY: Power = Power(12);
    const POWER: Power = Power(13);
    const LIKE: Power = Power(14);
    const TIGHTEST: Power = Power(15);

    const fn tighter(self) -> Power {
        Power(self.0 + 1)
    }
}

/// What an operator between operands does.
#[derive(Clone, Copy)]
enum Infix {
    And,
    Or,
    Not,
    Binary(BinaryOp),
    Regex,
}

fn infix(kind: &TokenKind<'_>) -> Option<(Infix, Power)> {
    let TokenKind::Symbol(symbol) = kind else { return None };
    let arith = |op, power| Some((Infix::Binary(BinaryOp::Arith(op)), power));
    let compare = |op, power| Some((Infix::Binary(BinaryOp::Compare(op)), power));
    match symbol {
        Symbol::Or => Some((Infix::Or, Power::OR)),
        Symbol::And => Some((Infix::And, Power::AND)),
        Symbol::Pipe => arith(ArithOp::BitOr, Power::BIT_OR),
        Symbol::Caret => arith(ArithOp::BitXor, Power::BIT_XOR),
        Symbol::Ampersand => arith(ArithOp::BitAnd, Power::BIT_AND),
        Symbol::EqualEqual => compare(CompareOp::Eq, Power::EQUALITY),
        Symbol::NotEqual => compare(CompareOp::Ne, Power::EQUALITY),
        Symbol::Less => compare(CompareOp::Lt, Power::RELATION),
        Symbol::LessEqual => compare(CompareOp::Le, Power::RELATION),
        Symbol::Greater => compare(CompareOp::Gt, Power::RELATION),
        Symbol::GreaterEqual => compare(CompareOp::Ge, Power::RELATION),
        Symbol::Not => Some((Infix::Not, Power::IN)),
        Symbol::In => Some((Infix::Binary(BinaryOp::In), Power::IN)),
        Symbol::ShiftLeft => arith(ArithOp::Shl, Power::SHIFT),
        Symbol::ShiftRight => arith(ArithOp::Shr, Power::SHIFT),
        Symbol::Plus => arith(ArithOp::Add, Power::SUM),
        Symbol::Minus => arith(ArithOp::Sub, Power::SUM),
        Symbol::Star => arith(ArithOp::Mul, Power::PRODUCT),
        Symbol::Slash => arith(ArithOp::Div, Power::PRODUCT),
        Symbol::Percent => arith(ArithOp::Mod, Power::PRODUCT),
        Symbol::StarStar => arith(ArithOp::Pow, Power::POWER),
        Symbol::RegexMatch | Symbol::RegexNotMatch => Some((Infix::Regex, Power::LIKE)),
        Symbol::Like => Some((Infix::Binary(BinaryOp::Like), Power::LIKE)),
        Symbol::LeftParen
        | Symbol::RightParen
        | Symbol::LeftBracket
        | Symbol::RightBracket
        | Symbol::LeftBrace
        | Symbol::RightBrace
        | Symbol::Comma
        | Symbol::Tilde
        | Symbol::Equal
        | Symbol::Exists => None,
    }
}

/// Reads a whole text.
pub(crate) fn parse_text(text: &str) -> Result<Syntax, ExprError> {
    let mut lexer = Lexer::new(text);
    let token = lexer.token()?;
    if token.kind == TokenKind::End {
        return Err(ExprError::new(text, token.at, Problem::Empty));
    }
    let mut parser = Parser { lexer, token, depth: 0 };
    let tree = parser.expression(Power::OR)?;
    if parser.token.kind != TokenKind::End {
        let expected = match parser.token.kind {
            TokenKind::Symbol(Symbol::Equal) => "`==`",
            TokenKind::Int(_)
            | TokenKind::Float(_)
            | TokenKind::Text(_)
            | TokenKind::Bool(_)
            | TokenKind::Name(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => "an operator or the end",
        };
        return Err(parser.unexpected(expected));
    }
    Ok(tree)
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn advance(&mut self) -> Result<Token<'t>, ExprError> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn error(&self, at: usize, problem: Problem) -> ExprError {
        ExprError::new(self.lexer.text(), at, problem)
    }

    fn unexpected(&self, expected: &str) -> ExprError {
        let word = &self.lexer.text()[self.token.at..self.token.end];
        let found = if word.is_empty() {
            "the end".to_owned()
        } else if word.chars().count() > 40 {
            format!("`{}...`", word.chars().take(40).collect::<String>())
        } else {
            format!("`{word}`")
        };
        self.error(self.token.at, Problem::Unexpected { expected: expected.to_owned(), found })
    }

    fn not_supported(&self, at: usize, what: impl Into<String>) -> ExprError {
        self.error(at, Problem::NotSupported(what.into()))
    }

    fn expect(&mut self, symbol: Symbol, expected: &str) -> Result<Token<'t>, ExprError> {
        if self.token.kind.is(symbol) { self.advance() } else { Err(self.unexpected(expected)) }
    }

    /// A part of the tree, if it is not too tall to be walked.
    fn node(&self, at: usize, kind: SyntaxKind) -> Result<Syntax, ExprError> {
        let syntax = Syntax::new(at, kind);
        if syntax.height > TEXT_DEPTH_MAX {
            return Err(self.error(at, Problem::TooDeep(TEXT_DEPTH_MAX)));
        }
        Ok(syntax)
    }

    /// An expression of operators that bind at least as tight as `power`.
    fn expression(&mut self, power: Power) -> Result<Syntax, ExprError> {
        self.depth += 1;
        if self.depth > TEXT_DEPTH_MAX {
            return Err(self.error(self.token.at, Problem::TooDeep(TEXT_DEPTH_MAX)));
        }
        let mut left = self.operand()?;
        while let Some((operator, binds)) = infix(&self.token.kind)
            && binds >= power
        {
            left = self.infix(operator, left, binds)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// What follows a left side.
    fn infix(&mut self, operator: Infix, left: Syntax, power: Power) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        match operator {
            Infix::And => self.chain(left, Symbol::And, power),
            Infix::Or => self.chain(left, Symbol::Or, power),
            Infix::Regex => Err(self.not_supported(at, "matching a regular expression")),
            Infix::Not => {
                self.expect(Symbol::In, "`in` after `not`")?;
                self.binary(at, BinaryOp::NotIn, left, power)
            }
            Infix::Binary(BinaryOp::Compare(op)) if power == Power::RELATION => self.relation(at, op, left),
            Infix::Binary(op) => self.binary(at, op, left, power),
        }
    }

    fn binary(&mut self, at: usize, op: BinaryOp, left: Syntax, power: Power) -> Result<Syntax, ExprError> {
        let right = self.expression(power.tighter())?;
        self.node(at, SyntaxKind::Binary(op, Box::new(left), Box::new(right)))
    }

    /// A chain of `and`, or of `or`, is one node, however long; its first word has been read.
    fn chain(&mut self, left: Syntax, word: Symbol, power: Power) -> Result<Syntax, ExprError> {
        let at = left.at;
        let mut parts = vec![left, self.expression(power.tighter())?];
        while self.token.kind.is(word) {
            self.advance()?;
            parts.push(self.expression(power.tighter())?);
        }
        self.node(at, if word == Symbol::And { SyntaxKind::And(parts) } else { SyntaxKind::Or(parts) })
    }

    /// `a < b`, or the chain `a < b <= c`.
    fn relation(&mut self, at: usize, op: CompareOp, left: Syntax) -> Result<Syntax, ExprError> {
        let right = self.expression(Power::RELATION.tighter())?;
        let second = match infix(&self.token.kind) {
            Some((Infix::Binary(BinaryOp::Compare(second)), Power::RELATION)) => second,
            Some(_) | None => {
                let op = BinaryOp::Compare(op);
                return self.node(at, SyntaxKind::Binary(op, Box::new(left), Box::new(right)));
            }
        };
        let upwards = |op| matches!(op, CompareOp::Lt | CompareOp::Le);
        if upwards(op) != upwards(second) {
            let both = if upwards(op) { "`<` or `<=`" } else { "`>` or `>=`" };
            return Err(self.unexpected(&format!("{both}, as on the left of the range")));
        }
        self.advance()?;
        let last = self.expression(Power::RELATION.tighter())?;
        if let Some((_, Power::RELATION)) = infix(&self.token.kind) {
            return Err(self.unexpected("the end of the range"));
        }
        self.node(at, SyntaxKind::Range(Box::new([left, right, last]), op, second))
    }

    fn operand(&mut self) -> Result<Syntax, ExprError> {
        let at = self.token.at;
        let kind = match &self.token.kind {
            TokenKind::Name(_) => return self.name(),
            TokenKind::Symbol(symbol) => return self.prefix(*symbol),
            TokenKind::End => return Err(self.unexpected("a value or a field")),
            TokenKind::Int(value) => match i64::try_from(*value) {
                Ok(value) => SyntaxKind::Int(value),
                Err(_) => {
                    let what = format!("integer {value} does not fit 64 bits with a sign");
                    return Err(self.error(at, Problem::Literal(what)));
                }
            },
            TokenKind::Float(value) => SyntaxKind::Float(*value),
            TokenKind::Bool(value) => SyntaxKind::Bool(*value),
            TokenKind::Text(_) => {
                return match self.advance()?.kind {
                    TokenKind::Text(text) => self.node(at, SyntaxKind::Text(text)),
                    TokenKind::Int(_)
                    | TokenKind::Float(_)
                    | TokenKind::Bool(_)
                    | TokenKind::Name(_)
                    | TokenKind::Symbol(_)
                    | TokenKind::End => unreachable!("it was a text"),
                };
            }
        };
        self.advance()?;
        self.node(at, kind)
    }

    fn prefix(&mut self, symbol: Symbol) -> Result<Syntax, ExprError> {
        match symbol {
            Symbol::LeftParen => {
                self.advance()?;
                let inner = self.expression(Power::OR)?;
                self.expect(Symbol::RightParen, "an operator or `)`")?;
                Ok(inner)
            }
            Symbol::LeftBracket => self.list(),
            Symbol::LeftBrace => self.template(),
            Symbol::Plus => self.unary(UnaryOp::Plus),
            Symbol::Minus => self.minus(),
            Symbol::Tilde => self.unary(UnaryOp::BitNot),
            Symbol::Not => self.unary(UnaryOp::Not),
            Symbol::Exists => {
                let at = self.advance()?.at;
                let inner = self.expression(Power::TIGHTEST)?;
                self.node(at, SyntaxKind::Exists(Box::new(inner)))
            }
            Symbol::RightParen
            | Symbol::RightBracket
            | Symbol::RightBrace
            | Symbol::Comma
            | Symbol::Star
            | Symbol::StarStar
            | Symbol::Slash
            | Symbol::Percent
            | Symbol::ShiftLeft
            | Symbol::ShiftRight
            | Symbol::Ampersand
            | Symbol::Pipe
            | Symbol::Caret
            | Symbol::Less
            | Symbol::LessEqual
            | Symbol::Greater
            | Symbol::GreaterEqual
            | Symbol::EqualEqual
            | Symbol::NotEqual
            | Symbol::Equal
            | Symbol::RegexMatch
            | Symbol::RegexNotMatch
            | Symbol::And
            | Symbol::Or
            | Symbol::In
            | Symbol::Like => Err(self.unexpected("a value or a field")),
        }
    }

    fn unary(&mut self, op: UnaryOp) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        let inner = self.expression(Power::UNARY)?;
        self.node(at, SyntaxKind::Unary(op, Box::new(inner)))
    }

    /// A minus; the smallest integer has no positive twin, so it is read here.
    fn minus(&mut self) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        if self.token.kind == TokenKind::Int(i64::MIN.unsigned_abs()) {
            self.advance()?;
            return self.node(at, SyntaxKind::Int(i64::MIN));
        }
        let inner = self.expression(Power::UNARY)?;
        self.node(at, SyntaxKind::Unary(UnaryOp::Minus, Box::new(inner)))
    }

    fn list(&mut self) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        let mut items = Vec::new();
        while !self.token.kind.is(Symbol::RightBracket) {
            items.push(self.expression(Power::OR)?);
            if self.token.kind.is(Symbol::Comma) {
                self.advance()?;
            } else if !self.token.kind.is(Symbol::RightBracket) {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
        self.advance()?;
        self.node(at, SyntaxKind::List(items))
    }

    fn template(&mut self) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        let TokenKind::Name(name) = self.token.kind else {
            return Err(self.unexpected("the name of a template variable"));
        };
        self.advance()?;
        self.expect(Symbol::RightBrace, "`}`")?;
        self.node(at, SyntaxKind::Template(name.to_owned()))
    }

    /// A name: of a field with steps behind it, or of a function.
    fn name(&mut self) -> Result<Syntax, ExprError> {
        let token = self.advance()?;
        let TokenKind::Name(name) = token.kind else { return Err(self.unexpected("a name")) };
        let at = token.at;
        if self.token.kind.is(Symbol::LeftParen) {
            return self.call(at, name);
        }
        if matches!(self.token.kind, TokenKind::Text(_))
            && matches!(name, "iso" | "ISO" | "interval" | "INTERVAL")
        {
            return Err(self.not_supported(at, format!("a timestamp (`{name}`)")));
        }
        let mut steps = Vec::new();
        while self.token.kind.is(Symbol::LeftBracket) {
            steps.push(self.step()?);
        }
        let path = self.node(at, SyntaxKind::Path(name.to_owned(), steps))?;
        if matches!(self.token.kind, TokenKind::Name("is" | "IS")) { self.is_null(path) } else { Ok(path) }
    }

    fn step(&mut self) -> Result<Step, ExprError> {
        self.advance()?;
        let step = match &self.token.kind {
            TokenKind::Text(key) => Step::Key(key.clone()),
            TokenKind::Int(index) => match usize::try_from(*index) {
                Ok(index) => Step::Index(index),
                Err(_) => return Err(self.unexpected("a smaller index")),
            },
            TokenKind::Name(_) => {
                return Err(self.not_supported(self.token.at, "a field of a struct array"));
            }
            TokenKind::Float(_) | TokenKind::Bool(_) | TokenKind::Symbol(_) | TokenKind::End => {
                return Err(self.unexpected("a key in quotes or an index"));
            }
        };
        self.advance()?;
        self.expect(Symbol::RightBracket, "`]`")?;
        Ok(step)
    }

    fn is_null(&mut self, path: Syntax) -> Result<Syntax, ExprError> {
        let at = self.advance()?.at;
        let negated = self.token.kind.is(Symbol::Not);
        if negated {
            self.advance()?;
        }
        if !matches!(self.token.kind, TokenKind::Name("null" | "NULL")) {
            return Err(self.unexpected(if negated { "`null`" } else { "`null` or `not null`" }));
        }
        self.advance()?;
        let is_null = self.node(at, SyntaxKind::IsNull(Box::new(path)))?;
        if negated { self.node(at, SyntaxKind::Unary(UnaryOp::Not, Box::new(is_null))) } else { Ok(is_null) }
    }

    fn call(&mut self, at: usize, name: &str) -> Result<Syntax, ExprError> {
        match name {
            "json_contains" | "JSON_CONTAINS" | "array_contains" | "ARRAY_CONTAINS" => {
                self.contains(at, ContainsCall::One)
            }
            "json_contains_all" | "JSON_CONTAINS_ALL" | "array_contains_all" | "ARRAY_CONTAINS_ALL" => {
                self.contains(at, ContainsCall::Many(Quantifier::All))
            }
            "json_contains_any" | "JSON_CONTAINS_ANY" | "array_contains_any" | "ARRAY_CONTAINS_ANY" => {
                self.contains(at, ContainsCall::Many(Quantifier::Any))
            }
            "array_length" | "ARRAY_LENGTH" => self.length(at),
            _ => Err(self.not_supported(at, format!("the function {name}"))),
        }
    }

    fn length(&mut self, at: usize) -> Result<Syntax, ExprError> {
        self.advance()?;
        let inner = self.expression(Power::OR)?;
        self.expect(Symbol::RightParen, "`)`")?;
        self.node(at, SyntaxKind::Length(Box::new(inner)))
    }

    fn contains(&mut self, at: usize, call: ContainsCall) -> Result<Syntax, ExprError> {
        self.advance()?;
        let array = self.expression(Power::OR)?;
        self.expect(Symbol::Comma, "`,` and what the array should contain")?;
        let values = self.expression(Power::OR)?;
        self.expect(Symbol::RightParen, "`)`")?;
        self.node(at, SyntaxKind::Contains(call, Box::new([array, values])))
    }
}
