use serde_json::{Value, json};

use super::*;
use crate::schema::Schema;

fn read(schema: &Value, value: Value, rules: Rules) -> Option<Value> {
    let schema = Schema::compile(schema).unwrap();
    align(&schema, &value, rules).ok().map(|fit| fit.value)
}

#[test]
fn coercion_knows_the_kinds_programs_mix_up() {
    let schema = json!({"type": "object", "properties": {
        "age": {"type": "integer"}, "name": {"type": "string"}, "ok": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}}, "at": {"type": "object",
            "properties": {"x": {"type": "number"}}}, "unit": {"type": "string", "default": "C"}}});
    let value = json!({"age": " 12 ", "name": 7, "ok": "Yes", "tags": "a", "at": "{\"x\":\"1.5\"}",
                       "unit": null});
    let compiled = Schema::compile(&schema).unwrap();
    let fit = align(&compiled, &value, Rules::coerce()).unwrap();
    let mut changed = fit.changed;
    changed.sort();
    assert_eq!(changed, ["/age", "/at", "/name", "/ok", "/tags", "/unit"]);
    assert_eq!(
        fit.value,
        json!({"age": 12, "name": "7", "ok": true, "tags": ["a"], "at": {"x": 1.5}, "unit": "C"})
    );
}

#[test]
fn coercion_does_not_guess() {
    for (schema, value) in [
        (json!({"type": "integer"}), json!("1,234")),
        (json!({"type": "integer"}), json!("1.5")),
        (json!({"type": "integer"}), json!(true)),
        (json!({"type": "boolean"}), json!(2)),
        (json!({"type": "string"}), json!({"a": 1})),
        (json!({"type": "string"}), json!(null)),
        (json!({"enum": ["ONE"]}), json!("one")),
        (json!({"type": "object", "required": ["a"]}), json!({})),
    ] {
        assert_eq!(read(&schema, value, Rules::coerce()), None, "{schema}");
    }
}

#[test]
fn errors_name_what_no_coercion_could_mend() {
    let schema = Schema::compile(&json!({"properties": {
        "a": {"type": "integer"}, "b": {"type": "integer"}}}))
    .unwrap();
    let error = align(&schema, &json!({"a": "1", "b": "x"}), Rules::coerce()).unwrap_err();
    assert!(error.message().contains("/b: expected integer, got string \"x\""), "{error:?}");
    assert!(!error.message().contains("/a"), "{error:?}");
}

#[test]
fn the_alternative_with_the_fewest_repairs_is_taken() {
    let pets = json!({"anyOf": [
        {"type": "object", "required": ["bark"], "properties": {"bark": {"type": "integer"}}},
        {"type": "object", "required": ["bark", "age"],
         "properties": {"bark": {"type": "string"}, "age": {"type": "integer"}}},
    ]});
    let value = json!({"bark": "wow", "age": "3"});
    assert_eq!(read(&pets, value, Rules::text()), Some(json!({"bark": "wow", "age": 3})));
    let either = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
    assert_eq!(read(&either, json!(5), Rules::text()), Some(json!(5)));
    assert_eq!(read(&either, json!("5"), Rules::text()), Some(json!("5")));
    let dated = json!({"oneOf": [{"type": "string", "format": "date"}, {"type": "integer"}]});
    assert_eq!(read(&dated, json!("7"), Rules::text()), Some(json!(7)));
}

#[test]
fn keys_are_found_in_other_spellings() {
    let schema = json!({"type": "object", "required": ["firstName"], "properties": {
        "firstName": {"type": "string"}, "last": {"type": "string", "x-alias": "family name"}}});
    for value in [
        json!({"first_name": "A", "family name": "B"}),
        json!({"First Name": "A", "FAMILY_NAME": "B"}),
        json!({"\"firstname\"": "A", "last": "B"}),
    ] {
        let wanted = json!({"firstName": "A", "last": "B"});
        assert_eq!(read(&schema, value, Rules::text()), Some(wanted));
    }
    let two = json!({"properties": {"ab": {"type": "string"}, "a_b": {"type": "string"}}});
    assert_eq!(read(&two, json!({"AB": "x"}), Rules::text()), Some(json!({"AB": "x"})));
}

#[test]
fn shapes_are_wrapped_and_unwrapped() {
    let list = json!({"type": "array", "items": {"type": "integer"}});
    assert_eq!(read(&list, json!("3"), Rules::text()), Some(json!([3])));
    assert_eq!(read(&list, json!("[1, 2]"), Rules::text()), Some(json!([1, 2])));
    let one =
        json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    assert_eq!(read(&one, json!([{"n": 1}]), Rules::text()), Some(json!({"n": 1})));
    assert_eq!(read(&one, json!([{"n": 1}, {"n": 2}]), Rules::text()), None);
    assert_eq!(read(&one, json!(4), Rules::text()), Some(json!({"n": 4})));
    let text =
        json!({"type": "object", "required": ["t"], "properties": {"t": {"type": "string"}}});
    assert_eq!(read(&text, json!("hello"), Rules::text()), None);
    let pair = json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]});
    assert_eq!(read(&pair, json!(["1", 2]), Rules::text()), Some(json!([1, "2"])));
}

#[test]
fn members_the_schema_does_not_describe_are_dropped_on_request() {
    let schema =
        json!({"properties": {"a": {"type": "integer"}}, "patternProperties": {"^x-": {}}});
    let value = json!({"a": 1, "b": 2, "x-c": 3});
    assert_eq!(read(&schema, value.clone(), Rules::coerce()), Some(value.clone()));
    assert_eq!(read(&schema, value, Rules::extract()), Some(json!({"a": 1, "x-c": 3})));
    let open = json!({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}});
    let value = json!({"a": 1, "b": "2"});
    assert_eq!(read(&open, value, Rules::extract()), Some(json!({"a": 1, "b": 2})));
}

#[test]
fn unfinished_values_may_lack_members() {
    let schema = json!({"type": "object", "required": ["a", "list", "map"], "properties": {
        "a": {"type": "integer"}, "list": {"type": "array"}, "map": {"type": "object"},
        "items": {"type": "array", "items": {"type": "integer"}}}});
    let partial = Rules { partial: true, ..Rules::text() };
    assert_eq!(
        read(&schema, json!({"a": "?", "items": [1, "x", 3]}), partial),
        Some(json!({"list": [], "map": {}, "items": [1, 3]}))
    );
}

#[test]
fn recursion_ends() {
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
        "v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}}});
    let value = json!({"v": "1", "next": {"v": "2", "next": {"v": 3}}});
    assert_eq!(
        read(&tree, value, Rules::coerce()),
        Some(json!({"v": 1, "next": {"v": 2, "next": {"v": 3}}}))
    );
    let json_value = json!({"$ref": "#/$defs/any", "$defs": {"any": {"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/any"}}, {"type": "integer"},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/any"}}]}}});
    let deep = (0..80).fold(json!("7"), |inner, _| json!([inner, {"a": "1"}]));
    assert!(read(&json_value, deep, Rules::text()).is_some());
}

#[test]
fn nested_alternatives_take_no_exponential_time() {
    let leaf = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "integer"}]});
    let schema = json!({"anyOf": [
        {"type": "array", "items": leaf}, {"type": "array", "items": leaf, "maxItems": 3}]});
    let deep = (0..60).fold(json!("7"), |inner, _| json!([inner]));
    assert!(read(&schema, deep, Rules::text()).is_some());
}

#[test]
fn a_lone_member_stands_for_itself() {
    let answer = json!({"enum": ["YES", "NO"]});
    assert_eq!(read(&answer, json!({"answer": "yes"}), Rules::text()), Some(json!("YES")));
    assert_eq!(read(&answer, json!({"a": "yes", "b": 1}), Rules::text()), None);
    assert_eq!(read(&answer, json!({"a": {"b": "yes"}}), Rules::text()), None);
    assert_eq!(read(&answer, json!(["no", "yes"]), Rules::text()), Some(json!("NO")));
    let number = json!({"type": "number"});
    assert_eq!(read(&number, json!({"result": "1,5"}), Rules::text()), None);
    assert_eq!(read(&number, json!({"result": "$1.5"}), Rules::text()), Some(json!(1.5)));
}

#[test]
fn values_without_names_are_members_in_their_order() {
    let schema = json!({"type": "object", "required": ["name", "tags"], "properties": {
        "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}});
    let partial = Rules { partial: true, ..Rules::text() };
    let wanted = json!({"name": "x", "tags": ["a"]});
    assert_eq!(read(&schema, json!(["x", ["a"]]), partial), Some(wanted));
    assert_eq!(read(&schema, json!([["a"], "x"]), partial), None);
    assert_eq!(read(&schema, json!(["x"]), partial), None);
}

#[test]
fn keys_of_a_map_are_words_of_a_list() {
    let schema = json!({"type": "object", "propertyNames": {"enum": ["A", "B"]},
        "additionalProperties": {"type": "integer"}});
    assert_eq!(
        read(&schema, json!({"a": "1", "b.": 2}), Rules::text()),
        Some(json!({"A": 1, "B": 2}))
    );
}
