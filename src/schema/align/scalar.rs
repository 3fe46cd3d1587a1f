//! Values that hold no others.

use serde_json::Value;

use super::parts::Parts;
use super::words::{self, Choice};
use super::{Fit, Rules, numbers};

/// Costs of reading one kind of value as another.
const WORD: u32 = 1;
const OTHER_KIND: u32 = 2;
const AMONG_WORDS: u32 = 4;

pub fn null(value: &Value, rules: Rules) -> Option<Fit> {
    match value {
        Value::Null => Some(Fit::same(Value::Null)),
        Value::String(text) if rules.free => {
            let word = text.trim().trim_end_matches('.');
            let meant = ["null", "none", "nil", "n/a"].iter().any(|w| word.eq_ignore_ascii_case(w));
            meant.then(|| Fit::changed(Value::Null, OTHER_KIND))
        }
        _ => None,
    }
}

pub fn boolean(value: &Value, rules: Rules) -> Option<Fit> {
    let cost = |found: Option<bool>, cost| found.map(|b| Fit::changed(b.into(), cost));
    match value {
        Value::Bool(_) => Some(Fit::same(value.clone())),
        Value::Number(n) if n.as_f64() == Some(1.0) => cost(Some(true), WORD),
        Value::Number(n) if n.as_f64() == Some(0.0) => cost(Some(false), WORD),
        Value::String(text) => {
            let among = || words::boolean_among_words(text).filter(|_| rules.free);
            cost(words::boolean(text), WORD).or_else(|| cost(among(), AMONG_WORDS))
        }
        _ => None,
    }
}

pub fn number(value: &Value, rules: Rules, integer: bool) -> Option<Fit> {
    let fits = |n: &Value| !integer || n.is_i64() || n.is_u64() || is_whole(n);
    match value {
        Value::Number(_) => fits(value).then(|| Fit::same(value.clone())),
        Value::String(text) => {
            let found = from_text(text, rules)?;
            Some(found).filter(|fit| fits(&fit.value))
        }
        _ => None,
    }
}

fn is_whole(number: &Value) -> bool {
    number.as_f64().is_some_and(|n| n.fract() == 0.0)
}

fn from_text(text: &str, rules: Rules) -> Option<Fit> {
    let cost = |found: Option<Value>, cost| found.map(|n| Fit::changed(n, cost));
    let plain = cost(numbers::plain(text), WORD);
    if !rules.free {
        return plain;
    }
    plain
        .or_else(|| cost(numbers::decorated(text), OTHER_KIND))
        .or_else(|| cost(numbers::among_words(text), AMONG_WORDS))
}

pub fn string(value: &Value, rules: Rules) -> Option<Fit> {
    match value {
        Value::String(text) if rules.trim && text.trim().len() < text.len() => {
            Some(Fit::changed(text.trim().into(), WORD))
        }
        Value::String(_) => Some(Fit::same(value.clone())),
        Value::Number(_) | Value::Bool(_) => {
            Some(Fit::changed(value.to_string().into(), OTHER_KIND))
        }
        Value::Array(_) | Value::Object(_) if rules.free => {
            Some(Fit::changed(value.to_string().into(), AMONG_WORDS))
        }
        _ => None,
    }
}

/// The listed value that is meant.
pub fn listed(parts: &Parts<'_>, options: &[Value], value: &Value, rules: Rules) -> Option<Fit> {
    if let Some(same) = options.iter().find(|option| equal(option, value)) {
        return Some(Fit::same((*same).clone()));
    }
    match value {
        Value::String(text) => {
            by_name(parts, options, text, rules).or_else(|| by_kind(options, value, rules))
        }
        // Of several, the first was thought of first.
        Value::Array(items) if rules.free => {
            let mut fits = items.iter().filter_map(|item| listed(parts, options, item, rules));
            let cost = if items.len() == 1 { OTHER_KIND } else { AMONG_WORDS };
            fits.next().map(|fit| Fit::changed(fit.value, fit.cost + cost))
        }
        Value::Number(_) | Value::Bool(_) => by_kind(options, value, rules),
        _ => None,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    a == b || a.is_number() && b.is_number() && a.as_f64() == b.as_f64()
}

/// By a name in other spelling, an alias, or a description.
fn by_name(parts: &Parts<'_>, options: &[Value], text: &str, rules: Rules) -> Option<Fit> {
    let texts: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
    if !rules.free {
        let trimmed = text.trim();
        return texts.contains(&trimmed).then(|| Fit::changed(trimmed.into(), WORD));
    }
    let named = |keyword: &str, text: &str| {
        parts.get(keyword).and_then(|names| names.get(text)).and_then(Value::as_str)
    };
    let alias = parts.get("x-alias").and_then(Value::as_str).filter(|_| texts.len() == 1);
    let names = texts.iter().copied().map(|text| {
        let also = [named("x-enum-alias", text), alias, named("x-enum-description", text)];
        Choice { names: std::iter::once(text).chain(also.into_iter().flatten()).collect() }
    });
    let choices: Vec<Choice<'_>> = names.collect();
    let (at, cost) = words::choose(&choices, text)?;
    Some(Fit::changed((*texts.get(at)?).into(), cost))
}

/// As the kind that the options are of.
fn by_kind(options: &[Value], value: &Value, rules: Rules) -> Option<Fit> {
    options.iter().find_map(|option| {
        let fit = match option {
            Value::Number(_) => number(value, rules, false),
            Value::Bool(_) => boolean(value, rules),
            Value::String(_) => string(value, rules),
            Value::Null => null(value, rules),
            _ => None,
        };
        fit.filter(|fit| equal(option, &fit.value)).map(|fit| Fit { value: option.clone(), ..fit })
    })
}

/// Whether the limits that stand beside the type hold.
pub fn holds(parts: &Parts<'_>, value: &Value) -> bool {
    let limit = |keyword: &'static str| {
        parts.all(keyword).filter_map(|(_, limit)| limit.as_f64()).collect::<Vec<f64>>()
    };
    let least = |size: f64, keyword| limit(keyword).iter().all(|limit| size >= *limit);
    let most = |size: f64, keyword| limit(keyword).iter().all(|limit| size <= *limit);
    match value {
        Value::Number(n) => {
            let n = n.as_f64().unwrap_or_default();
            least(n, "minimum")
                && most(n, "maximum")
                && limit("exclusiveMinimum").iter().all(|limit| n > *limit)
                && limit("exclusiveMaximum").iter().all(|limit| n < *limit)
        }
        Value::String(text) if parts.get("minLength").or(parts.get("maxLength")).is_some() => {
            let length = text.chars().count() as f64;
            least(length, "minLength") && most(length, "maxLength")
        }
        Value::Array(items) => {
            least(items.len() as f64, "minItems") && most(items.len() as f64, "maxItems")
        }
        _ => true,
    }
}
