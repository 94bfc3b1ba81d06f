//! How values are written: numbers, sizes like `16m` or `256MB`, spans like `10s` or `5m`.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// A text, or a number as text.
pub(crate) fn text(value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => bail!("expected a single value, not {value}"),
    }
}

/// `true` or `false`.
pub(crate) fn flag(value: &Value) -> anyhow::Result<bool> {
    let text = text(value)?;
    text.parse().ok().with_context(|| format!("expected true or false, not {text:?}"))
}

/// Texts: a list, or one text with commas.
pub(crate) fn list(value: &Value) -> anyhow::Result<Vec<String>> {
    let texts = match value {
        Value::Array(texts) => texts.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            text(value)?.split(',').map(|text| text.trim().to_owned()).collect()
        }
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

/// A path that names something below something else: words between slashes.
pub(crate) fn path(value: &Value) -> anyhow::Result<String> {
    let text = text(value)?;
    if text.split('/').any(str::is_empty) {
        bail!("expected a path like a/b without a slash at its ends, not {text:?}");
    }
    Ok(text)
}

/// One of some words. Words that are known and not served have a reason.
pub(crate) fn choice<T: Copy>(value: &Value, words: &[(&str, Result<T, &str>)]) -> anyhow::Result<T> {
    let text = text(value)?;
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, Ok(chosen))) => Ok(*chosen),
        Some((_, Err(reason))) => bail!("{text:?} cannot be used: {reason}"),
        None => {
            let served = words.iter().filter(|(_, chosen)| chosen.is_ok()).map(|(word, _)| *word);
            bail!("expected one of {}, not {text:?}", served.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A number.
pub(crate) fn number<T: std::str::FromStr>(value: &Value) -> anyhow::Result<T> {
    let text = text(value)?;
    text.parse().ok().with_context(|| format!("expected a number, not {text:?}"))
}

/// A number of bytes: `1048576`, `1m`, `1MB`, `1g`. Units count in 1024s.
pub(crate) fn bytes(value: &Value) -> anyhow::Result<u64> {
    let text = text(value)?;
    let (count, unit) = split(&text).with_context(|| format!("expected bytes like 16m, not {text:?}"))?;
    let factor = match unit.to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => bail!("unknown unit in {text:?}: use k, m or g"),
    };
    Ok((count * f64::from(factor)) as u64)
}

/// A span: `250ms`, `10s`, `5m`, `2h`; a bare number is in `unit`.
pub(crate) fn span(value: &Value, unit: Duration) -> anyhow::Result<Duration> {
    let text = text(value)?;
    let (count, suffix) = split(&text).with_context(|| format!("expected a span like 10s, not {text:?}"))?;
    let unit = match suffix {
        "" => unit,
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => bail!("unknown unit in {text:?}: use ms, s, m or h"),
    };
    Ok(unit.mul_f64(count))
}

fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_and_spans_have_units() {
        assert_eq!(bytes(&json!("16m")).unwrap(), 16 << 20);
        assert_eq!(bytes(&json!("1.5GB")).unwrap(), 3 << 29);
        assert_eq!(bytes(&json!(77)).unwrap(), 77);
        assert_eq!(span(&json!("250ms"), Duration::ZERO).unwrap(), Duration::from_millis(250));
        assert_eq!(span(&json!(30), Duration::from_secs(1)).unwrap(), Duration::from_secs(30));
        assert!(
            flag(&json!(true)).unwrap() && !flag(&json!("false")).unwrap() && flag(&json!("yes")).is_err()
        );
        assert_eq!(list(&json!(["a", "b:1"])).unwrap(), list(&json!("a, b:1,")).unwrap());
        assert!(path(&json!("a/b")).is_ok() && path(&json!("/a")).is_err() && path(&json!("")).is_err());
        assert!(bytes(&json!("many")).is_err() && span(&json!("3 weeks"), Duration::ZERO).is_err());
    }
}
