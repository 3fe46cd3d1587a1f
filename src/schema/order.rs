//! A fixed order of keys for schemas that were Lua tables, which have none.
//!
//! Models write the members of an object in the order of `properties`, and providers cache requests
//! by their first bytes: both want the same schema to be the same text in every process.

use serde_json::{Map, Value};

/// Sorts all keys by name, and `properties` by `required` first: that list has an order.
pub fn settle_order(schema: &mut Value) {
    schema.sort_all_objects();
    required_first(schema);
}

fn required_first(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(required_first),
        Value::Object(members) => {
            members.values_mut().for_each(required_first);
            let wanted = members.get("required").cloned().unwrap_or_default();
            if let (Value::Array(wanted), Some(Value::Object(properties))) =
                (wanted, members.get_mut("properties"))
            {
                bring_forward(properties, &wanted);
            }
        }
        _ => {}
    }
}

fn bring_forward(properties: &mut Map<String, Value>, wanted: &[Value]) {
    let mut rest = std::mem::take(properties);
    for name in wanted.iter().filter_map(Value::as_str) {
        if let Some(property) = rest.shift_remove(name) {
            properties.insert(name.to_owned(), property);
        }
    }
    properties.append(&mut rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn required_properties_come_first_in_their_order() {
        let mut schema = json!({
            "type": "object",
            "required": ["name", "country"],
            "properties": {"sights": {}, "country": {"b": 1, "a": 2}, "age": {}, "name": {}},
        });
        settle_order(&mut schema);
        let text = schema.to_string();
        let expected = r#"{"properties":{"name":{},"country":{"a":2,"b":1},"age":{},"sights":{}},"#;
        assert!(text.starts_with(expected), "{text}");
    }
}
