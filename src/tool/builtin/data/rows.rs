//! Rows kept, ordered, cut and summed up.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::super::calculator::Number;
use super::super::count;
use super::{at, parse_path, text, trouble};
use crate::error::{Result, quoted};
use crate::value::path::Path;

pub const OPERATORS: [&str; 8] = ["=", "!=", "<", "<=", ">", ">=", "contains", "exists"];
pub const AGGREGATES: [&str; 5] = ["count", "sum", "avg", "min", "max"];

/// What is done with an array; without any of it the value may be anything.
pub fn process(value: Value, input: &Value) -> Result<Value> {
    let asked = ["where", "sort_by", "offset", "limit", "select", "aggregate"];
    if asked.iter().all(|name| input.get(name).is_none_or(Value::is_null)) {
        return Ok(value);
    }
    let Value::Array(mut rows) = value else {
        return Err(trouble("expected an array of rows here; `path` leads to one"));
    };
    keep(&mut rows, input)?;
    sort(&mut rows, input)?;
    let limit = count(input, "limit").map_or(usize::MAX, |n| n as usize);
    let rows: Vec<Value> =
        rows.into_iter().skip(count(input, "offset").unwrap_or(0) as usize).take(limit).collect();
    let rows = select(rows, input)?;
    match text(input, "aggregate") {
        Some(name) => aggregate(&rows, name, input),
        None => Ok(Value::Array(rows)),
    }
}

struct Condition<'v> {
    field: Path,
    operator: &'v str,
    value: &'v Value,
}

fn keep(rows: &mut Vec<Value>, input: &Value) -> Result<()> {
    let given = input.get("where").and_then(Value::as_array);
    let conditions = given.into_iter().flatten().map(condition).collect::<Result<Vec<_>>>()?;
    rows.retain(|row| conditions.iter().all(|condition| condition.holds(row)));
    Ok(())
}

fn condition(given: &Value) -> Result<Condition<'_>> {
    let operator = text(given, "op").unwrap_or("=");
    if !OPERATORS.contains(&operator) {
        return Err(trouble(format!("where: op is one of {}", OPERATORS.join(" "))));
    }
    let field = text(given, "field").ok_or_else(|| trouble("where: expected a field"))?;
    let value = given.get("value").unwrap_or(&Value::Null);
    Ok(Condition { field: parse_path(field, "where")?, operator, value })
}

impl Condition<'_> {
    fn holds(&self, row: &Value) -> bool {
        let found = at(row, &self.field).filter(|value| !value.is_null());
        let Some(found) = found else {
            return self.operator == "!=" && !self.value.is_null()
                || self.operator == "=" && self.value.is_null();
        };
        let order = || compare(found, self.value).filter(|_| is_like(found, self.value));
        match self.operator {
            "exists" => true,
            "contains" => contains(found, self.value),
            "=" => is_equal(found, self.value),
            "!=" => !is_equal(found, self.value),
            "<" => order() == Some(Ordering::Less),
            ">" => order() == Some(Ordering::Greater),
            "<=" => order().is_some_and(Ordering::is_le),
            _ => order().is_some_and(Ordering::is_ge),
        }
    }
}

fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| is_equal(item, part)),
        (Value::Object(members), Value::String(name)) => members.contains_key(name),
        _ => false,
    }
}

fn is_equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

fn is_like(a: &Value, b: &Value) -> bool {
    rank(a) == rank(b)
}

/// Numbers, texts and booleans among themselves; what is neither has no order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => Some(rank(a).cmp(&rank(b))),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) | Value::Object(_) => 3,
        Value::Null => 4,
    }
}

/// Rows without the field come last, in either direction.
fn sort(rows: &mut [Value], input: &Value) -> Result<()> {
    let Some(field) = text(input, "sort_by") else { return Ok(()) };
    let field = parse_path(field, "sort_by")?;
    let descending = input.get("descending").and_then(Value::as_bool) == Some(true);
    let key = |row: &Value| at(row, &field).filter(|value| !value.is_null()).cloned();
    rows.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) => {
            let order = compare(&a, &b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    Ok(())
}

fn select(rows: Vec<Value>, input: &Value) -> Result<Vec<Value>> {
    let Some(fields) = input.get("select").and_then(Value::as_array) else { return Ok(rows) };
    let names = fields.iter().filter_map(Value::as_str);
    let fields: Vec<(&str, Path)> =
        names.map(|name| Ok((name, parse_path(name, "select")?))).collect::<Result<_>>()?;
    let narrow = |row: &Value| {
        let found = fields
            .iter()
            .filter_map(|(name, path)| Some(((*name).to_owned(), at(row, path)?.clone())));
        Value::Object(found.collect::<Map<_, _>>())
    };
    Ok(rows.iter().map(narrow).collect())
}

/// Of one field of the rows, or of the rows themselves. What is absent or null does not count.
fn aggregate(rows: &[Value], name: &str, input: &Value) -> Result<Value> {
    let field = text(input, "field").map(|field| parse_path(field, "field")).transpose()?;
    let of = |row| field.as_ref().map_or(Some(row), |field| at(row, field));
    let values: Vec<&Value> = rows.iter().filter_map(of).filter(|v| !v.is_null()).collect();
    match name {
        "count" => Ok(values.len().into()),
        "sum" => sum(&values).map(Number::to_json),
        "avg" if values.is_empty() => Err(trouble("aggregate: there is nothing to average")),
        "avg" => {
            let mean = sum(&values)?.over(Number::Int(values.len() as i64));
            mean.map(Number::to_json).map_err(trouble)
        }
        _ => {
            let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
            let better = |a: &Value, b: &Value| compare(b, a) == Some(wanted);
            let best = values.into_iter().reduce(|a, b| if better(a, b) { b } else { a });
            Ok(best.cloned().unwrap_or_default())
        }
    }
}

fn sum(values: &[&Value]) -> Result<Number> {
    values.iter().enumerate().try_fold(Number::Int(0), |sum, (i, value)| {
        let number = match (value.as_i64(), value.as_f64()) {
            (Some(n), _) => Number::Int(n),
            (None, Some(x)) => Number::Float(x),
            _ => {
                let shown = quoted(&value.to_string());
                return Err(trouble(format!("aggregate: value {} is no number: {shown}", i + 1)));
            }
        };
        sum.plus(number).map_err(trouble)
    })
}
