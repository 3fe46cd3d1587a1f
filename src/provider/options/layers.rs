//! Options of several levels, laid over each other; and as infos show them.

use serde_json::{Map, Value};

use crate::provider::secret::masked;
use crate::provider::without_userinfo;

/// Lays option maps over each other, later ones on top. Tables merge deeply, null unsets.
pub fn lay<'a>(layers: impl IntoIterator<Item = &'a Map<String, Value>>) -> Map<String, Value> {
    let (mut all, mut headers) = (Map::new(), Map::new());
    for layer in layers {
        merge(&mut all, layer);
        lay_headers(&mut headers, layer.get("headers"));
    }
    if !headers.is_empty() {
        all.insert("headers".into(), headers.into());
    }
    all
}

/// The names of headers are the same in any case. A null stays: it also takes out a header that
/// this module would send.
fn lay_headers(all: &mut Map<String, Value>, over: Option<&Value>) {
    match over {
        Some(Value::Null) => all.clear(),
        Some(Value::Object(over)) => over.iter().for_each(|(name, value)| {
            take_header(all, name);
            all.insert(name.clone(), value.clone());
        }),
        _ => {}
    }
}

/// Merges `over` into `base`.
pub fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    const DEEP: [&str; 5] = ["extra", "retry", "rate_limit", "memory", "prices"];
    // Two ways to say one thing: the nearer one wins. The delays of `retry` stay.
    if over.contains_key("retry") && !over.contains_key("max_retries") {
        base.shift_remove("max_retries");
    }
    if over.contains_key("max_retries") && base.get("retry").is_some_and(Value::is_boolean) {
        base.shift_remove("retry");
    }
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) if key == "headers" => {
                merge_headers(old, new)
            }
            (_, Value::Null) => drop(base.shift_remove(key)),
            (Some(Value::Object(old)), Value::Object(new)) if DEEP.contains(&key.as_str()) => {
                merge(old, new)
            }
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

/// As a configuration is changed: null takes a header out of it.
fn merge_headers(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        let known = take_header(base, name);
        if !value.is_null() || !known {
            base.insert(name.clone(), value.clone());
        }
    }
}

/// Takes a header out, in any case of its name; whether it was there.
fn take_header(headers: &mut Map<String, Value>, name: &str) -> bool {
    let known = headers.len();
    headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
    headers.len() < known
}

/// Options as infos show them: headers and the user part of a proxy may be secrets.
pub fn shown(options: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = options.clone();
    if let Some(Value::Object(headers)) = shown.get_mut("headers") {
        headers.retain(|_, value| !value.is_null());
        headers.values_mut().for_each(|value| *value = Value::from("***"));
    }
    if let Some(Value::String(proxy)) = shown.get_mut("proxy") {
        *proxy = without_userinfo(proxy);
    }
    if let Some(extra) = shown.get_mut("extra") {
        *extra = masked("extra", extra);
    }
    shown
}

/// Options as they may lie anywhere: without headers, the user part of a proxy and texts that are
/// secrets.
pub fn portable(options: &Map<String, Value>) -> Map<String, Value> {
    let mut open = shown(options);
    open.shift_remove("headers");
    open.shift_remove("api_key");
    if let (Some(extra), Some(masked)) = (options.get("extra"), open.get_mut("extra")) {
        without_masks(masked, extra);
    }
    open
}

/// Takes out of the copy what differs from the original.
fn without_masks(copy: &mut Value, original: &Value) {
    match (copy, original) {
        (Value::Object(copy), Value::Object(original)) => copy.retain(|name, value| {
            let Some(known) = original.get(name) else { return false };
            if value != known && value.is_string() {
                return false;
            }
            without_masks(value, known);
            true
        }),
        (Value::Array(copy), Value::Array(original)) => {
            copy.iter_mut()
                .zip(original)
                .for_each(|(copy, original)| without_masks(copy, original));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_nearest_layer_wins_and_null_unsets() {
        let provider = map(json!({"temperature": 1, "headers": {"a": "1"}, "timeout_ms": 5}));
        let call = map(json!({"temperature": 0, "headers": {"b": "2"}, "timeout_ms": null}));
        let all = lay([&provider, &call]);
        assert_eq!(Value::Object(all), json!({"temperature": 0, "headers": {"a": "1", "b": "2"}}));
    }

    #[test]
    fn headers_are_the_same_in_any_case_and_null_is_remembered() {
        let far = map(json!({"headers": {"X-A": "1", "X-B": "1"}}));
        let near = map(json!({"headers": {"x-a": "2", "X-b": null}}));
        let all = lay([&far, &near]);
        assert_eq!(all["headers"], json!({"x-a": "2", "X-b": null}));
        assert_eq!(lay([&all, &map(json!({"headers": null}))]).get("headers"), None);
        let mut configured = far;
        merge(&mut configured, &near);
        assert_eq!(configured["headers"], json!({"x-a": "2"}));
        merge(&mut configured, &map(json!({"headers": {"Authorization": null}})));
        assert_eq!(configured["headers"], json!({"x-a": "2", "Authorization": null}));
    }
}
