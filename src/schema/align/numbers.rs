//! Numbers as people write them: `1,234.5`, `$12`, `50%`, `1/2`.

use serde_json::{Number, Value};

/// A number a program would write as a string.
pub fn plain(text: &str) -> Option<Value> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let looks = digits.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    if !looks {
        return None;
    }
    value(digits)
}

fn value(digits: &str) -> Option<Value> {
    if let Ok(int) = digits.parse::<i64>() {
        return Some(int.into());
    }
    let float: f64 = digits.parse().ok()?;
    from_float(float)
}

fn from_float(float: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() < EXACT {
        return Some((float as i64).into());
    }
    Number::from_f64(float).map(Value::Number)
}

/// A text that is a number with decoration: quotes, signs of currency, per cent, separators.
pub fn decorated(text: &str) -> Option<Value> {
    let wrapping = |c: char| c.is_whitespace() || "\"'`*_.,;:!?()[]".contains(c);
    let text = text.trim_end_matches(wrapping).trim_start_matches(|c| c != '.' && wrapping(c));
    let mark = |c: char| "$€£¥₹%~≈".contains(c) || c.is_whitespace();
    let (negative, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.trim_matches(mark);
    let number = fraction(digits).or_else(|| separated(digits))?;
    if !negative {
        return Some(number);
    }
    match number.as_i64() {
        Some(int) => Some((-int).into()),
        None => from_float(-number.as_f64()?),
    }
}

fn fraction(text: &str) -> Option<Value> {
    let (above, below) = text.split_once('/')?;
    let (above, below) = (separated(above.trim())?.as_f64()?, separated(below.trim())?.as_f64()?);
    if below == 0.0 { None } else { from_float(above / below) }
}

/// Digits with separators of thousands. Where dots and commas both stand, the last one divides.
fn separated(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !text.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let (dot, comma) = (text.rfind('.'), text.rfind(','));
    let plain: String = match (dot, comma) {
        (Some(dot), Some(comma)) if comma > dot => text.replace('.', "").replace(',', "."),
        (None, Some(_)) if !groups(text, ',') => return None,
        (Some(_), None) if text.matches('.').count() > 1 => match groups(text, '.') {
            true => text.replace('.', ""),
            false => return None,
        },
        _ => text.replace([',', '_'], ""),
    };
    value(&plain)
}

/// Whether a separator stands before groups of three (two, in India) digits.
fn groups(text: &str, mark: char) -> bool {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default();
    let whole = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    (1..=3).contains(&first.len())
        && whole(first)
        && parts.all(|part| whole(part) && (2..=3).contains(&part.len()))
}

/// The one number in a text; none if there are several different ones.
pub fn among_words(text: &str) -> Option<Value> {
    let mut found: Option<Value> = None;
    for word in text.split_whitespace() {
        if !word.contains(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let Some(number) = decorated(word) else { continue };
        match &found {
            Some(before) if *before != number => return None,
            _ => found = Some(number),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_programs_are_read() {
        for (text, number) in
            [("1", json!(1)), (" 2.5 ", json!(2.5)), ("-3e2", json!(-300)), ("+4", json!(4))]
        {
            assert_eq!(plain(text), Some(number), "{text}");
        }
        for text in ["", "x", "1,2", "0x10", "inf", "NaN", "1 2", ".", "-"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_people_are_read() {
        for (text, number) in [
            ("1,234.5", json!(1234.5)),
            ("1.234,5", json!(1234.5)),
            ("$1,000", json!(1000)),
            ("-$5.50", json!(-5.5)),
            ("12 €", json!(12)),
            ("50%", json!(50)),
            ("1/4", json!(0.25)),
            ("7.", json!(7)),
            ("\"42\"", json!(42)),
            ("1.234.567", json!(1_234_567)),
            (".5", json!(0.5)),
            ("**9**", json!(9)),
        ] {
            assert_eq!(decorated(text), Some(number), "{text}");
        }
        for text in ["1,2", "a1", "1/0", "12 apples", "1-2", "2024-01-01", "1.2.3", "%"] {
            assert_eq!(decorated(text), None, "{text}");
        }
    }

    #[test]
    fn the_only_number_among_words_is_meant() {
        assert_eq!(among_words("The answer is 42."), Some(json!(42)));
        assert_eq!(among_words("about $1,200 (or $1,200)"), Some(json!(1200)));
        assert_eq!(among_words("2 or 3"), None);
        assert_eq!(among_words("none"), None);
    }
}
