//! Whether a condition holds for the values of its holes.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Node, Operand};
use crate::sandbox::pattern::{Search, Trouble};

/// Rounds of the matcher, each of some thousand steps.
const PATIENCE: u32 = 1000;

pub(super) struct Judge<'v> {
    pub values: &'v [Option<Value>],
    pub matches: &'v dyn Fn(&str, &str) -> Result<bool, String>,
}

impl Judge<'_> {
    pub fn holds(&self, node: &Node) -> Result<bool, String> {
        match node {
            Node::Any(nodes) => self.some(nodes, true),
            Node::All(nodes) => self.some(nodes, false).map(|found| !found),
            Node::Not(node) => self.holds(node).map(|holds| !holds),
            Node::Is(operand) => {
                Ok(!matches!(self.value(operand), Value::Null | Value::Bool(false)))
            }
            Node::Compare(left, how, right) => {
                self.compare(self.value(left), *how, self.value(right))
            }
        }
    }

    /// Whether there is one with that answer; what comes behind it is not looked at.
    fn some(&self, nodes: &[Node], answer: bool) -> Result<bool, String> {
        for node in nodes {
            if self.holds(node)? == answer {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn value<'a>(&'a self, operand: &'a Operand) -> &'a Value {
        match operand {
            Operand::Literal(value) => value,
            Operand::Filled(number) => {
                self.values.get(*number).and_then(Option::as_ref).unwrap_or(&Value::Null)
            }
        }
    }

    fn compare(&self, left: &Value, how: Comparison, right: &Value) -> Result<bool, String> {
        match how {
            Comparison::Equal => Ok(equal(left, right)),
            Comparison::Unequal => Ok(!equal(left, right)),
            Comparison::Contains => contains(left, right),
            Comparison::Matches => match (left, right) {
                (Value::String(text), Value::String(pattern)) => (self.matches)(text, pattern),
                _ => Err(format!("matches compares texts, not {} and {}", kind(left), kind(right))),
            },
            _ => order(left, right).map(|order| in_order(how, order)),
        }
    }
}

fn in_order(how: Comparison, order: Option<Ordering>) -> bool {
    match how {
        Comparison::Less => order.is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        Comparison::Greater => order.is_some_and(Ordering::is_gt),
        _ => order.is_some_and(Ordering::is_ge),
    }
}

/// How two numbers are ordered, if one is a number and the other one is or says one.
fn numbers(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    if !left.is_number() && !right.is_number() {
        return None;
    }
    // A float cannot tell integers beyond 2^53 from each other.
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        return Some(Some(left.cmp(&right)));
    }
    Some(number(left)?.partial_cmp(&number(right)?))
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
        value => value.as_f64(),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_inside(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a): (&String, &Value)| b.get(key).is_some_and(|b| equal_inside(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        // An empty table of Lua is both.
        (Value::Array(array), Value::Object(object))
        | (Value::Object(object), Value::Array(array)) => array.is_empty() && object.is_empty(),
        _ => numbers(left, right)
            .map_or_else(|| left == right, |order| order == Some(Ordering::Equal)),
    }
}

/// In tables a text is a text.
fn equal_inside(left: &Value, right: &Value) -> bool {
    left.is_string() == right.is_string() && equal(left, right)
}

fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    if let Some(order) = numbers(left, right) {
        return Ok(order);
    }
    match (left, right) {
        (Value::String(left), Value::String(right)) => Ok(Some(left.cmp(right))),
        _ => Err(format!("{} and {} have no order", kind(left), kind(right))),
    }
}

/// A text in a text, an item in an array, a name in an object.
fn contains(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::String(text), Value::String(part)) => Ok(text.contains(part.as_str())),
        (Value::Array(items), part) => Ok(items.iter().any(|item| equal(item, part))),
        (Value::Object(members), Value::String(name)) => Ok(members.contains_key(name)),
        (Value::Null, _) => Ok(false),
        (Value::Object(members), _) if members.is_empty() => Ok(false),
        _ => Err(format!("{} cannot contain {}", kind(left), kind(right))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

/// Whether a Lua pattern is found in a text, within bounds: a model may have written the text.
pub fn matches(text: &str, pattern: &str) -> Result<bool, String> {
    let mut steps = 0u32;
    let mut meter = || {
        steps += 1;
        steps < PATIENCE
    };
    let mut search = Search::new(text.as_bytes(), pattern.as_bytes(), &mut meter);
    search.find(0).map(|found| found.is_some()).map_err(in_words)
}

fn in_words(trouble: Trouble) -> String {
    match trouble {
        Trouble::Malformed(what) => what.to_owned(),
        Trouble::Stopped | Trouble::TooLarge => "the pattern takes too long".to_owned(),
    }
}
