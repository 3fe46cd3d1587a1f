//! `output.detect_format`, `output.validate_format`, `output.get_schema`.

use serde_json::{Map, Value, json};

use super::source::{TEXT, text};
use super::{format, parse};
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::output::{self, Format, Reading, Recovery};
use crate::runtime::Runtime;
use crate::shape::{Kind, Shape};
use crate::value::{Data, Record, Tape};

pub const DETECT_FORMAT: Function = Function {
    name: "detect_format",
    params: &[TEXT],
    returns: &[("format", "string"), ("info", "zigllms.FormatInfo")],
    doc: "What a text is: it is read as everything it could be. The info is `{confidence, candidates, fenced, \
          language?, inner?}`: how sure that is, from 0 to 1; all it could be, the likeliest first, as \
          `{format, confidence}`; whether it has a code fence, the language that names, and the format of what is in \
          the first one. A sentence with a colon is plain text, JSON in a fence is Markdown.",
    errors: &[],
    effect: Effect::Pure,
    example: "local format, info = zigllms.output.detect_format(\"```json\\n[1]\\n```\")\n\
              assert(format == \"markdown\" and info.inner == \"json\")",
    run: Run::Now(detect_format),
};

pub const VALIDATE_FORMAT: Function = Function {
    name: "validate_format",
    params: &[TEXT, Param::new("format", super::FORMAT)],
    returns: &[("result", "zigllms.FormatResult")],
    doc: "Whether a text is one valid document of a format, strictly. What is wrong with it is in \
          `errors`, with line, column and offset; bad texts do not raise. Any text is valid Markdown \
          and plain text. The result is a table, so test its `valid`.",
    errors: &[],
    effect: Effect::Pure,
    example: "local result = zigllms.output.validate_format('{\"a\":1,}', \"json\")\n\
              assert(not result.valid and result.errors[1].column == 8)",
    run: Run::Now(validate_format),
};

pub const GET_SCHEMA: Function = Function {
    name: "get_schema",
    params: &[Param::new("format", super::FORMAT)],
    returns: &[("description", "table")],
    doc: "A format described: `{format, mime_type, extensions, schema, parse_options, format_options}`. \
          The last three are JSON Schemas: of what `parse` gives, of its options, of those of `format`.",
    errors: &[],
    effect: Effect::Pure,
    example: "local yaml = zigllms.output.get_schema(\"yaml\")\nassert(yaml.mime_type == \"application/yaml\")",
    run: Run::Now(get_schema),
};

fn detect_format(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let detected = output::detect(text(args)?);
    let candidate = |(format, confidence): &(Format, f64)| {
        Record::new().set("format", format.name()).set("confidence", rounded(*confidence))
    };
    let candidates: Vec<_> = detected.candidates.iter().map(candidate).collect();
    let info = Record::new()
        .set("confidence", rounded(detected.confidence))
        .set("candidates", candidates)
        .set("fenced", detected.inner.is_some())
        .set("language", detected.language.filter(|language| !language.is_empty()))
        .set("inner", detected.inner.map(Format::name));
    Ok(Data::Many(vec![detected.format.name().into(), info.into()]))
}

fn rounded(confidence: f64) -> f64 {
    (confidence * 100.0).round() / 100.0
}

fn validate_format(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let format = wanted(args, 1)?;
    let read = text(args).and_then(|text| {
        let reading = Reading { recovery: Recovery::Strict, ..Reading::of(format) };
        output::parse(text, &reading, &mut Tape::default())
    });
    let errors = match read {
        Ok(_) => Vec::new(),
        Err(error) if error.code() == Code::ParseFailed => vec![place_of(&error)],
        Err(error) => return Err(error),
    };
    let result = Record::new()
        .set("valid", errors.is_empty())
        .set("format", format.name())
        .set("errors", errors);
    Ok(result.into())
}

fn place_of(error: &Error) -> Record {
    let details = error.fields().details.clone().unwrap_or_default();
    let number = |name: &str| details.get(name).and_then(Value::as_u64).unwrap_or(1);
    Record::new()
        .set("message", error.message())
        .set("line", number("line"))
        .set("column", number("column"))
        .set("offset", number("offset"))
}

fn wanted(args: &Args<'_>, i: usize) -> Result<Format> {
    let known = args.text(i).and_then(Format::named);
    known.ok_or_else(|| Error::internal("a format that is none"))
}

fn get_schema(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let format = wanted(args, 0)?;
    let (mime_type, extensions): (&str, &[&str]) = match format {
        Format::Json => ("application/json", &["json"]),
        Format::Yaml => ("application/yaml", &["yaml", "yml"]),
        Format::Xml => ("application/xml", &["xml"]),
        Format::Markdown => ("text/markdown", &["md", "markdown"]),
        Format::Plain => ("text/plain", &["txt"]),
    };
    let extensions: Vec<Data> = extensions.iter().map(|name| Data::from(*name)).collect();
    let description = Record::new()
        .set("format", format.name())
        .set("mime_type", mime_type)
        .set("extensions", Data::List(extensions))
        .set("schema", value_schema(format))
        .set("parse_options", of_shape(&parse::READING))
        .set("format_options", of_shape(&format::WRITING));
    Ok(description.into())
}

/// A JSON Schema of what `parse` gives.
fn value_schema(format: Format) -> Value {
    let texts = |names: &[&str]| -> Value {
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect()
    };
    let list = |properties: Value| json!({ "type": "array", "items": { "type": "object", "properties": properties } });
    match format {
        Format::Json | Format::Yaml => {
            json!({ "description": "any value" })
        }
        Format::Xml => json!({ "type": "object", "minProperties": 1, "maxProperties": 1 }),
        Format::Plain => json!({ "type": "string" }),
        Format::Markdown => json!({ "type": "object", "properties": {
            "sections": list(json!({
                "level": { "type": "integer", "minimum": 1, "maximum": 6 },
                "heading": { "type": "string" },
                "content": { "type": "string" },
            })),
            "code_blocks": list(json!({
                "language": { "type": "string" },
                "content": { "type": "string" },
                "line": { "type": "integer", "minimum": 1 },
            })),
            "tables": list(json!({
                "headers": { "type": "array", "items": { "type": "string" } },
                "rows": { "type": "array", "items": { "type": "object" } },
            })),
            "lists": list(json!({
                "ordered": { "type": "boolean" },
                "start": { "type": "integer" },
                "level": { "type": "integer", "minimum": 1 },
                "items": { "type": "array", "items": { "type": "string" } },
                "list": { "type": "integer" },
                "item": { "type": "integer" },
            })),
            "links": list(texts(&["text", "url", "title"])),
            "front_matter": { "type": "object" },
            "text": { "type": "string" },
        }}),
    }
}

/// An options table as a JSON Schema.
fn of_shape(shape: &'static Shape) -> Value {
    let properties: Map<String, Value> = shape
        .all()
        .filter(|field| !matches!(field.kind, Kind::Absent(_)))
        .map(|field| {
            let mut schema = of_kind(&field.kind);
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".to_owned(), Value::from(field.doc));
            }
            (field.name.to_owned(), schema)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn of_kind(kind: &'static Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Name | Kind::Id(_) => json!({ "type": "string", "minLength": 1 }),
        Kind::Number(low, high) => json!({ "type": "number", "minimum": low, "maximum": high }),
        Kind::Int(low, i64::MAX) => json!({ "type": "integer", "minimum": low }),
        Kind::Int(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::Table(shape) => of_shape(shape),
        Kind::Later(_) => json!({ "type": "object" }),
        Kind::Map | Kind::Open => json!({ "type": "object" }),
        Kind::List(item) => json!({ "type": "array", "items": of_kind(item) }),
        Kind::MapOf(kind) => json!({ "type": "object", "additionalProperties": of_kind(kind) }),
        Kind::Enum(names) => json!({ "enum": names }),
        Kind::OneOf(kinds) => json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() }),
        Kind::Schema => json!({ "type": ["object", "string", "boolean"] }),
        Kind::Any | Kind::Value | Kind::Function | Kind::Handle | Kind::Absent(_) => json!({}),
    }
}
