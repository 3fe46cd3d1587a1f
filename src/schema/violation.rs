//! What is wrong with a value, in words a person or a model can act on.

use std::fmt::{self, Display, Write};

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::{Value, json};

use super::node::{OnTape, patiently};
use super::places::Places;
use crate::error::{Code, Error};
use crate::value::{Kind as Node, Ref, json};

/// Longest rendering of one value inside a message.
const LONGEST: usize = 80;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// JSON pointer to the value; "" is the root.
    pub path: String,
    pub message: String,
    pub keyword: String,
    /// JSON pointer to the keyword that failed.
    pub schema_path: String,
    pub expected: Option<String>,
    pub actual: Option<String>,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// The first of them in one line, and how many more there are.
pub fn summary(violations: &[Violation]) -> String {
    let first = violations.first().map_or(String::new(), |v| v.to_string());
    let more = violations.len().saturating_sub(1);
    let rest = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    format!("{first}{rest}")
}

/// `validation_failed` with every violation in `details.errors`.
pub fn misfit(violations: &[Violation]) -> Error {
    let errors: Vec<Value> = violations
        .iter()
        .map(|v| json!({ "path": v.path, "message": v.message, "keyword": v.keyword }))
        .collect();
    Error::new(
        Code::ValidationFailed,
        format!("the value does not fit the schema: {}", summary(violations)),
    )
    .with(|f| f.details = Some(json!({ "errors": errors })))
}

/// What is wrong with `value`, no more than `most`, if it takes no more than so many looks; what
/// contains comes before what is inside.
pub fn list(
    validator: &Validator<OnTape>,
    value: Ref<'_>,
    most: usize,
    looks: usize,
) -> Vec<Violation> {
    let errors = || validator.iter_errors(value).take(most).collect::<Vec<_>>();
    let Some(errors) = patiently(looks, errors) else { return vec![unexplained()] };
    let mut places = Places::of(value);
    let mut find = |error: &ValidationError<'_>| places.find(error.instance_path().as_str());
    let mut found: Vec<_> = errors.iter().map(|error| of(error, find(error), value)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What stands for more errors than can be listed.
fn unexplained() -> Violation {
    let message = "does not fit, and alternatives nest so deep in it that it takes too long to say \
                   where";
    Violation {
        path: String::new(),
        message: message.into(),
        keyword: "anyOf".into(),
        schema_path: String::new(),
        expected: None,
        actual: None,
    }
}

/// The violation that an error about `value`, somewhere in `root`, stands for.
pub fn of(error: &ValidationError<'_>, value: Option<Ref<'_>>, root: Ref<'_>) -> Violation {
    let saying = explain(error, value, root);
    Violation {
        path: error.instance_path().as_str().to_owned(),
        message: saying.message(),
        keyword: error.kind().keyword().to_owned(),
        schema_path: error.schema_path().as_str().to_owned(),
        expected: saying.expected,
        actual: saying.actual,
    }
}

/// The parts of a message.
#[derive(Default)]
struct Saying {
    expected: Option<String>,
    actual: Option<String>,
    /// Instead of "expected …, got …".
    text: Option<String>,
}

impl Saying {
    fn text(text: impl Into<String>) -> Saying {
        Saying { text: Some(text.into()), ..Saying::default() }
    }

    fn wanted(expected: impl Into<String>, actual: impl Into<String>) -> Saying {
        Saying { expected: Some(expected.into()), actual: Some(actual.into()), text: None }
    }

    fn message(&self) -> String {
        match (&self.text, &self.expected, &self.actual) {
            (Some(text), ..) => text.clone(),
            (None, Some(expected), Some(actual)) => format!("expected {expected}, got {actual}"),
            _ => String::from("does not fit"),
        }
    }
}

fn explain(error: &ValidationError<'_>, value: Option<Ref<'_>>, root: Ref<'_>) -> Saying {
    let got = || value.map_or_else(|| "something else".into(), shown);
    let count = || value.map_or(0, Ref::len).to_string();
    let length = || value.map_or(0, |v| v.to_text().chars().count()).to_string();
    match error.kind() {
        Kind::Type { kind } => Saying::wanted(types(kind), value.map_or_else(got, typed)),
        Kind::Required { property } => Saying {
            expected: Some(json_text(property)),
            actual: None,
            text: Some(format!("missing required property {}", json_text(property))),
        },
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            Saying::text(unexpected_names("property", "properties", unexpected))
        }
        Kind::AdditionalItems { limit } => at_most(*limit as u64, "item", count()),
        Kind::UnevaluatedItems { unexpected } => {
            Saying::text(format!("{} items too many", unexpected.len()))
        }
        Kind::Enum { options } => Saying::wanted(one_of(options), got()),
        Kind::Constant { expected_value } => Saying::wanted(json_text(expected_value), got()),
        Kind::Minimum { limit } => Saying::wanted(format!("at least {limit}"), got()),
        Kind::Maximum { limit } => Saying::wanted(format!("at most {limit}"), got()),
        Kind::ExclusiveMinimum { limit } => Saying::wanted(format!("more than {limit}"), got()),
        Kind::ExclusiveMaximum { limit } => Saying::wanted(format!("less than {limit}"), got()),
        Kind::MultipleOf { multiple_of } => {
            Saying::wanted(format!("a multiple of {multiple_of}"), got())
        }
        Kind::MinLength { limit } => at_least(*limit, "character", length()),
        Kind::MaxLength { limit } => at_most(*limit, "character", length()),
        Kind::MinItems { limit } => at_least(*limit, "item", count()),
        Kind::MaxItems { limit } => at_most(*limit, "item", count()),
        Kind::MinProperties { limit } => at_least(*limit, "property", count()),
        Kind::MaxProperties { limit } => at_most(*limit, "property", count()),
        Kind::Pattern { pattern } => {
            Saying::wanted(format!("text matching {}", cut(pattern)), got())
        }
        Kind::Format { format } if format == "regex" => {
            Saying::wanted("a regular expression", got())
        }
        Kind::Format { format } => Saying::wanted(format!("format {format}"), got()),
        Kind::ContentEncoding { content_encoding } => {
            Saying::wanted(format!("text in {content_encoding}"), got())
        }
        Kind::ContentMediaType { content_media_type } => {
            Saying::wanted(format!("text of type {content_media_type}"), got())
        }
        Kind::UniqueItems => Saying::text("expected items that differ from each other"),
        Kind::Contains => Saying::text("no item fits what \"contains\" asks for"),
        Kind::Not { .. } => Saying::text("fits what \"not\" forbids"),
        Kind::FalseSchema => Saying::text("no value is allowed here"),
        Kind::PropertyNames { error } => Saying::text(property_name(error)),
        Kind::AnyOf { context } => alternatives("anyOf", error, context, root),
        Kind::OneOfNotValid { context } => alternatives("oneOf", error, context, root),
        Kind::OneOfMultipleValid { .. } => {
            Saying::text("fits several alternatives of oneOf, exactly one is wanted")
        }
        _ => Saying::text(cut(&error.to_string())),
    }
}

fn at_least(limit: u64, noun: &str, actual: String) -> Saying {
    Saying::wanted(format!("at least {}", counted(limit, noun)), actual)
}

fn at_most(limit: u64, noun: &str, actual: String) -> Saying {
    Saying::wanted(format!("at most {}", counted(limit, noun)), actual)
}

fn counted(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (_, "property") => format!("{number} properties"),
        _ => format!("{number} {noun}s"),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(set) => {
            let mut names: Vec<_> = set.iter().map(|one: JsonType| one.to_string()).collect();
            names.sort_by_key(|name| name == "null");
            either(&names)
        }
    }
}

fn either(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn one_of(options: &Value) -> String {
    let all = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = String::from("one of ");
    for (i, option) in all.iter().enumerate() {
        let shown = json_text(option);
        if text.len() + shown.len() > LONGEST {
            let _ = write!(text, "… ({} in all)", all.len());
            break;
        }
        text.push_str(if i == 0 { "" } else { ", " });
        text.push_str(&shown);
    }
    text
}

fn unexpected_names(one: &str, many: &str, names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().take(5).map(|name| cut(&format!("{name:?}"))).collect();
    let rest = if names.len() > 5 { ", …" } else { "" };
    let noun = if names.len() == 1 { one } else { many };
    format!("unexpected {noun} {}{rest}", quoted.join(", "))
}

fn property_name(error: &ValidationError<'_>) -> String {
    let mut tape = crate::value::Tape::default();
    let at = json::put(error.instance(), &mut tape);
    let name = tape.view(at);
    format!("invalid property name {}: {}", shown(name), explain(error, Some(name), name).message())
}

/// Names the alternative that comes closest: one of the right type, with the fewest errors.
fn alternatives(
    keyword: &str,
    error: &ValidationError<'_>,
    branches: &[Vec<ValidationError<'_>>],
    root: Ref<'_>,
) -> Saying {
    let here = error.instance_path().as_str();
    let distance = |branch: &&Vec<ValidationError<'_>>| {
        let other_kind = branch.iter().any(|e| {
            e.instance_path().as_str() == here
                && matches!(e.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. })
        });
        (other_kind, branch.len())
    };
    let mut text = format!("fits none of the {} alternatives of {keyword}", branches.len());
    if let Some(first) = branches.iter().min_by_key(distance).and_then(|branch| branch.first()) {
        let closest = of(first, root.pointer(first.instance_path().as_str()), root);
        let below = closest.path.strip_prefix(here).unwrap_or(&closest.path);
        let _ = match below {
            "" => write!(text, "; the closest: {}", closest.message),
            path => write!(text, "; the closest fails at {path}: {}", closest.message),
        };
    }
    Saying::text(text)
}

/// A value and its type: `string "abc"`, `array`.
fn typed(value: Ref<'_>) -> String {
    let name = match value.kind() {
        Node::Bool => "boolean",
        Node::Int => "integer",
        Node::Float => "number",
        Node::Str => "string",
        Node::Array => return "array".into(),
        Node::Object => return "object".into(),
        Node::Null | Node::Empty | Node::Function | Node::Opaque => return shown(value),
    };
    format!("{name} {}", shown(value))
}

/// A value as a message shows it; never longer than a line.
pub fn shown(value: Ref<'_>) -> String {
    match value.kind() {
        Node::Function => "a function".into(),
        Node::Opaque => "a thread or userdata".into(),
        Node::Empty => "an empty table".into(),
        Node::Array => format!("an array of {}", counted(value.len() as u64, "item")),
        Node::Object => format!("an object of {}", counted(value.len() as u64, "property")),
        _ => cut(&json::to_string(value)),
    }
}

fn json_text(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST + 3 {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(std::iter::once('…')).collect()
}
