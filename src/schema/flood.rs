//! Schemas that are small and yet ask for endless checks: references that fan out. Two in each of
//! forty schemas, each to the next one, are a million million checks of one value.
//!
//! Only what is asked of the same value is counted. What a schema asks of the values inside a value
//! has an end with them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::keywords::{children, local, uses};

/// More than any schema that means something asks of one value.
const MOST: u64 = 1_000_000;

/// Steps of counting: enough for every chain of references that is not made to hide a flood.
const PATIENCE: usize = 10_000_000;

const LISTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const ONES: [&str; 4] = ["not", "if", "then", "else"];
const NAMED: [&str; 2] = ["dependentSchemas", "dependencies"];

/// A schema, by where it lies.
type Id = *const Value;

/// Whether a schema asks for more checks of one value than it may.
pub fn floods(root: &Value) -> bool {
    if !uses(root, "$ref") {
        return false;
    }
    let mut asks = HashMap::new();
    gather(root, root, &mut asks);
    counted(&asks) > MOST
}

/// What each schema in the document asks of the same value.
fn gather(root: &Value, schema: &Value, asks: &mut HashMap<Id, Vec<Id>>) {
    let Value::Object(members) = schema else { return };
    asks.insert(schema, same_value(root, members));
    children(members, |_, child| gather(root, child, asks));
}

fn same_value(root: &Value, members: &Map<String, Value>) -> Vec<Id> {
    let list = |key: &&str| members.get(*key).and_then(Value::as_array);
    let lists = LISTS.iter().filter_map(list).flatten();
    let ones = ONES.iter().filter_map(|key| members.get(*key));
    let named = NAMED.iter().filter_map(|key| members.get(*key)?.as_object());
    let target = members.get("$ref").and_then(Value::as_str).and_then(|to| local(root, to));
    let all = lists.chain(ones).chain(named.flat_map(Map::values)).chain(target);
    all.map(|schema| schema as Id).collect()
}

/// The most checks that one of the schemas asks for. Each round sees one step further, until nothing
/// changes.
fn counted(asks: &HashMap<Id, Vec<Id>>) -> u64 {
    let steps: usize = asks.values().map(|to| 1 + to.len()).sum();
    let mut counts: HashMap<Id, u64> = HashMap::new();
    // Without a circle that is as many rounds as there are schemas, at most.
    for _ in 0..asks.len().min(PATIENCE / steps.max(1)).max(64) {
        let mut changed = false;
        for (id, to) in asks {
            let count = to.iter().fold(1, |sum: u64, next| {
                sum.saturating_add(counts.get(next).copied().unwrap_or(1))
            });
            changed |= counts.insert(*id, count) != Some(count);
        }
        let most = counts.values().copied().max().unwrap_or_default();
        if !changed || most > MOST {
            return most;
        }
    }
    // A circle that asks for one more thing each time is none of ours: the validator knows circles.
    counts.values().copied().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Schemas that refer to the next one `wide` times each.
    fn fan(wide: usize, deep: usize) -> Value {
        let mut defs = Map::new();
        for i in 0..deep {
            let next = json!({ "$ref": format!("#/$defs/a{}", i + 1) });
            defs.insert(format!("a{i}"), json!({ "allOf": vec![next; wide] }));
        }
        defs.insert(format!("a{deep}"), json!({ "type": "string" }));
        json!({ "$ref": "#/$defs/a0", "$defs": defs })
    }

    #[test]
    fn references_that_fan_out_are_counted() {
        assert!(floods(&fan(2, 40)));
        assert!(floods(&fan(10, 30)));
        assert!(!floods(&fan(2, 10)));
        assert!(!floods(&fan(1, 2000)));
        assert!(floods(&json!({ "properties": { "a": { "items": fan(3, 30) } },
            "$defs": fan(3, 30)["$defs"] })));
    }

    #[test]
    fn schemas_that_describe_themselves_are_none() {
        let tree = json!({ "type": "object", "properties": {
            "left": { "$ref": "#" }, "right": { "anyOf": [{ "$ref": "#" }, { "type": "null" }] } } });
        assert!(!floods(&tree));
        assert!(!floods(&json!({ "$ref": "#/$defs/a", "$defs": {
            "a": { "anyOf": [{ "$ref": "#/$defs/b" }, { "type": "string" }] },
            "b": { "not": { "$ref": "#/$defs/c" } }, "c": { "minLength": 1 } } })));
    }
}
