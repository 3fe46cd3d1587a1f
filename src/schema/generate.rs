//! The schema that examples follow.
//!
//! ```
//! use serde_json::json;
//! use zigllms::schema::generate::{Options, generate};
//! use zigllms::value::{Tape, json};
//! let mut tape = Tape::default();
//! let at = json::parse(br#"[1,2.5]"#, &mut tape).unwrap();
//! let schema = generate(&[tape.at(at).unwrap()], Options::default());
//! assert_eq!(schema, json!({"type": "array", "items": {"type": "number"}}));
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::formats;
use crate::value::{Kind, Ref};

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Members that every example has are required.
    pub required: bool,
    /// Texts that all have one format get it.
    pub formats: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { required: true, formats: false }
    }
}

/// A schema that all examples fit.
pub fn generate(examples: &[Ref<'_>], options: Options) -> Value {
    let mut seen = Seen::default();
    examples.iter().for_each(|example| seen.look(*example, options));
    seen.schema(options)
}

/// What stood at one place in all examples.
#[derive(Default)]
struct Seen {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    texts: Option<Texts>,
    items: Option<Box<Seen>>,
    objects: Option<Objects>,
    /// Tables without members: what else stood here says what they are.
    empty: bool,
}

struct Texts {
    /// The format of all of them.
    format: Option<&'static str>,
}

#[derive(Default)]
struct Objects {
    count: usize,
    members: BTreeMap<String, (usize, Seen)>,
}

impl Seen {
    fn look(&mut self, value: Ref<'_>, options: Options) {
        match value.kind() {
            Kind::Null | Kind::Function | Kind::Opaque => self.null = true,
            Kind::Bool => self.boolean = true,
            Kind::Int => self.integer = true,
            Kind::Float if value.as_f64().is_some_and(|n| n.fract() == 0.0) => self.integer = true,
            Kind::Float => self.number = true,
            Kind::Empty => self.empty = true,
            Kind::Str => self.look_at_text(&value.to_text(), options),
            Kind::Array => {
                let items = self.items.get_or_insert_default();
                value.items().for_each(|item| items.look(item, options));
            }
            Kind::Object => {
                let objects = self.objects.get_or_insert_default();
                objects.count += 1;
                for (key, member) in value.members() {
                    let (count, seen) = objects.members.entry(key.to_text()).or_default();
                    *count += 1;
                    seen.look(member, options);
                }
            }
        }
    }

    fn look_at_text(&mut self, text: &str, options: Options) {
        let found = if options.formats { formats::of(text) } else { None };
        match &mut self.texts {
            Some(texts) if texts.format != found => texts.format = None,
            Some(_) => {}
            None => self.texts = Some(Texts { format: found }),
        }
    }

    /// The alternatives, in a fixed order.
    fn schema(self, options: Options) -> Value {
        let mut found = Vec::new();
        let empty_is_object = self.empty && self.items.is_none();
        if let Some(objects) = self.objects {
            found.push(objects.schema(empty_is_object, options));
        } else if empty_is_object {
            found.push(json!({ "type": "object" }));
        }
        if let Some(items) = self.items {
            let mut array = json!({ "type": "array" });
            match items.schema(options) {
                Value::Object(any) if any.is_empty() => {}
                items => array["items"] = items,
            }
            found.push(array);
        }
        if let Some(texts) = self.texts {
            let mut text = json!({ "type": "string" });
            if let Some(format) = texts.format {
                text["format"] = format.into();
            }
            found.push(text);
        }
        let simple = [
            (self.number, "number"),
            (self.integer && !self.number, "integer"),
            (self.boolean, "boolean"),
            (self.null, "null"),
        ];
        let simple = simple.into_iter().filter(|(seen, _)| *seen);
        found.extend(simple.map(|(_, name)| json!({ "type": name })));
        match found.len() {
            0 => json!({}),
            1 => found.swap_remove(0),
            _ => json!({ "anyOf": found }),
        }
    }
}

impl Objects {
    /// `empty`: there were also objects without any member.
    fn schema(self, empty: bool, options: Options) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, (count, seen)) in self.members {
            if options.required && count == self.count && !empty {
                required.push(Value::from(name.as_str()));
            }
            properties.insert(name, seen.schema(options));
        }
        let mut schema = json!({ "type": "object" });
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Tape, json as text};

    fn generated(examples: &[Value], options: Options) -> Value {
        let mut tape = Tape::default();
        let places: Vec<usize> = examples.iter().map(|e| text::put(e, &mut tape)).collect();
        let examples: Vec<_> = places.into_iter().map(|at| tape.view(at)).collect();
        generate(&examples, options)
    }

    #[test]
    fn objects_have_properties_and_all_are_required() {
        let example = json!({"name": "Ada", "age": 36, "tags": ["x"], "at": {"x": 1.5}, "n": null});
        assert_eq!(
            generated(std::slice::from_ref(&example), Options::default()),
            json!({"type": "object",
                "properties": {
                    "age": {"type": "integer"}, "at": {"type": "object",
                        "properties": {"x": {"type": "number"}}, "required": ["x"]},
                    "n": {"type": "null"}, "name": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}}},
                "required": ["age", "at", "n", "name", "tags"]})
        );
        let loose = Options { required: false, ..Options::default() };
        assert!(generated(&[example], loose).get("required").is_none());
    }

    #[test]
    fn what_is_missing_somewhere_is_optional() {
        let both = [json!({"a": 1, "b": 2}), json!({"a": 1.5})];
        assert_eq!(
            generated(&both, Options::default()),
            json!({"type": "object", "required": ["a"],
                "properties": {"a": {"type": "number"}, "b": {"type": "integer"}}})
        );
    }

    #[test]
    fn mixed_values_are_alternatives_and_items_are_merged() {
        assert_eq!(
            generated(&[json!([1, "x", {"a": 1}, {"b": 2}])], Options::default()),
            json!({"type": "array", "items": {"anyOf": [
                {"type": "object",
                 "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
                {"type": "string"}, {"type": "integer"}]}})
        );
        assert_eq!(generated(&[json!([])], Options::default()), json!({"type": "array"}));
    }

    #[test]
    fn formats_are_those_that_all_texts_have() {
        let formats = Options { formats: true, ..Options::default() };
        let of = |texts: &[&str]| {
            let examples: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
            generated(&examples, formats)["format"].clone()
        };
        assert_eq!(of(&["a@b.c", "d@e.org"]), "email");
        assert_eq!(of(&["2024-02-29"]), "date");
        assert_eq!(of(&["a@b.c", "x"]), Value::Null);
    }
}
