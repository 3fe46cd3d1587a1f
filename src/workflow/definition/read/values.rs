//! Values that are made later, conditions, and small tables.

use super::super::given::{Given, inner};
use super::super::*;
use super::Reader;
use crate::shape::shown;
use crate::value::Ref;
use crate::value::tape::Kind as Tag;
use crate::workflow::template::is_template;

impl Reader<'_> {
    pub fn made(&mut self, given: &Given<'_>, field: &str, place: &str) -> Option<Made> {
        let value = given.get(field)?;
        if value.kind() == Tag::Function {
            return value.as_slot().cloned().map(Made::Called);
        }
        let value = value.to_json();
        if !has_templates(&value) {
            return Some(Made::Plain(value));
        }
        let made = Made::Filled(value);
        for (at, template) in made.templates() {
            if let Err(why) = template {
                self.wrong(format!("{}{at}", inner(place, field)), why, Flaw::BadTemplate);
            }
        }
        Some(made)
    }

    /// An array, or what will be one.
    pub fn made_list(&mut self, given: &Given<'_>, field: &str, place: &str) -> Option<Made> {
        let value = given.get(field)?;
        let fits = match value.kind() {
            Tag::Empty => return Some(Made::Plain(Value::Array(Vec::new()))),
            Tag::Array | Tag::Function => true,
            Tag::Str => value.as_str().is_some_and(is_template),
            _ => false,
        };
        if !fits {
            let message =
                format!("expected an array, a template or a function, got {}", shown(value));
            self.wrong(inner(place, field), message, Flaw::InvalidValue);
        }
        self.made(given, field, place)
    }

    pub fn test(&mut self, given: &Given<'_>, field: &str, place: &str) -> Option<Test> {
        let value = given.get(field)?;
        if value.kind() == Tag::Function {
            return value.as_slot().cloned().map(Test::Called);
        }
        match Condition::parse(value.as_str().unwrap_or_default()) {
            Ok(condition) => Some(Test::Says(Box::new(condition))),
            Err(why) => {
                let message = format!("{}: {why}", shown(value));
                self.wrong(inner(place, field), message, Flaw::BadCondition);
                None
            }
        }
    }
}

pub fn wide(given: &Given<'_>) -> Wide {
    Wide {
        max_concurrency: given.count("max_concurrency").map_or(8, |n| n as usize),
        fail_fast: given.bool("fail_fast") != Some(false),
    }
}

pub fn retry(given: &Given<'_>) -> Retry {
    let retry = given.get("retry");
    let number = |name: &str| retry?.get(name)?.as_f64();
    let usual = Retry::default();
    let short = given.number("retry_count").map(|n| n + 1.0);
    let delay = given.number("retry_delay_ms");
    Retry {
        max_attempts: number("max_attempts").or(short).map_or(1, |n| n as u32),
        backoff_ms: number("backoff_ms").or(delay).unwrap_or(usual.backoff_ms),
        multiplier: number("backoff_multiplier").unwrap_or(usual.multiplier),
    }
}

pub fn object(given: Option<Ref<'_>>) -> Map<String, Value> {
    match given.map(Ref::to_json) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

pub fn texts(given: Option<Ref<'_>>) -> Vec<String> {
    given.map(|list| list.items().map(Ref::to_text).collect()).unwrap_or_default()
}

fn has_templates(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_templates),
        Value::Object(members) => members.values().any(has_templates),
        _ => false,
    }
}
