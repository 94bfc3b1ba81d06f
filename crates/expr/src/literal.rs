//! Numbers and quoted texts, spelled as in C.

use crate::token::TokenKind;

/// A literal at the start of `rest` and how many bytes it takes, or what is wrong with it and where
/// (in bytes from the start of `rest`).
pub(crate) type Literal = Result<(TokenKind<'static>, usize), (usize, String)>;

/// Reads a number; `rest` starts with a digit, or a point and a digit.
///
/// Decimal, octal (`017`), `0x` and `0b` integers; decimal and hexadecimal (`0x1.8p3`) floats.
pub(crate) fn number(rest: &str) -> Literal {
    let length = number_length(rest.as_bytes());
    let text = &rest[..length];
    let wrong = |what: String| (0, what);
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        if digits.contains(['p', 'P', '.']) {
            let value = hex_float(digits).ok_or_else(|| wrong(format!("malformed number {text}")))?;
            return Ok((TokenKind::Float(value), length));
        }
        return integer(text, digits, 16).map(|kind| (kind, length)).map_err(wrong);
    }
    if let Some(digits) = text.strip_prefix("0b").or_else(|| text.strip_prefix("0B")) {
        return integer(text, digits, 2).map(|kind| (kind, length)).map_err(wrong);
    }
    if text.contains(['.', 'e', 'E']) {
        let value: f64 = text.parse().map_err(|_| wrong(format!("malformed number {text}")))?;
        if value.is_infinite() {
            return Err(wrong(format!("number {text} is out of the range of a 64-bit float")));
        }
        return Ok((TokenKind::Float(value), length));
    }
    let octal = text.len() > 1 && text.starts_with('0');
    integer(text, text, if octal { 8 } else { 10 }).map(|kind| (kind, length)).map_err(wrong)
}

/// How far the letters, digits and points of a number reach, with the sign of an exponent.
fn number_length(bytes: &[u8]) -> usize {
    let hex = bytes.len() > 1 && bytes[0] == b'0' && bytes[1].eq_ignore_ascii_case(&b'x');
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let exponent_sign = matches!(byte, b'+' | b'-')
            && length > 0
            && if hex {
                matches!(bytes[length - 1], b'p' | b'P')
            } else {
                matches!(bytes[length - 1], b'e' | b'E')
            };
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign) {
            break;
        }
        length += 1;
    }
    length
}

fn integer(text: &str, digits: &str, radix: u32) -> Result<TokenKind<'static>, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    match u64::from_str_radix(digits, radix) {
        Ok(_) if digits.starts_with('+') => Err(format!("malformed number {text}")),
        Ok(value) => Ok(TokenKind::Int(value)),
        Err(error) if matches!(error.kind(), PosOverflow | NegOverflow) => {
            Err(format!("integer {text} does not fit 64 bits"))
        }
        Err(_) => Err(format!("malformed number {text}")),
    }
}

/// Reads what follows `0x` of a hexadecimal float: digits with at most one point, `p`, a decimal exponent.
fn hex_float(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift =
        exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let value = value * 2.0_f64.powi(shift);
    value.is_finite().then_some(value)
}

/// Reads a quoted text with escapes; `rest` starts with the quote.
///
/// `\a \b \f \n \r \t \v \\ \' \" \?`, `\101`, `\x41`, `\u0041`, `\U00000041`; a backslash before any
/// other character stays, for patterns of `like`.
pub(crate) fn quoted(rest: &str) -> Literal {
    let bytes = rest.as_bytes();
    let quote = bytes[0];
    let mut text: Vec<u8> = Vec::new();
    let mut next = 1;
    loop {
        match bytes.get(next) {
            None | Some(b'\n' | b'\r') => return Err((next, "the quoted text does not end".to_owned())),
            Some(b'\\') => next += escape(&bytes[next..], &mut text).map_err(|what| (next, what))?,
            Some(&byte) if byte == quote => break,
            Some(&byte) => {
                text.push(byte);
                next += 1;
            }
        }
    }
    let text = String::from_utf8(text).map_err(|_| (0, "the quoted text is not UTF-8".to_owned()))?;
    Ok((TokenKind::Text(text), next + 1))
}

/// Reads a raw text; `rest` starts with the quote. A backslash stays, and keeps a quote behind it inside.
pub(crate) fn raw(rest: &str) -> Literal {
    let bytes = rest.as_bytes();
    let mut next = 1;
    loop {
        match bytes.get(next) {
            None | Some(b'\n' | b'\r') => return Err((next, "the raw text does not end".to_owned())),
            Some(b'\\') if !matches!(bytes.get(next + 1), None | Some(b'\n' | b'\r')) => next += 2,
            Some(&byte) if byte == bytes[0] => break,
            Some(_) => next += 1,
        }
    }
    // A quote is never part of a longer UTF-8 character, so both ends are at characters.
    Ok((TokenKind::Text(rest[1..next].to_owned()), next + 1))
}

/// Resolves an escape; `bytes` starts with the backslash. Answers how many bytes it takes.
fn escape(bytes: &[u8], text: &mut Vec<u8>) -> Result<usize, String> {
    let digits_of = |start: usize, most: usize, radix: u32| {
        let digits = bytes[start..].iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix));
        digits.fold((0_u32, 0), |(value, count), &byte| {
            (value * radix + char::from(byte).to_digit(radix).unwrap_or(0), count + 1)
        })
    };
    let simple = match bytes.get(1) {
        None | Some(b'\r') => return Err("the quoted text does not end".to_owned()),
        // A line goes on in the next.
        Some(b'\n') => return Ok(2),
        Some(b'a') => 0x07,
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'v') => 0x0b,
        Some(&byte @ (b'\\' | b'\'' | b'"' | b'?')) => byte,
        Some(b'0'..=b'7') => {
            let (value, count) = digits_of(1, 3, 8);
            text.push(u8::try_from(value).map_err(|_| "an octal escape is at most \\377".to_owned())?);
            return Ok(1 + count);
        }
        Some(b'x') => {
            let (value, count) = digits_of(2, 2, 16);
            if count == 0 {
                return Err("expected hexadecimal digits after \\x".to_owned());
            }
            text.push(value as u8);
            return Ok(2 + count);
        }
        Some(&byte @ (b'u' | b'U')) => {
            let wanted = if byte == b'u' { 4 } else { 8 };
            let (value, count) = digits_of(2, wanted, 16);
            let letter = char::from_u32(value).filter(|_| count == wanted);
            let letter = letter.ok_or_else(|| {
                format!("expected {wanted} hexadecimal digits of a character after \\{}", char::from(byte))
            })?;
            text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(2 + count);
        }
        Some(_) => {
            text.push(b'\\');
            return Ok(1);
        }
    };
    text.push(simple);
    Ok(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_in_c() {
        for (text, expected) in [
            ("0", TokenKind::Int(0)),
            ("42 ", TokenKind::Int(42)),
            ("017", TokenKind::Int(15)),
            ("0xFf", TokenKind::Int(255)),
            ("0b101", TokenKind::Int(5)),
            ("9223372036854775808", TokenKind::Int(1 << 63)),
            ("1.5", TokenKind::Float(1.5)),
            ("1.", TokenKind::Float(1.0)),
            (".5", TokenKind::Float(0.5)),
            ("2e-3+1", TokenKind::Float(0.002)),
            ("0x1.8p3", TokenKind::Float(12.0)),
            ("0x.8p1", TokenKind::Float(1.0)),
            ("0xAp-1", TokenKind::Float(5.0)),
        ] {
            assert_eq!(number(text).unwrap().0, expected, "{text}");
        }
        for (text, problem) in [
            ("089", "malformed number 089"),
            ("1x", "malformed number 1x"),
            ("0x", "malformed number 0x"),
            ("0b2", "malformed number 0b2"),
            ("1.2.3", "malformed number 1.2.3"),
            ("0x1.8", "malformed number 0x1.8"),
            ("18446744073709551616", "integer 18446744073709551616 does not fit 64 bits"),
            ("1e999", "number 1e999 is out of the range of a 64-bit float"),
        ] {
            assert_eq!(number(text).unwrap_err(), (0, problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn quoted_texts_resolve_their_escapes() {
        for (text, expected, length) in [
            (r#""a b" == 1"#, "a b", 5),
            (r#"'it"s'"#, r#"it"s"#, 6),
            (r"'\'\\\n\x41\u00df\101\0'", "'\\\nA\u{df}A\0", 24),
            (r"'100\%'", r"100\%", 7),
            (r"'\U0001F600'", "\u{1F600}", 12),
            ("'Größe'", "Größe", 9),
            (r"'\xc3\x9f'", "ß", 10),
        ] {
            assert_eq!(quoted(text).unwrap(), (TokenKind::Text(expected.to_owned()), length), "{text}");
        }
        assert_eq!(raw(r"'a\'b' x").unwrap(), (TokenKind::Text(r"a\'b".to_owned()), 6));
        for (text, at) in
            [("'abc", 4), ("'a\nb'", 2), (r"'\xg'", 1), (r"'\u12'", 1), (r"'\", 1), (r"'\777'", 1)]
        {
            assert_eq!(quoted(text).unwrap_err().0, at, "{text}");
        }
        assert_eq!(quoted(r"'\xff'").unwrap_err(), (0, "the quoted text is not UTF-8".to_owned()));
        assert_eq!(raw(r"'abc\").unwrap_err().0, 5);
    }
}
