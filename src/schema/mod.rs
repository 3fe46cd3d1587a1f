//! JSON Schema: compiled once, then asked about values as they lie on a tape.
//!
//! ```
//! use serde_json::json;
//! use zigllms::schema::Schema;
//! use zigllms::value::{Tape, json};
//! let schema = Schema::compile(&json!({"properties": {"age": {"type": "integer"}}})).unwrap();
//! let mut tape = Tape::default();
//! json::parse(br#"{"age":"ten"}"#, &mut tape).unwrap();
//! let wrong = schema.check(tape.root().unwrap());
//! assert_eq!(wrong[0].to_string(), r#"/age: expected integer, got string "ten""#);
//! ```

pub mod align;
mod bundle;
mod defaults;
pub mod dialect;
mod empty;
mod flood;
mod formats;
pub mod generate;
pub mod info;
mod keywords;
mod library;
pub mod merge;
mod node;
mod order;
mod places;
pub mod quick;
mod refuse;
mod shorthand;
pub mod vendor;
mod violation;

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

pub use defaults::{Missing, Step};
pub use jsonschema::Draft;
pub use keywords::{escaped, tidy};
pub use library::{Created, Found, Library, OBJECT};
pub use order::settle_order;
pub use shorthand::from_shorthand;
pub use violation::{Violation, summary};

use crate::error::{Error, Result};
use crate::value::{Ref, Tape, json};
use node::OnTape;

/// How a schema is read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Wins over `$schema`; without either it is 2020-12.
    pub draft: Option<Draft>,
    /// `format` is checked; otherwise it is a remark.
    pub formats: bool,
    /// What `$ref`s to other documents find, by URI or name. Nothing is ever fetched.
    pub documents: Arc<BTreeMap<String, Value>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { draft: None, formats: true, documents: Arc::default() }
    }
}

impl Options {
    /// Whether they ask for nothing in particular.
    fn is_plain(&self) -> bool {
        self.draft.is_none() && self.formats && self.documents.is_empty()
    }
}

/// The draft a user names: "4", "6", "7", "2019-09" or "2020-12".
pub fn draft(name: &str) -> Result<Draft> {
    Ok(match name.trim_start_matches("draft").trim_start_matches('-') {
        "4" | "04" => Draft::Draft4,
        "6" | "06" => Draft::Draft6,
        "7" | "07" => Draft::Draft7,
        "2019-09" => Draft::Draft201909,
        "2020-12" => Draft::Draft202012,
        _ => {
            let known = "\"4\", \"6\", \"7\", \"2019-09\" or \"2020-12\"";
            return Err(Error::invalid(format!("draft must be {known}, got {name:?}")));
        }
    })
}

/// By which keywords a schema can describe itself.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// What a list of errors may take where a schema describes itself: some tenths of a second.
const LOOKS: usize = 100_000;
const LOOKS_EACH: usize = 100;

/// A compiled schema. Cheap to clone.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    source: Value,
    validator: Validator<OnTape>,
    has_defaults: bool,
    has_references: bool,
    /// For most small schemas; see there.
    quick: Option<quick::Quick>,
    /// As it was compiled.
    formats: bool,
    documents: Arc<BTreeMap<String, Value>>,
}

impl Schema {
    pub fn compile(schema: &Value) -> Result<Schema> {
        Schema::compile_with(schema, Options::default())
    }

    pub fn compile_with(schema: &Value, options: Options) -> Result<Schema> {
        let mut source = schema.clone();
        tidy(&mut source);
        refuse::unknown_types(&source)?;
        refuse::circles(&source)?;
        refuse::floods(&source)?;
        let mut builder = jsonschema::options_for::<OnTape>()
            .with_retriever(Documents(Arc::clone(&options.documents)))
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(options.formats);
        if let Some(draft) = options.draft {
            builder = builder.with_draft(draft);
        }
        let validator = builder.build(&source).map_err(|error| refuse::explain(&source, &error))?;
        let has_defaults = keywords::uses(&source, "default");
        let has_references = REFERENCES.iter().any(|keyword| keywords::uses(&source, keyword));
        let Options { draft, formats, documents } = options;
        let quick = quick::Quick::of(&source, draft, formats);
        Ok(Schema(Arc::new(Inner {
            source,
            validator,
            has_defaults,
            has_references,
            quick,
            formats,
            documents,
        })))
    }

    /// The tree that knows without a tape what fits, if the schema is simple enough.
    pub fn quick(&self) -> Option<&quick::Quick> {
        self.0.quick.as_ref()
    }

    /// The schema as it was given, empty tables resolved.
    pub fn source(&self) -> &Value {
        &self.0.source
    }

    /// Whether both are the very same compiled schema.
    pub fn is_same(&self, other: &Schema) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn is_valid(&self, value: Ref<'_>) -> bool {
        let validator = &self.0.validator;
        validator.is_valid(value)
            || empty::settle(validator, value, self.looks(value))
                .is_some_and(|reading| reading.valid)
    }

    /// Everything that is wrong; nothing if the value fits.
    pub fn check(&self, value: Ref<'_>) -> Vec<Violation> {
        self.examine(value).violations
    }

    /// As [`Schema::check`], but looks for no more than `most`.
    pub fn check_some(&self, value: Ref<'_>, most: usize) -> Vec<Violation> {
        self.report(value, most).violations
    }

    /// As an error with everything that is wrong in `details.errors`.
    pub fn fit(&self, value: Ref<'_>) -> Result<()> {
        match self.check(value).as_slice() {
            [] => Ok(()),
            violations => Err(violation::misfit(violations)),
        }
    }

    /// As [`Schema::fit`], for an owned document.
    pub fn fit_document(&self, value: &Value) -> Result<()> {
        let mut tape = Tape::default();
        let at = json::put(value, &mut tape);
        tape.at(at).map_or(Ok(()), |root| self.fit(root))
    }

    /// As [`Schema::check`]; also tells which empty tables were taken for arrays.
    pub fn examine(&self, value: Ref<'_>) -> Report {
        self.report(value, usize::MAX)
    }

    /// How often a list of errors may look into the objects and arrays of a value. Without references
    /// that has an end by itself.
    fn looks(&self, value: Ref<'_>) -> usize {
        if self.0.has_references { LOOKS + LOOKS_EACH * value.tape().len() } else { usize::MAX }
    }

    fn report(&self, value: Ref<'_>, most: usize) -> Report {
        let validator = &self.0.validator;
        if validator.is_valid(value) {
            return Report::default();
        }
        let Some(reading) = empty::settle(validator, value, self.looks(value)) else {
            return Report {
                violations: violation::list(validator, value, most, self.looks(value)),
                arrays: Vec::new(),
            };
        };
        let violations = match reading.valid {
            true => Vec::new(),
            false => violation::list(validator, reading.value(), most, self.looks(value)),
        };
        Report { violations, arrays: reading.arrays }
    }

    /// Members that are missing in `value` and have a default; parents come before their children.
    pub fn missing_defaults(&self, value: Ref<'_>) -> Vec<Missing> {
        match self.0.has_defaults {
            true => defaults::missing(&self.0.source, value),
            false => Vec::new(),
        }
    }

    /// Sets the members that are missing in `value` and have a default; gives JSON pointers to them.
    pub fn fill_defaults(&self, value: &mut Value) -> Vec<String> {
        match self.0.has_defaults {
            true => defaults::fill(&self.0.source, value),
            false => Vec::new(),
        }
    }

    /// As [`Schema::fit_document`], where the members at `filled` were set by the schema itself:
    /// published schemas have defaults that they would not admit, and nobody else is to blame.
    pub fn fit_filled(&self, value: &Value, filled: &[String]) -> Result<()> {
        let mut tape = Tape::default();
        let at = json::put(value, &mut tape);
        let mut wrong = self.check(tape.view(at));
        let own = |path: &str| {
            let below = |filled: &String| path.strip_prefix(filled.as_str());
            filled.iter().filter_map(below).any(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        wrong.retain(|violation| !own(&violation.path));
        if wrong.is_empty() { Ok(()) } else { Err(violation::misfit(&wrong)) }
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schema({})", self.0.source)
    }
}

/// What [`Schema::examine`] found.
#[derive(Debug, Default)]
pub struct Report {
    pub violations: Vec<Violation>,
    /// Tape positions of empty tables that fit only as arrays.
    pub arrays: Vec<usize>,
}

/// The documents a schema may refer to.
struct Documents(Arc<BTreeMap<String, Value>>);

/// Where relative references lead in a schema that does not say where it is from.
const NOWHERE: &str = "json-schema:///";

impl Retrieve for Documents {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> std::result::Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let uri = uri.as_str();
        let uri = uri.trim_end_matches('#');
        let name = uri.strip_prefix(NOWHERE).unwrap_or(uri);
        let with_mark = || self.0.get(&format!("{uri}#"));
        self.0
            .get(name)
            .or_else(|| self.0.get(uri))
            .or_else(with_mark)
            .cloned()
            .ok_or_else(|| "it was not given".into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;
    use crate::value::{Kind, Slots, Tape, json as text};

    fn schema(value: Value) -> Schema {
        Schema::compile(&value).unwrap()
    }

    fn wrong(value: Value, instance: &str) -> Vec<String> {
        let mut tape = Tape::default();
        text::parse(instance.as_bytes(), &mut tape).unwrap();
        let found = schema(value).check(tape.root().unwrap());
        found.iter().map(ToString::to_string).collect()
    }

    fn refused(value: Value) -> Error {
        Schema::compile(&value).unwrap_err()
    }

    #[test]
    fn every_error_is_reported_with_its_place() {
        let person = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {"name": {"type": "string"}, "tags": {"items": {"enum": ["a", "b"]}}},
        });
        assert_eq!(
            wrong(person, r#"{"tags":["a","c"],"x":1}"#),
            [
                "unexpected property \"x\"",
                "missing required property \"name\"",
                "/tags/1: expected one of \"a\", \"b\", got \"c\"",
            ]
        );
    }

    #[test]
    fn messages_name_what_was_expected_and_what_came() {
        for (schema, instance, message) in [
            (
                json!({"type": ["integer", "null"]}),
                "1.5",
                "expected integer or null, got number 1.5",
            ),
            (json!({"type": "array"}), r#"{"a":1}"#, "expected array, got object"),
            (json!({"const": 3}), "4", "expected 3, got 4"),
            (json!({"minimum": 3}), "2", "expected at least 3, got 2"),
            (json!({"exclusiveMaximum": 3}), "3", "expected less than 3, got 3"),
            (json!({"minLength": 3}), "\"äö\"", "expected at least 3 characters, got 2"),
            (json!({"maxItems": 1}), "[1,2]", "expected at most 1 item, got 2"),
            (json!({"minProperties": 1}), "{}", "expected at least 1 property, got 0"),
            (json!({"multipleOf": 5}), "7", "expected a multiple of 5, got 7"),
            (json!({"pattern": "^a+$"}), "\"b\"", "expected text matching ^a+$, got \"b\""),
            (json!({"format": "email"}), "\"b\"", "expected format email, got \"b\""),
            (json!({"uniqueItems": true}), "[1,1]", "expected items that differ from each other"),
            (json!(false), "1", "no value is allowed here"),
        ] {
            assert_eq!(wrong(schema, instance), [message]);
        }
    }

    #[test]
    fn an_alternative_that_nearly_fits_is_explained() {
        let shape = json!({"anyOf": [
            {"type": "object", "properties": {"kind": {"const": "dot"}, "x": {"type": "number"}}},
            {"type": "string"},
        ]});
        assert_eq!(
            wrong(shape, r#"{"kind":"dot","x":"1"}"#),
            ["fits none of the 2 alternatives of anyOf; \
              the closest fails at /x: expected number, got string \"1\""]
        );
    }

    #[test]
    fn large_values_are_not_dumped() {
        let long = format!("\"{}\"", "x".repeat(10_000));
        let message = &wrong(json!({"type": "integer"}), &long)[0];
        assert!(message.len() < 160, "{message}");
        let names = format!("[{}]", "\"abcdefgh\",".repeat(500) + "1");
        let message =
            &wrong(json!({"enum": serde_json::from_str::<Value>(&names).unwrap()}), "2")[0];
        assert!(message.len() < 160, "{message}");
    }

    fn empty_fits(value: Value, at: &[&str]) -> bool {
        let mut tape = Tape::default();
        wrap(&mut tape, at);
        schema(value).check(tape.root().unwrap()).is_empty()
    }

    fn wrap(tape: &mut Tape, at: &[&str]) {
        let Some((name, rest)) = at.split_first() else { return tape.empty() };
        let mark = tape.open_object();
        tape.str(name.as_bytes());
        wrap(tape, rest);
        tape.close(mark, 1);
    }

    #[test]
    fn an_empty_table_is_an_array_where_one_is_wanted() {
        let array = json!({"type": "array"});
        let object = json!({"type": "object"});
        assert!(empty_fits(array.clone(), &[]) && empty_fits(object.clone(), &[]));
        assert!(empty_fits(json!({"properties": {"a": {"type": ["array", "null"]}}}), &["a"]));
        assert!(!empty_fits(json!({"type": "string"}), &[]));
        assert!(!empty_fits(json!({"type": "array", "minItems": 1}), &[]));
        assert!(!empty_fits(json!({"type": "object", "required": ["a"]}), &[]));
        assert!(empty_fits(json!({"oneOf": [array.clone(), object.clone()]}), &[]));
        assert!(empty_fits(json!({"not": array.clone()}), &[]));
        assert!(empty_fits(json!({"not": object.clone()}), &[]));
        assert!(!empty_fits(json!({"allOf": [array, object]}), &[]));
        assert!(empty_fits(json!({"const": []}), &[]) && empty_fits(json!({"const": {}}), &[]));
    }

    #[test]
    fn an_empty_table_inside_alternatives_is_found() {
        let list =
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "array"}}});
        let nested = json!({"properties": {"o": {"anyOf": [{"type": "string"}, list]}}});
        assert!(empty_fits(nested.clone(), &["o", "a"]));
        let deeper = json!({"oneOf": [{"type": "null"}, nested]});
        assert!(empty_fits(deeper, &["o", "a"]));
        let filled = json!({"anyOf": [{"properties": {"a": {"type": "array", "minItems": 1}}}]});
        assert!(!empty_fits(filled, &["a"]));
    }

    #[test]
    fn the_report_of_an_empty_table_is_the_fitting_one() {
        let mut tape = Tape::default();
        tape.empty();
        let root = tape.root().unwrap();
        let message = |value| schema(value).check(root)[0].to_string();
        assert_eq!(
            message(json!({"type": "array", "minItems": 1})),
            "expected at least 1 item, got 0"
        );
        assert_eq!(
            message(json!({"type": "object", "required": ["a"]})),
            "missing required property \"a\""
        );
        assert_eq!(message(json!({"type": "string"})), "expected string, got an empty table");
        let report = schema(json!({"type": "array"})).examine(root);
        assert_eq!(report.arrays, [0]);
    }

    #[test]
    fn a_thousand_empty_lists_take_no_thousand_rounds() {
        let mut tape = Tape::default();
        let mark = tape.open_array();
        (0..20_000).for_each(|_| tape.empty());
        tape.close(mark, 20_000);
        assert!(schema(json!({"items": {"type": "array"}})).is_valid(tape.root().unwrap()));
    }

    #[test]
    fn a_function_has_no_type() {
        let mut tape = Tape::default();
        tape.slot(Kind::Function, Slots::default().take());
        let root = tape.root().unwrap();
        for kind in ["string", "number", "integer", "object", "null", "array", "boolean"] {
            assert!(!schema(json!({"type": kind})).is_valid(root), "{kind}");
            let nullable = json!({"type": ["null", kind]});
            assert!(kind == "null" || !schema(nullable).is_valid(root), "{kind}");
        }
        let found = schema(json!({"type": "number"})).check(root);
        assert_eq!(found[0].to_string(), "expected number, got a function");
        assert!(schema(json!({"description": "anything"})).is_valid(root));
    }

    #[test]
    fn bad_schemas_are_refused_with_place_and_reason() {
        for (bad, code, message) in [
            (
                json!({"properties": {"a": {"type": "colour"}}}),
                Code::ValidationFailed,
                "invalid schema at /properties/a/type: type \"colour\" is not a JSON Schema type \
                 (object, array, string, number, integer, boolean, null)",
            ),
            (
                json!({"properties": {"a": {"pattern": "("}}}),
                Code::ValidationFailed,
                "invalid schema at /properties/a/pattern: \
                 expected a regular expression, got \"(\"",
            ),
            (
                json!({"required": "a"}),
                Code::ValidationFailed,
                "invalid schema at /required: expected array, got string \"a\"",
            ),
            (
                json!({"$ref": "#/$defs/none"}),
                Code::ValidationFailed,
                "invalid schema: $ref leads nowhere: \"/$defs/none\"",
            ),
            (
                json!({"$ref": "http://example.com/a.json"}),
                Code::Unsupported,
                "$ref to \"http://example.com/a.json\": nothing is fetched; \
                 give the schema in `documents` or create it under that $id",
            ),
            (
                json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
                Code::Unsupported,
                "$ref to \"file:///etc/passwd\": nothing is fetched; \
                 give the schema in `documents` or create it under that $id",
            ),
            (
                json!({"pattern": "(?=a)b"}),
                Code::ValidationFailed,
                "invalid schema at /pattern: \"(?=a)b\" needs look-around or back references, \
                 which patterns in linear time do not have",
            ),
        ] {
            let error = refused(bad);
            assert_eq!((error.message(), error.code()), (message, code));
        }
    }

    #[test]
    fn documents_are_found_by_their_uri() {
        let uri = "https://example.com/name.json";
        let options = Options {
            documents: Arc::new(BTreeMap::from([(uri.to_owned(), json!({"type": "string"}))])),
            ..Options::default()
        };
        let schema = Schema::compile_with(&json!({"$ref": uri}), options).unwrap();
        let mut tape = Tape::default();
        tape.int(1);
        assert!(!schema.is_valid(tape.root().unwrap()));
    }

    #[test]
    fn schemas_that_name_themselves_end() {
        let list = json!({"properties": {"next": {"$ref": "#"}}, "required": ["v"]});
        assert_eq!(
            wrong(list, r#"{"v":1,"next":{"v":2,"next":{}}}"#),
            ["/next/next: missing required property \"v\""]
        );
        let pair = json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"},
        }});
        if let Ok(schema) = Schema::compile(&pair) {
            let mut tape = Tape::default();
            tape.int(1);
            schema.check(tape.root().unwrap());
        }
    }

    #[test]
    fn formats_are_checked_unless_told_otherwise() {
        let mut tape = Tape::default();
        tape.str(b"no date");
        let root = tape.root().unwrap();
        let date = json!({"format": "date"});
        assert!(!schema(date.clone()).is_valid(root));
        let options = Options { formats: false, ..Options::default() };
        assert!(Schema::compile_with(&date, options).unwrap().is_valid(root));
    }

    #[test]
    fn the_draft_decides() {
        let mut tape = Tape::default();
        tape.float(1.0);
        let root = tape.root().unwrap();
        let whole = json!({"type": "integer"});
        assert!(schema(whole.clone()).is_valid(root));
        let options = Options { draft: Some(draft("4").unwrap()), ..Options::default() };
        assert!(!Schema::compile_with(&whole, options).unwrap().is_valid(root));
        assert!(draft("5").is_err());
    }

    #[test]
    fn a_pattern_takes_linear_time() {
        let schema = schema(json!({"pattern": "^(a+)+$"}));
        let mut tape = Tape::default();
        tape.str((("a").repeat(50_000) + "!").as_bytes());
        assert!(!schema.is_valid(tape.root().unwrap()));
    }
}
