//! `data_processor`: JSON, CSV and YAML read, looked into, and written again.

mod csv;
mod rows;

use serde_json::{Value, json};

use super::{Bounds, Builtin, Work};
use crate::error::{Code, Error, Result};
use crate::runtime::Runtime;
use crate::value::path::Path;
use crate::value::{Key, Ref, Tape, json as json_text, yaml};

const MOST_BYTES: usize = 10 << 20;

pub static DATA_PROCESSOR: Builtin = Builtin {
    name: "data_processor",
    aliases: &[],
    description: "Reads JSON, CSV or YAML and looks into it. What is given is done in this order: data (a text in `format`, or a value) is read; \
                  `path` goes to a part of it; `where` keeps rows, `sort_by` orders them, `offset` and `limit` cut them, `select` keeps fields; \
                  `aggregate` computes one value of them; `to` writes the result as a text. Rows of CSV are objects by the names of the first line.",
    category: "data",
    capabilities: &[],
    parameters,
    returns: || json!({}),
    offered: |_| true,
    start,
};

fn parameters(_: &Bounds) -> Value {
    let field = json!({ "type": "string", "description": "name or path of a field of each row" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let formats = json!({ "type": "string", "enum": ["json", "csv", "yaml"] });
    json!({
        "type": "object",
        "properties": {
            "data": { "description": "a text, or the value itself" },
            "format": { "type": "string", "enum": formats["enum"], "default": "json" },
            "delimiter": { "type": "string", "minLength": 1, "maxLength": 1, "default": "," },
            "path": { "type": "string", "description": "items[1].name; indices count from 1" },
            "where": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "field": field,
                        "op": { "type": "string", "enum": rows::OPERATORS, "default": "=" },
                        "value": { "description": "compared with; not for \"exists\"" },
                    },
                    "required": ["field"],
                },
                "maxItems": rows::MOST_ITEMS,
                "description": "rows for which all of these hold",
            },
            "sort_by": field,
            "descending": { "type": "boolean", "default": false },
            "offset": count,
            "limit": count,
            "select": { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": rows::MOST_ITEMS },
            "aggregate": { "type": "string", "enum": rows::AGGREGATES },
            "field": { "type": "string", "description": "of each row, for aggregate; without it the rows themselves" },
            "to": formats,
        },
        "required": ["data"],
    })
}

fn start(_: &Runtime, mut input: Value) -> Result<Work> {
    let data = input.get_mut("data").map(Value::take).unwrap_or_default();
    let mut value = read(data, &input)?;
    if let Some(path) = text(&input, "path") {
        let missing = || trouble(format!("path: there is nothing at {path}"));
        value = at(&value, &parse_path(path, "path")?).cloned().ok_or_else(missing)?;
    }
    value = rows::process(value, &input)?;
    match text(&input, "to") {
        None => Ok(Work::Done(value)),
        Some(format) => Ok(Work::Done(write(&value, format, delimiter(&input)?)?.into())),
    }
}

fn trouble(message: impl Into<String>) -> Error {
    Error::new(Code::ToolError, message)
}

fn text<'v>(input: &'v Value, name: &str) -> Option<&'v str> {
    input.get(name).and_then(Value::as_str)
}

fn delimiter(input: &Value) -> Result<char> {
    let given = text(input, "delimiter").unwrap_or(",");
    let mut signs = given.chars();
    match (signs.next(), signs.next()) {
        (Some(sign), None) if !matches!(sign, '"' | '\r' | '\n') => Ok(sign),
        _ => Err(trouble("delimiter: expected one character that is no quote or line break")),
    }
}

fn read(data: Value, input: &Value) -> Result<Value> {
    let Value::String(text_of_it) = data else { return Ok(data) };
    if text_of_it.len() > MOST_BYTES {
        return Err(trouble(format!("data: larger than {MOST_BYTES} bytes")));
    }
    let mut tape = Tape::default();
    let format = text(input, "format").unwrap_or("json");
    let root = match format {
        "csv" => return csv::read(&text_of_it, delimiter(input)?),
        "yaml" => yaml::read(&text_of_it, &yaml::Options::default(), &mut tape).map(|r| r.root),
        _ => json_text::parse(text_of_it.as_bytes(), &mut tape),
    };
    let failed = |e: Error| trouble(format!("data is no {format}: {}", e.message())).caused_by(e);
    Ok(tape.at(root.map_err(failed)?).map(Ref::to_json).unwrap_or_default())
}

fn write(value: &Value, format: &str, delimiter: char) -> Result<String> {
    let mut tape = Tape::default();
    let at = json_text::put(value, &mut tape);
    let on_tape = tape.at(at).ok_or_else(|| Error::internal("a value is not on its tape"))?;
    match format {
        "csv" => csv::write(value, delimiter),
        "yaml" => Ok(yaml::write(on_tape)),
        _ => Ok(json_text::to_string(on_tape)),
    }
}

fn parse_path(path: &str, name: &str) -> Result<Path> {
    Path::parse(path).map_err(|why| trouble(format!("{name}: {why}")))
}

/// The value at a path.
fn at<'v>(value: &'v Value, path: &Path) -> Option<&'v Value> {
    path.steps.iter().try_fold(value, |value, step| match step {
        Key::Name(name) => value.get(name),
        Key::Index(index) => value.as_array()?.get(*index),
    })
}
