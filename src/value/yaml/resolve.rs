//! The type of a scalar, by the core schema of YAML 1.2.

use saphyr_parser::Tag;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// The value of a scalar; `None` if it is not what its tag says.
pub fn resolve(text: &str, plain: bool, tag: Option<&Tag>) -> Option<Scalar> {
    let free = if plain { typed(text) } else { Scalar::Text };
    let Some(tag) = tag else { return Some(free) };
    if tag.handle.is_empty() && tag.suffix == "!" {
        return Some(Scalar::Text);
    }
    if !tag.is_yaml_core_schema() {
        return Some(free);
    }
    let typed = typed(text);
    match (tag.suffix.as_str(), typed) {
        ("str" | "binary" | "timestamp", _) => Some(Scalar::Text),
        ("null", Scalar::Null)
        | ("bool", Scalar::Bool(_))
        | ("int", Scalar::Int(_))
        | ("float", Scalar::Float(_)) => Some(typed),
        ("int", Scalar::Float(value)) if is_integer(text) => Some(Scalar::Float(value)),
        ("float", Scalar::Int(value)) => Some(Scalar::Float(value as f64)),
        ("null" | "bool" | "int" | "float", _) => None,
        _ => Some(free),
    }
}

/// What a plain scalar is.
pub fn typed(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ => number(text).unwrap_or(Scalar::Text),
    }
}

fn number(text: &str) -> Option<Scalar> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if is_integer(text) {
        return Some(decimal(text));
    }
    special(text).or_else(|| is_float(text).then(|| text.parse().ok().map(Scalar::Float))?)
}

fn radix(digits: &str, radix: u32) -> Option<Scalar> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let float = || {
        let value = digits.chars().filter_map(|c| c.to_digit(radix));
        Scalar::Float(value.fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)))
    };
    Some(i64::from_str_radix(digits, radix).map_or_else(|_| float(), Scalar::Int))
}

fn decimal(text: &str) -> Scalar {
    text.parse().map_or_else(|_| Scalar::Float(text.parse().unwrap_or_default()), Scalar::Int)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn special(text: &str) -> Option<Scalar> {
    let (sign, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (1.0, text),
    };
    match rest {
        ".inf" | ".Inf" | ".INF" => Some(Scalar::Float(sign * f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if rest == text => Some(Scalar::Float(f64::NAN)),
        _ => None,
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !(whole.is_empty() && fraction.is_empty());
    has_digits && digits(whole) && digits(fraction) && exponent.is_none_or(is_integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_typed_by_the_core_schema() {
        for (text, value) in [
            ("~", Scalar::Null),
            ("TRUE", Scalar::Bool(true)),
            ("-12", Scalar::Int(-12)),
            ("+7", Scalar::Int(7)),
            ("007", Scalar::Int(7)),
            ("0o17", Scalar::Int(15)),
            ("0xff", Scalar::Int(255)),
            ("9223372036854775808", Scalar::Float(9_223_372_036_854_775_808.0)),
            (".5", Scalar::Float(0.5)),
            ("1.", Scalar::Float(1.0)),
            ("1e3", Scalar::Float(1000.0)),
            ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
        for text in [
            "no",
            "yes",
            "on",
            "nULL",
            ".",
            "-",
            "+",
            "e3",
            "1e",
            "1_000",
            "0x",
            "0b1",
            "0o8",
            "2026-11-22",
            "12:30",
            "-0x1",
            "+.nan",
            "1.2.3",
            "inf",
            "nan",
            "Infinity",
        ] {
            assert_eq!(typed(text), Scalar::Text, "{text}");
        }
    }
}
