//! What a provider of the type "mock" says: the user's last text again, in the form that is wanted.
//! The same request has the same answer.

use serde_json::{Map, Value, json};

/// How deep an example goes; schemas may hold themselves.
const DEEPEST: usize = 16;

/// A reply, as scripts write them, to a request as [`crate::provider`] tells it to mocks.
pub fn echo(request: &Value) -> Value {
    let options = &request["options"];
    match demanded(request, &options["tool_choice"]) {
        Some(tool) => json!({ "tool_calls": [called(tool, &last_text(request))] }),
        None => json!({ "content": formed(&options["response_format"], last_text(request)) }),
    }
}

/// What the user said last; without a word of the user's, what was said last at all.
fn last_text(request: &Value) -> String {
    let all = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let of_user = all.iter().rfind(|message| message["role"] == "user");
    of_user.or(all.last()).map_or(String::new(), |message| text_of(&message["content"]))
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// The tool that has to be called; none once there are results.
fn demanded<'r>(request: &'r Value, choice: &Value) -> Option<&'r Value> {
    let last = request["messages"].as_array()?.last()?;
    let tools = request["tools"].as_array()?;
    match (choice["name"].as_str(), choice.as_str()) {
        _ if last["role"] == "tool" => None,
        (Some(name), _) => tools.iter().find(|tool| tool["name"] == name),
        (None, Some("required")) => tools.first(),
        _ => None,
    }
}

fn called(tool: &Value, text: &str) -> Value {
    let arguments = Example { root: &tool["parameters"], text }.of(&tool["parameters"], 0);
    json!({ "name": tool["name"], "arguments": arguments })
}

/// A text that is JSON itself is given as it is where JSON is wanted.
fn formed(format: &Value, text: String) -> String {
    let is_json = || serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object());
    match format {
        Value::Null => text,
        _ if is_json() => text,
        Value::Object(wanted) => {
            let schema = &wanted["schema"];
            Example { root: schema, text: &text }.of(schema, 0).to_string()
        }
        _ => json!({ "echo": text }).to_string(),
    }
}

/// The smallest value that fits a schema, as far as its types, bounds and choices tell.
struct Example<'e> {
    root: &'e Value,
    /// What texts are.
    text: &'e str,
}

impl Example<'_> {
    fn of(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(given) = given(schema) {
            return given.clone();
        }
        match self.elsewhere(schema) {
            Some(other) => self.of(other, depth + 1),
            None => self.typed(schema, kind(schema), depth),
        }
    }

    /// The schema that tells more: one that is referred to, or the first of several.
    fn elsewhere<'s>(&'s self, schema: &'s Value) -> Option<&'s Value> {
        let pointer = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
        let referred = pointer.and_then(|pointer| self.root.pointer(pointer));
        let first = |key: &str| schema[key].as_array().and_then(|all| all.first());
        referred.or_else(|| ["anyOf", "oneOf", "allOf"].into_iter().find_map(first))
    }

    fn typed(&self, schema: &Value, kind: &str, depth: usize) -> Value {
        match kind {
            "object" => self.object(schema, depth).into(),
            "array" => {
                let count = schema["minItems"].as_u64().unwrap_or(0).min(64);
                (0..count).map(|_| self.of(&schema["items"], depth + 1)).collect()
            }
            "string" => self.string(schema).into(),
            "integer" | "number" => number(schema),
            "boolean" => false.into(),
            _ => Value::Null,
        }
    }

    /// With the members that are required; where nothing is, with all.
    fn object(&self, schema: &Value, depth: usize) -> Map<String, Value> {
        let none = Map::new();
        let members = schema["properties"].as_object().unwrap_or(&none);
        let required = schema["required"].as_array();
        let is_wanted = |name: &String| required.is_none_or(|all| all.iter().any(|n| n == name));
        // Members of a Lua table come in any order; an answer is always the same.
        let mut wanted: Vec<_> = members.iter().filter(|(name, _)| is_wanted(name)).collect();
        wanted.sort_by_key(|(name, _)| *name);
        wanted.into_iter().map(|(name, one)| (name.clone(), self.of(one, depth + 1))).collect()
    }

    fn string(&self, schema: &Value) -> String {
        if let Some(usual) = schema["format"].as_str().and_then(of_format) {
            return usual.to_owned();
        }
        let bound = |key: &str| schema[key].as_u64().map(|n| n.min(4096) as usize);
        let most = bound("maxLength").unwrap_or(usize::MAX);
        let text: String = self.text.chars().take(most).collect();
        let missing = bound("minLength").unwrap_or(0).saturating_sub(text.chars().count());
        text + &".".repeat(missing)
    }
}

/// A value that a schema names.
fn given(schema: &Value) -> Option<&Value> {
    let first = |key: &str| schema[key].as_array().and_then(|all| all.first());
    let named = schema.get("const").or_else(|| schema.get("default"));
    named.or_else(|| first("enum")).or_else(|| first("examples"))
}

/// The first type that is not null; without one, what the other keywords are about.
fn kind(schema: &Value) -> &str {
    let listed = |all: &'_ [Value]| -> Option<usize> { all.iter().position(|one| one != "null") };
    match &schema["type"] {
        Value::String(one) => one,
        Value::Array(all) => listed(all).and_then(|at| all[at].as_str()).unwrap_or("null"),
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn of_format(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2000-01-01T00:00:00Z",
        "date" => "2000-01-01",
        "time" => "00:00:00Z",
        "email" => "user@example.com",
        "uri" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => return None,
    })
}

/// The number within the bounds that is nearest to zero.
fn number(schema: &Value) -> Value {
    let bound = |key: &str| schema[key].as_f64();
    let above = bound("exclusiveMinimum").map(|low| low.floor() + 1.0);
    let below = bound("exclusiveMaximum").map(|high| high.ceil() - 1.0);
    let low = bound("minimum").or(above).unwrap_or(f64::MIN);
    let high = bound("maximum").or(below).unwrap_or(f64::MAX);
    let nearest = if low > 0.0 { low } else { 0.0_f64.min(high) };
    if kind(schema) == "integer" { json!(nearest.ceil() as i64) } else { json!(nearest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, options: Value) -> Value {
        let messages = json!([
            {"role": "user", "content": "before"}, {"role": "user", "content": text},
            {"role": "assistant", "content": "no"},
        ]);
        let parameters = json!({"type": "object", "properties": {
            "city": {"type": "string"}, "days": {"type": "integer", "minimum": 1},
        }, "required": ["city", "days"]});
        let tools = json!([{"name": "a"}, {"name": "weather", "parameters": parameters}]);
        echo(&json!({"messages": messages, "tools": tools, "options": options}))
    }

    fn fits(schema: Value) -> Value {
        let format = json!({"response_format": {"name": "n", "schema": schema}});
        let reply = said("hi", format);
        serde_json::from_str(reply["content"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn the_last_words_of_the_user_come_back() {
        assert_eq!(said("hello", json!({})), json!({"content": "hello"}));
        assert_eq!(said("", json!({})), json!({"content": ""}));
        assert_eq!(echo(&json!({})), json!({"content": ""}));
        let parts = json!([{"type": "text", "text": "a"}, {"type": "image"}, {"text": "b"}]);
        let messages = json!([{"role": "system", "content": parts}]);
        assert_eq!(echo(&json!({ "messages": messages })), json!({"content": "a\nb"}));
    }

    #[test]
    fn json_comes_where_json_is_wanted() {
        let json = json!({"response_format": "json"});
        assert_eq!(said("hi", json.clone()), json!({"content": "{\"echo\":\"hi\"}"}));
        assert_eq!(said("{\"a\":1}", json), json!({"content": "{\"a\":1}"}));
    }

    #[test]
    fn examples_fit_their_schemas() {
        let node = json!({"$defs": {"node": {"type": "object", "properties": {
            "name": {"type": ["null", "string"], "maxLength": 1},
            "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        }, "required": ["name"]}}, "$ref": "#/$defs/node"});
        assert_eq!(fits(node), json!({"name": "h"}));
        let all = json!({"type": "object", "properties": {
            "n": {"type": "number", "exclusiveMaximum": -2}, "i": {"type": "integer", "minimum": 3},
            "e": {"enum": ["x", "y"]}, "b": {"type": "boolean"}, "d": {"format": "date"},
            "l": {"type": "array", "items": {"const": 5}, "minItems": 2}, "z": {"type": "null"},
            "s": {"type": "string", "minLength": 4},
        }});
        let expected = json!({"n": -3.0, "i": 3, "e": "x", "b": false, "d": "2000-01-01",
            "l": [5, 5], "z": null, "s": "hi.."});
        assert_eq!(fits(all), expected);
    }

    #[test]
    fn a_schema_without_an_end_has_an_example() {
        let own = json!({"type": "object", "properties": {"more": {"$ref": "#"}}});
        assert!(fits(own)["more"]["more"].is_object());
    }

    #[test]
    fn a_call_that_is_demanded_is_made_once() {
        let arguments = json!({"city": "Rome", "days": 1});
        let call = json!({"tool_calls": [{"name": "weather", "arguments": arguments}]});
        assert_eq!(said("Rome", json!({"tool_choice": {"name": "weather"}})), call);
        let first = said("Rome", json!({"tool_choice": "required"}));
        assert_eq!(first["tool_calls"][0]["name"], "a");
        assert_eq!(said("Rome", json!({"tool_choice": "auto"})), json!({"content": "Rome"}));
        let messages = json!([{"role": "user", "content": "q"}, {"role": "tool", "content": "r"}]);
        let after = json!({"messages": messages, "tools": [{"name": "a"}],
            "options": {"tool_choice": "required"}});
        assert_eq!(echo(&after), json!({"content": "q"}));
    }
}
